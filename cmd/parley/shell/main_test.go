package shell

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"parley/cmd/parley/talk/fake"
	"parley/cmd/parley/verbs"
	"parley/testkit/leaks"
)

// childVariable makes this test program the shell.
const childVariable = "PARLEY_TEST_SHELL"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		os.Exit(child())
	}
	leaks.Main(m)
}

// child is the program as the real one runs the shell.
func child() int {
	cmd := command(&verbs.Server{})
	cmd.SetArgs([]string{})
	cmd.SetOut(os.Stdout)
	err := cmd.Execute()
	if err == nil {
		return 0
	}
	if err.Error() != "" {
		fmt.Fprintf(os.Stderr, "parley: %s\n", err)
	}
	var c interface{ ExitCode() int }
	if errors.As(err, &c) {
		return c.ExitCode()
	}
	return 1
}

const space = `{"running":%v,"values":[{"name":"chain","value":"dev","status":"Default"}],"errors":[]}`

// both is a Daemon with its Node. more are set before a client can come.
func both(t *testing.T, more ...func(daemon, node map[string]fake.Script)) (daemon, node *fake.Server) {
	ofDaemon := map[string]fake.Script{"setup": fake.Reply(fmt.Sprintf(space, true))}
	ofNode := map[string]fake.Script{
		"descriptor":       fake.Reply(`{"nodeDescriptorOpt":null}`),
		"connectionStatus": fake.Reply(`{"stage":"RouteFound"}`),
		"checkPassword": func(c *fake.Conn, m fake.Message) {
			c.Answer(m, fmt.Sprintf(`{"matches":%v}`, strings.Contains(string(m.Payload), `"sesame"`)))
		},
	}
	for _, set := range more {
		set(ofDaemon, ofNode)
	}
	node = fake.ListenAt(t, 0, func(s *fake.Server) { s.On = ofNode })
	daemon = fake.ListenAt(t, 0, func(s *fake.Server) { s.On, s.Else = ofDaemon, fake.To(node) })
	return daemon, node
}

func eventually(t *testing.T, what func() string, is func() bool) {
	t.Helper()
	end := time.After(30 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-end:
			t.Fatalf("waited in vain: %s", what())
		case <-tick.C:
		}
	}
}
