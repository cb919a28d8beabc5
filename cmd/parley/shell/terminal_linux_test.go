package shell

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"parley/cmd/parley/talk/fake"
)

// TestBroadcastsAppearAboveTheLine that is being typed, and leave it alone.
func TestBroadcastsAppearAboveTheLine(t *testing.T) {
	daemon, node := both(t)
	u := sit(t, daemon.Port, t.TempDir())
	before := u.settings()
	u.prompted("parley> ")
	u.text(fmt.Sprintf("connected on port %d", daemon.Port))
	u.types("connection-stat")
	u.prompted("parley> connection-stat")
	u.types("\x1b[D\x1b[D") // two to the left
	u.prompted("parley> connection-st")
	daemon.Each(func(c *fake.Conn) {
		c.Cast("crashed", `{"processId":7,"crashReason":"NoInformation","signal":"killed","lastLines":["one \u001b[2J","two"]}`)
		c.Cast("newPassword", `{}`)
	})
	u.text("changed by somebody else")
	u.sees(func(all string) bool {
		return strings.HasSuffix(all, "\nthe Node has ended: ended by signal killed (pid 7); its last lines:\n  | one \\x1b[2J\n  | two\n"+
			"the database's password was changed by somebody else\nparley> connection-stat")
	})
	u.prompted("parley> connection-st")
	if n := strings.Count(u.String(), "connection-stat"); n != 1 {
		t.Errorf("the line is there %d times:\n%s", n, u)
	}
	u.types("\x05us\r") // to the end
	u.text("RouteFound: in step with the mesh\n")
	u.prompted("parley> ")
	node.Each(func(c *fake.Conn) {
		for i := range 40 { // more than the screen has lines
			c.Cast("logBroadcast", fmt.Sprintf(`{"msg":"line %d","logLevel":"Info"}`, i))
		}
	})
	u.types("help")
	u.text("line 39")
	u.prompted("parley> help")
	for i := range 40 {
		if !strings.Contains(u.String(), fmt.Sprintf("Info   line %d\n", i)) {
			t.Errorf("line %d is missing in\n%s", i, u)
		}
	}
	u.types("\x03") // Ctrl-C takes the line back
	u.prompted("parley> ")
	u.types("\x04")
	if code := u.leaves(); code != 0 {
		t.Errorf("code %d", code)
	}
	if after := u.settings(); after != before {
		t.Errorf("the terminal was %+v, is %+v", before, after)
	}
}

// TestWhatIsToldIsAskedFor on each connection, of the Daemon and of the Node; who
// answers it or not makes no difference.
func TestWhatIsToldIsAskedFor(t *testing.T) {
	asked := make(chan string, 2)
	daemon, _ := both(t, func(daemon, node map[string]fake.Script) {
		daemon["subscribe"] = func(_ *fake.Conn, m fake.Message) { asked <- string(m.Payload) }
		node["subscribe"] = func(c *fake.Conn, m fake.Message) {
			asked <- string(m.Payload)
			c.Cast("configurationChanged", `{}`)
		}
	})
	u := sit(t, daemon.Port, t.TempDir())
	u.prompted("parley> ")
	u.types("connection-status\r")
	u.text("look with: configuration")
	for range 2 {
		if got := <-asked; !strings.Contains(got, `"nodeStarted"`) || !strings.Contains(got, `"configurationChanged"`) {
			t.Errorf("asked for %s", got)
		}
	}
	u.types("exit\r")
	if code := u.leaves(); code != 0 {
		t.Errorf("code %d", code)
	}
}

