package main

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// terminal is a pair of pseudo-terminals: what a process has, and the hands and
// eyes at the other side.
type terminal struct {
	hands *os.File
	seen  transcript
	tty   *os.File
}

func newTerminal(t *testing.T) *terminal {
	t.Helper()
	hands, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	fd := int(hands.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	x := &terminal{hands: hands, tty: tty}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for b := make([]byte, 256); ; {
			n, err := hands.Read(b)
			_, _ = x.seen.Write(b[:n])
			if err != nil { // nobody has the other side any more
				return
			}
		}
	}()
	t.Cleanup(func() {
		_ = tty.Close()
		<-done
		_ = hands.Close()
	})
	return x
}

func (x *terminal) types(t *testing.T, text string) {
	t.Helper()
	if _, err := x.hands.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

// sits starts parley at the terminal.
func (x *terminal) sits(t *testing.T, args ...string) *process {
	t.Helper()
	p := prepare(t, nil, nil, args...)
	p.cmd.Stdin = x.tty
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
	p.start()
	return p
}

// echoes tells whether the terminal shows what is typed.
func (x *terminal) echoes(t *testing.T) bool {
	t.Helper()
	mode, err := unix.IoctlGetTermios(int(x.tty.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return mode.Lflag&unix.ECHO != 0
}

func TestAskPassword(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	reader := n.subscribe(t, "vault", "--password", "wordpass", "--count", "1")
	x := newTerminal(t)
	p := x.sits(t, "pub", "vault", "open sesame", "--ask-password", "--url", n.url())
	eventually(t, "the prompt on a mute terminal", func() bool { return strings.Contains(x.seen.String(), "Password: ") && !x.echoes(t) })
	x.types(t, "wordpass\n")
	if code := p.wait(); code != 0 {
		t.Errorf("%d %s", code, p.err.String())
	}
	if strings.Contains(x.seen.String(), "wordpass") || !x.echoes(t) {
		t.Errorf("on the terminal: %q", x.seen.String())
	}
	if code := reader.wait(); code != 0 || reader.out.String() != "open sesame\n" {
		t.Errorf("%d %q", code, reader.out.String())
	}
	if !term.IsTerminal(int(x.tty.Fd())) {
		t.Error("the test has no terminal")
	}
}

// TestAskPasswordInterrupted leaves a terminal behind that shows what is typed.
func TestAskPasswordInterrupted(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		verb string
		code int
	}{{"sub", 0}, {"pub", 1}} {
		x := newTerminal(t)
		p := x.sits(t, c.verb, "vault", "--ask-password")
		eventually(t, "the prompt on a mute terminal", func() bool { return strings.Contains(x.seen.String(), "Password: ") && !x.echoes(t) })
		x.types(t, "\x03") // Ctrl-C
		if code := p.wait(); code != c.code {
			t.Errorf("%s: %d %s", c.verb, code, p.err.String())
		}
		if !x.echoes(t) {
			t.Errorf("%s leaves a mute terminal", c.verb)
		}
	}
}
