package shell

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

const (
	screenRows    = 24
	screenColumns = 100
)

// screen is a small terminal: what a user would see. Source: ECMA-48.
type screen struct {
	master *os.File

	mu       sync.Mutex // guards what follows
	cells    [screenRows][screenColumns]rune
	row, col int
	wrapping bool   // the last column was written: the next character goes to the next line
	rest     []byte // the begin of a sequence
	scrolled []string
}

// openTerminal makes a pseudo-terminal. slave is the program's end.
func openTerminal(t *testing.T) (s *screen, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := master.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var n int
	var failed error
	if err := raw.Control(func(fd uintptr) {
		if failed = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); failed != nil {
			return
		}
		if failed = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: screenRows, Col: screenColumns}); failed != nil {
			return
		}
		n, failed = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
	}); err != nil || failed != nil {
		t.Fatal(err, failed)
	}
	slave, err = os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	s = &screen{master: master}
	for i := range s.cells {
		s.clear(i, 0)
	}
	return s, slave
}

// read shows what the program writes, until it is gone.
func (s *screen) read() {
	buf := make([]byte, 4096)
	for {
		n, err := s.master.Read(buf)
		if n > 0 {
			s.mu.Lock()
			s.rest = append(s.rest, buf[:n]...)
			for s.step() {
			}
			s.mu.Unlock()
		}
		if err != nil {
			return
		}
	}
}

// step takes one character or sequence; false: it is not whole yet.
func (s *screen) step() bool {
	b := s.rest
	if len(b) == 0 || !utf8.FullRune(b) {
		return false
	}
	if b[0] != 0x1b {
		r, size := utf8.DecodeRune(b)
		s.rest = b[size:]
		s.put(r)
		return true
	}
	if len(b) < 2 {
		return false
	}
	if b[1] != '[' {
		s.rest = b[2:]
		if b[1] == 'D' {
			s.wrapping = false
			s.down()
		}
		return true
	}
	end := 2
	for end < len(b) && (b[end] < '@' || b[end] > '~') {
		end++
	}
	if end == len(b) {
		return false
	}
	s.rest = b[end+1:]
	s.sequence(string(b[2:end]), b[end])
	return true
}

func (s *screen) put(r rune) {
	switch {
	case r == '\r':
		s.col, s.wrapping = 0, false
	case r == '\n':
		s.wrapping = false
		s.down()
	case r == '\b':
		s.col, s.wrapping = max(s.col-1, 0), false
	case r < ' ':
	default:
		if s.wrapping {
			s.col, s.wrapping = 0, false
			s.down()
		}
		s.cells[s.row][s.col] = r
		if s.col == screenColumns-1 {
			s.wrapping = true
		} else {
			s.col++
		}
	}
}

func (s *screen) down() {
	if s.row < screenRows-1 {
		s.row++
		return
	}
	s.scrolled = append(s.scrolled, s.line(0))
	copy(s.cells[:], s.cells[1:])
	s.clear(screenRows-1, 0)
}

func (s *screen) clear(row, from int) {
	for i := from; i < screenColumns; i++ {
		s.cells[row][i] = ' '
	}
}

// sequence obeys a control sequence.
func (s *screen) sequence(args string, kind byte) {
	number := func(i, none int) int {
		parts := strings.Split(args, ";")
		if i >= len(parts) {
			return none
		}
		n, err := strconv.Atoi(parts[i])
		if err != nil || n == 0 && none == 1 {
			return none
		}
		return n
	}
	if kind != 'm' && kind != 'h' && kind != 'l' && kind != 'n' {
		s.wrapping = false
	}
	switch kind {
	case 'A':
		s.row = max(s.row-number(0, 1), 0)
	case 'B':
		s.row = min(s.row+number(0, 1), screenRows-1)
	case 'C':
		s.col = min(s.col+number(0, 1), screenColumns-1)
	case 'D':
		s.col = max(s.col-number(0, 1), 0)
	case 'G':
		s.col = min(number(0, 1), screenColumns) - 1
	case 'H':
		s.row, s.col = min(number(0, 1), screenRows)-1, min(number(1, 1), screenColumns)-1
	case 'J':
		if number(0, 0) == 0 {
			s.clear(s.row, s.col)
			for i := s.row + 1; i < screenRows; i++ {
				s.clear(i, 0)
			}
		}
	case 'K':
		if number(0, 0) == 0 {
			s.clear(s.row, s.col)
		}
	case 'n': // where is the cursor?
		fmt.Fprintf(s.master, "\x1b[%d;%dR", s.row+1, s.col+1)
	}
}

func (s *screen) line(row int) string {
	return strings.TrimRight(string(s.cells[row][:]), " ")
}

// String is all that can be seen, and what was scrolled away.
func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	lines := append([]string(nil), s.scrolled...)
	for i := range s.cells {
		lines = append(lines, s.line(i))
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n")
}

// cursor is the line that the cursor is on, up to it.
func (s *screen) cursor() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(s.cells[s.row][:s.col])
}

// user sits before a shell.
type user struct {
	*screen
	t     *testing.T
	cmd   *exec.Cmd
	slave *os.File
	ended chan struct{}
	state string // XDG_STATE_HOME
	code  int    // set before ended is closed
}

// sit starts a shell on a terminal.
func sit(t *testing.T, port uint16, state string, env ...string) *user {
	t.Helper()
	s, slave := openTerminal(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), append([]string{
		childVariable + "=1", "TERM=xterm", "INPUTRC=/dev/null", "XDG_STATE_HOME=" + state, fmt.Sprintf("PARLEY_UI_PORT=%d", port),
	}, env...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	u := &user{screen: s, t: t, cmd: cmd, slave: slave, state: state, ended: make(chan struct{})}
	reading := make(chan struct{})
	go func() {
		defer close(reading)
		s.read()
	}()
	go func() {
		defer close(u.ended)
		_ = cmd.Wait()
		u.code = cmd.ProcessState.ExitCode()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-u.ended
		_ = slave.Close()
		_ = s.master.Close()
		<-reading
	})
	return u
}

func (u *user) types(keys string) {
	u.t.Helper()
	if _, err := u.master.WriteString(keys); err != nil {
		u.t.Fatal(err)
	}
}

// sees waits until the screen is as told.
func (u *user) sees(is func(all string) bool) {
	u.t.Helper()
	eventually(u.t, func() string { return "the screen is\n" + u.String() }, func() bool { return is(u.String()) })
}

// text waits for a text on the screen.
func (u *user) text(want string) {
	u.t.Helper()
	u.sees(func(all string) bool { return strings.Contains(all, want) })
}

// prompted waits until the cursor is behind a text on the line.
func (u *user) prompted(want string) {
	u.t.Helper()
	eventually(u.t, func() string { return fmt.Sprintf("the cursor is behind %q of\n%s", u.cursor(), u) }, func() bool { return u.cursor() == want })
}

// leaves waits for the shell's end, and returns its exit code.
func (u *user) leaves() int {
	u.t.Helper()
	eventually(u.t, func() string { return "the shell goes on:\n" + u.String() }, func() bool {
		select {
		case <-u.ended:
			return true
		default:
			return false
		}
	})
	return u.code
}

// settings are those of the terminal.
func (u *user) settings() (is unix.Termios) {
	u.t.Helper()
	raw, err := u.slave.SyscallConn()
	if err != nil {
		u.t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) {
		now, err := unix.IoctlGetTermios(int(fd), unix.TCGETS)
		if err != nil {
			u.t.Error(err)
			return
		}
		is = *now
	}); err != nil {
		u.t.Fatal(err)
	}
	return is
}