// TestSecretsAreTypedUnseen and leave no trace.
func TestSecretsAreTypedUnseen(t *testing.T) {
	daemon, _ := both(t)
	state := t.TempDir()
	u := sit(t, daemon.Port, state)
	u.prompted("parley> ")
	u.types("check-password\r")
	u.prompted("Database password: ")
	u.types("wrong\r")
	u.text("that is not the database's password")
	u.prompted("parley> ")
	u.types("\x1b[A") // the line before
	u.prompted("parley> check-password")
	u.types("\r")
	u.sees(func(all string) bool { return strings.Count(all, "Database password:") == 2 })
	u.types("sesame\r")
	u.text("the password is right")
	u.types("check-password sesame\r")
	u.text("takes no arguments")
	u.types("set-password\r")
	u.text("New database password:")
	u.types("sesame\r")
	u.text("The same again:")
	u.types("other\r")
	u.text("the two are not the same; nothing was changed")
	u.types("setup --db-password\r")
	u.prompted("db-password: ")
	u.types("\x03") // Ctrl-C
	u.text("setup: interrupted")
	u.prompted("parley> ")
	u.types("exit\r")
	if code := u.leaves(); code != 0 {
		t.Errorf("code %d", code)
	}
	if n := strings.Count(u.String(), "sesame"); n != 1 { // the one that was typed in the open
		t.Errorf("the password is on the screen %d times:\n%s", n, u)
	}
	file := filepath.Join(state, "parley", "history")
	b, err := os.ReadFile(file)
	if want := "check-password\nset-password\nsetup --db-password\n"; err != nil || string(b) != want && string(b) != want+"exit\n" {
		t.Errorf("the history is %q, %v", b, err)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	u = sit(t, daemon.Port, state) // the next day
	u.prompted("parley> ")
	u.types("\x1b[A")
	u.prompted("parley> setup --db-password")
}

// TestTabCompletes verbs, names and values.
func TestTabCompletes(t *testing.T) {
	daemon, _ := both(t)
	u := sit(t, daemon.Port, t.TempDir())
	u.prompted("parley> ")
	u.types("connec\t")
	u.prompted("parley> connection-status")
	u.types("\x15setup --node-n\t")
	u.prompted("parley> setup --node-name")
	u.types("\x15setup --log-level tra\t")
	u.prompted("parley> setup --log-level trace")
}

// TestLostConnectionComesBack and is told once.
func TestLostConnectionComesBack(t *testing.T) {
	daemon, _ := both(t)
	u := sit(t, daemon.Port, t.TempDir())
	u.prompted("parley> ")
	u.types("desc")
	u.prompted("parley> desc")
	daemon.Stop()
	u.text("the connection is lost: it broke without a goodbye; trying to get it back\nparley> desc")
	u.types("riptor\r")
	u.text("descriptor: no Daemon answers on port")
	fake.ListenAt(t, daemon.Port, func(s *fake.Server) { s.Else = fake.NoNode })
	u.text("the connection is back")
	u.types("descriptor\r")
	u.text("descriptor: no Node is running; start one with: start")
	if n := strings.Count(u.String(), "the connection is lost"); n != 1 {
		t.Errorf("told %d times:\n%s", n, u)
	}
}

// TestLogsInAShell end with Ctrl-C, and leave no subscription.
func TestLogsInAShell(t *testing.T) {
	daemon, node := both(t, func(daemon, node map[string]fake.Script) {
		daemon["subscribe"] = fake.Reply(`{}`)
		node["subscribe"] = func(c *fake.Conn, m fake.Message) {
			c.Answer(m, `{}`)
			if strings.Contains(string(m.Payload), `"minLogLevel"`) { // not the shell's own
				c.Cast("logBroadcast", `{"msg":"hello","logLevel":"Warn"}`)
			}
		}
	})
	u := sit(t, daemon.Port, t.TempDir())
	u.prompted("parley> ")
	u.types("logs\r")
	u.text("Warn   hello")
	u.types("\x03")
	u.prompted("parley> ")
	eventually(t, u.String, func() bool {
		n := 0
		node.Each(func(*fake.Conn) { n++ })
		return n == 0
	})
	u.types("connection-status\r")
	u.text("RouteFound")
}

// TestTerminalComesBack when the process is told to end.
func TestTerminalComesBack(t *testing.T) {
	daemon, _ := both(t)
	u := sit(t, daemon.Port, t.TempDir())
	before := u.settings()
	u.prompted("parley> ")
	u.types("setup")
	u.prompted("parley> setup")
	if err := u.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := u.leaves(); code != 0 {
		t.Errorf("code %d", code)
	}
	if after := u.settings(); after != before {
		t.Errorf("the terminal was %+v, is %+v", before, after)
	}
}

// TestDumbTerminal gets plain lines.
func TestDumbTerminal(t *testing.T) {
	daemon, _ := both(t)
	u := sit(t, daemon.Port, t.TempDir(), "TERM=dumb")
	u.prompted("parley> ")
	u.types("check-password\n")
	u.prompted("Database password: ")
	u.types("sesame\n")
	u.text("the password is right")
	u.types("nonsense\nexit\n")
	if code := u.leaves(); code != 2 || strings.Contains(u.String(), "sesame") {
		t.Errorf("code %d\n%s", code, u)
	}
}
