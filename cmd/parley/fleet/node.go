package fleet

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// readyMost is how long a node may take until it listens.
	readyMost = 30 * time.Second
	// endMost is how long one may take to end in order; then it is killed.
	endMost = 15 * time.Second
	// mostLinks is more than there are nodes to look at.
	mostLinks = 64
	// nowhere is what other nodes are told, so that they find no way but the one of the shape.
	nowhere = "ws://127.0.0.1:1/"
)

// Place is where a node can be found. Source: the line that a node prints when it listens.
type Place struct {
	PID     int    `json:"pid"`
	Relay   string `json:"relay"`        // host:port
	UI      string `json:"ui,omitempty"` // blank: it serves no user interfaces
	Metrics string `json:"metrics"`
}

// Node is one of a fleet. Its methods may be called by any goroutine.
type Node struct {
	Number int    // from 1 on
	Name   string // node1, node2, …
	Log    string // file with what it logs

	fleet *Fleet
	dir   string
	door  *door // nil: there is none

	mu      sync.Mutex // guards what follows
	port    string     // of its relay, from the first start on
	process *process   // nil: it does not run
}

// process is one life of a node.
type process struct {
	cmd    *exec.Cmd
	place  Place
	exited chan struct{} // closed when it has ended; err is set then
	err    error
}

// Place gives where the node is; false: it does not run.
func (n *Node) Place() (Place, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.process == nil {
		return Place{}, false
	}
	select {
	case <-n.process.exited:
		return Place{}, false
	default:
		return n.process.place, true
	}
}

// URL is where clients connect; false: the node does not run.
func (n *Node) URL() (string, bool) {
	p, ok := n.Place()
	return "ws://" + p.Relay + "/connect", ok
}

// address is where other nodes reach this one, once it has run.
func (n *Node) address() string {
	if n.door != nil {
		return n.door.l.Addr().String()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return net.JoinHostPort(loopback, n.port)
}

// ErrRuns says that a node is to be started that runs already.
var ErrRuns = errors.New("fleet: it runs already")

// Start starts the node, and returns when it listens.
func (n *Node) Start(ctx context.Context) error {
	if _, runs := n.Place(); runs {
		return ErrRuns
	}
	p, err := n.launch(ctx)
	if err != nil {
		return fmt.Errorf("fleet: %s did not start: %w; its last words: %s", n.Name, err, n.lastWords())
	}
	_, port, err := net.SplitHostPort(p.place.Relay)
	n.mu.Lock()
	n.process, n.port = p, port
	n.mu.Unlock()
	return err
}

func (n *Node) launch(ctx context.Context) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	log, err := os.OpenFile(n.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the child has its own
	cmd := exec.Command(self, n.args()...)
	cmd.Env, cmd.Stderr = n.environment(), log
	own(cmd)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := n.fleet.start(cmd); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, exited: make(chan struct{})}
	lines := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(out).ReadString('\n')
		lines <- line
		_, _ = io.Copy(io.Discard, out)
		p.err = cmd.Wait()
		close(p.exited)
	}()
	if err := p.await(ctx, lines); err != nil {
		_ = cmd.Process.Kill()
		<-p.exited
		return nil, err
	}
	return p, nil
}

// await waits for the line that says where the node listens.
func (p *process) await(ctx context.Context, lines <-chan string) error {
	ctx, cancel := context.WithTimeout(ctx, readyMost)
	defer cancel()
	select {
	case line := <-lines:
		text, ok := strings.CutPrefix(line, "ready ")
		if !ok {
			return errors.New("it ended")
		}
		if err := json.Unmarshal([]byte(text), &p.place); err != nil {
			return fmt.Errorf("it said %q: %w", line, err)
		}
		p.place.PID = p.cmd.Process.Pid
		return nil
	case <-ctx.Done():
		return fmt.Errorf("it was not ready: %w", context.Cause(ctx))
	}
}

// args are the words of the command line, without secrets.
func (n *Node) args() []string {
	n.mu.Lock()
	port := n.port
	n.mu.Unlock()
	o := &n.fleet.o
	args := []string{
		"node", "--node-name", n.Name, "--relay-address", loopback, "--clandestine-port", port, "--metrics-address", loopback + ":0", "--star-address", "off", "--enclave-address", "off",
		"--max-peer-links", strconv.Itoa(mostLinks), "--high-latency", o.HighLatency.String(),
	}
	switch {
	case n.door != nil:
		at := n.door.l.Addr().String()
		args = append(args, "--public-url", "ws://"+at+"/", "--relay-hosts", at)
	case !o.Free:
		args = append(args, "--public-url", nowhere)
	}
	if o.UI {
		args = append(args, "--ui-port", "0", "--data-directory", n.dir)
	}
	return append(args, o.Args...)
}

// environment is this process's, without what is set for other nodes, and with
// the secrets.
func (n *Node) environment() []string {
	var env []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "PARLEY_") {
			env = append(env, e)
		}
	}
	var neighbors []string
	for _, e := range n.fleet.edges {
		if e[1] == n.Number {
			other := n.fleet.Nodes[e[0]-1]
			neighbors = append(neighbors, fmt.Sprintf("parley://%s@%s?name=%s", n.fleet.token, other.address(), other.Name))
		}
	}
	return append(env, "PARLEY_RELAY_TOKEN="+n.fleet.token, "PARLEY_NEIGHBORS="+strings.Join(neighbors, ","))
}

// Kill ends the node as a fault would, and returns when it is gone.
func (n *Node) Kill() { _ = n.end(syscall.SIGKILL) }

// Stop ends the node in order. It may have to be killed in the end, which is an
// error, as everything is but an exit with 0.
func (n *Node) Stop() error { return n.end(syscall.SIGTERM) }

func (n *Node) end(s syscall.Signal) error {
	n.mu.Lock()
	p := n.process
	n.process = nil
	n.mu.Unlock()
	if p == nil {
		return nil
	}
	_ = p.cmd.Process.Signal(s) // it may have ended by itself
	late := time.AfterFunc(endMost, func() { _ = p.cmd.Process.Kill() })
	defer late.Stop()
	<-p.exited
	if p.err != nil {
		return fmt.Errorf("fleet: %s ended with %w; its last words: %s", n.Name, p.err, n.lastWords())
	}
	return nil
}

// lastWords is the end of the node's log, on one line.
func (n *Node) lastWords() string {
	const most = 600 // bytes
	b, err := os.ReadFile(n.Log)
	if err != nil {
		return err.Error()
	}
	return strings.Join(strings.Fields(strings.ToValidUTF8(string(b[max(0, len(b)-most):]), "")), " ")
}

// logFile is where a node's log lines go.
func logFile(dir, name string) string { return filepath.Join(dir, name+".log") }
