//go:build linux

package enclave

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// lineBuffer is more than a line of a pipe has. Source: gateways/enclave/PROTOCOL.md, Front ends.
const lineBuffer = 128 << 10

// front is a front end: what is written to one pipe, and read from the other. Lines are handed to hear, on one goroutine.
type front struct {
	in, out *os.File
	done    sync.WaitGroup

	mu   sync.Mutex
	hear func(line []byte, at time.Time) // nil: nobody listens
}

// openFront opens both pipes. Opening waits for the other end, so it is given up with ctx.
func openFront(ctx context.Context, dir string) (*front, error) {
	f := &front{}
	opened := make(chan error, 1)
	go func() {
		var err error
		if f.in, err = os.OpenFile(filepath.Join(dir, "in"), os.O_WRONLY, 0); err == nil {
			f.out, err = os.OpenFile(filepath.Join(dir, "out"), os.O_RDONLY, 0)
		}
		opened <- err
	}()
	select {
	case err := <-opened:
		if err != nil {
			return nil, fmt.Errorf("enclave: open the named pipes: %w", err)
		}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	f.done.Go(f.read)
	return f, nil
}

func (f *front) read() {
	r := bufio.NewReaderSize(f.out, lineBuffer)
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return
		}
		at := time.Now()
		f.mu.Lock()
		if f.hear != nil && len(line) > 1 {
			f.hear(line, at)
		}
		f.mu.Unlock()
	}
}

// listen hands lines to hear from now on.
func (f *front) listen(hear func(line []byte, at time.Time)) {
	f.mu.Lock()
	f.hear = hear
	f.mu.Unlock()
}

func (f *front) close() error {
	err := errors.Join(f.in.Close(), f.out.Close())
	f.done.Wait()
	return err
}

// resultMark begins the line that answers a command.
var resultMark = []byte(`{"event":"result"`)

// command is what people want. Source: gateways/enclave/PROTOCOL.md, Front ends.
type command struct {
	Cmd     string `json:"cmd"`
	ID      string `json:"id,omitempty"`
	To      string `json:"to,omitempty"`
	Message string `json:"message,omitempty"`
	Address string `json:"address,omitempty"`
	Name    string `json:"name,omitempty"`
}

// do has commands done, all of which must succeed.
func (f *front) do(ctx context.Context, timeout time.Duration, commands ...command) error {
	over := make(chan error, 1)
	left := len(commands)
	f.listen(func(line []byte, _ time.Time) {
		if left == 0 || !bytes.HasPrefix(line, resultMark) {
			return
		}
		var r struct {
			OK     bool   `json:"ok"`
			Reason string `json:"reason"`
		}
		err := json.Unmarshal(line, &r)
		if err == nil && !r.OK {
			err = fmt.Errorf("enclave: the node refused: %s", r.Reason)
		}
		if left--; err != nil {
			left = 0
		}
		if left == 0 {
			over <- err
		}
	})
	defer f.listen(nil)
	var lines []byte
	for i := range commands {
		b, err := json.Marshal(&commands[i])
		if err != nil {
			return fmt.Errorf("enclave: encode a command: %w", err)
		}
		lines = append(append(lines, b...), '\n')
	}
	if _, err := f.in.Write(lines); err != nil {
		return fmt.Errorf("enclave: write commands: %w", err)
	}
	late := time.NewTimer(timeout)
	defer late.Stop()
	select {
	case err := <-over:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-late.C:
		return fmt.Errorf("enclave: the node has not answered all of %d commands in %v", len(commands), timeout)
	}
}
