package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"parley/testkit/leaks"
)

// patience ends a wait that should take moments: on a busy machine with the race
// detector a moment may be long.
const patience = 60 * time.Second

func TestMain(m *testing.M) {
	leaks.Main(m, func() {
		if builtIn != "" {
			_ = os.RemoveAll(builtIn)
		}
	})
}

var builtIn string // set by binary

// binary builds the program once, with the race detector.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "parley-test-")
	if err != nil {
		return "", err
	}
	builtIn = dir
	at := filepath.Join(dir, "parley")
	cmd := exec.Command("go", "build", "-race", "-o", at, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return at, nil
})

// eventually polls cond until it holds.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	end := time.NewTimer(patience)
	defer end.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-end.C:
			t.Fatalf("in vain, after %v: %s", patience, what)
		}
	}
}

// transcript keeps what a process writes.
type transcript struct {
	mu   sync.Mutex
	text []byte
}

func (w *transcript) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text = append(w.text, b...)
	return len(b), nil
}

func (w *transcript) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return string(w.text)
}

// lines are the whole lines so far.
func (w *transcript) lines() []string {
	text := w.String()
	end := strings.LastIndexByte(text, '\n')
	if end < 0 {
		return nil
	}
	return strings.Split(text[:end], "\n")
}

// process is a running parley.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	out    transcript
	err    transcript
	exited chan struct{}
}

// prepare makes a process with nothing of this one's PARLEY_ environment, and
// without rendezvous and Enclave, whose ports would be another's: flags bring them
// back.
func prepare(t *testing.T, stdin io.Reader, more []string, args ...string) *process {
	t.Helper()
	at, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, cmd: exec.Command(at, args...), exited: make(chan struct{})}
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "PARLEY_") {
			p.cmd.Env = append(p.cmd.Env, v)
		}
	}
	p.cmd.Env = append(append(p.cmd.Env, "GORACE=halt_on_error=1 exitcode=66 atexit_sleep_ms=0", "NO_COLOR=1", "PARLEY_STAR_ADDRESS=off", "PARLEY_ENCLAVE_ADDRESS=off"), more...)
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = stdin, &p.out, &p.err
	p.cmd.WaitDelay = time.Second // a read of its standard input may never end
	return p
}

func (p *process) start() {
	p.t.Helper()
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // the code is asked for by wait
		close(p.exited)
	}()
	p.t.Cleanup(p.end)
}

// launch starts parley.
func launch(t *testing.T, stdin io.Reader, more []string, args ...string) *process {
	t.Helper()
	p := prepare(t, stdin, more, args...)
	p.start()
	return p
}

// launchApart starts parley without a terminal, even if the test has one.
func launchApart(t *testing.T, args ...string) *process {
	t.Helper()
	p := prepare(t, nil, nil, args...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	p.start()
	return p
}

// shell takes an advice that is a command line.
func shell(t *testing.T, line string) {
	t.Helper()
	if out, err := exec.Command("sh", "-c", line).CombinedOutput(); err != nil {
		t.Errorf("%q: %v: %s", line, err, out)
	}
}

// end makes sure that the process is gone, and that it did not die of a bug.
func (p *process) end() {
	_ = p.cmd.Process.Kill()
	<-p.exited
	for _, bug := range []string{"panic", "DATA RACE", "fatal error", "goroutine "} {
		if strings.Contains(p.err.String(), bug) {
			p.t.Errorf("%q says %q:\n%s", p.cmd.Args[1:], bug, p.err.String())
		}
	}
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Fatal(err)
	}
}

// wait returns the exit code.
func (p *process) wait() int {
	p.t.Helper()
	select {
	case <-p.exited:
	case <-time.After(patience):
		p.signal(syscall.SIGQUIT)
		<-p.exited
		p.t.Fatalf("%q did not end:\n%s", p.cmd.Args[1:], p.err.String())
	}
	return p.cmd.ProcessState.ExitCode()
}

// outcome is how a verb ended.
type outcome struct {
	code     int
	out, err string
}

func (o outcome) String() string {
	return fmt.Sprintf("exit code %d\nstdout: %s\nstderr: %s", o.code, o.out, o.err)
}

// parley runs a verb to its end.
func parley(t *testing.T, args ...string) outcome {
	t.Helper()
	return feed(t, nil, args...)
}

// feed is parley with something to read.
func feed(t *testing.T, stdin io.Reader, args ...string) outcome {
	t.Helper()
	p := launch(t, stdin, nil, args...)
	return outcome{p.wait(), p.out.String(), p.err.String()}
}

// expect fails unless a verb ended with code, and said all of words on stderr.
func (o outcome) expect(t *testing.T, code int, words ...string) {
	t.Helper()
	if o.code != code {
		t.Errorf("want exit code %d, got %v", code, o)
	}
	for _, w := range words {
		if !strings.Contains(o.err, w) {
			t.Errorf("stderr lacks %q: %v", w, o)
		}
	}
}

// standstill sums up the time in which the machine ran nothing of ours: it says
// nothing about the program.
func standstill(stop <-chan struct{}) (total time.Duration) {
	const every, usual = 10 * time.Millisecond, 50 * time.Millisecond
	tick := time.NewTicker(every)
	defer tick.Stop()
	for last := time.Now(); ; {
		select {
		case <-stop:
			return total
		case <-tick.C:
			now := time.Now()
			if gap := now.Sub(last); gap > usual {
				total += gap - every
			}
			last = now
		}
	}
}

// timed returns how long f took, and how much of that the machine stood still.
func timed(f func()) (took, still time.Duration) {
	stop, total := make(chan struct{}), make(chan time.Duration)
	go func() { total <- standstill(stop) }()
	start := time.Now()
	f()
	took = time.Since(start)
	close(stop)
	return took, <-total
}

// within fails when f takes longer than most.
func within(t *testing.T, most time.Duration, what string, f func()) {
	t.Helper()
	if took, still := timed(f); took-still > most {
		t.Errorf("%s took %v, more than %v", what, took-still, most)
	}
}
