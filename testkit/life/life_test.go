package life_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
)

// Error codes of the wire. Source: gateways/uiv2/PROTOCOL.md, Errors.
const (
	codeLaunch      = 9223372036854775809
	codeNoNode      = 9223372036854775810
	codeRunning     = 9223372036854775811
	codeNotWritten  = 281474976710658
	codeBadPassword = 281474976710662
	codeLookOnly    = 22517998136852481
)

// neighbor is a descriptor with a token in it: what a Node keeps as a secret.
// Nobody listens there.
const neighbor = "parley://tok3n-of-a-neighbor@127.0.0.1:1?name=ben"

// story is where TestTheLifeOfIt has come to.
type story struct {
	*testing.T
	dir       string
	d         *daemon
	anna, ben *ui // at the Daemon
	now       started
	node      *ui    // at the Node
	space     string // the Setup space's values, as they were before the first start
}

// TestTheLifeOfIt is what people do with it, from the first start to a Daemon
// that finds the Node of the one before.
func TestTheLifeOfIt(t *testing.T) {
	s := &story{T: t, dir: directory(t)}
	s.begin()
	s.setUp()
	s.launch()
	s.redirected()
	s.frozen()
	s.passwords()
	s.killed()
	s.again()
	s.shutDown()
	s.daemonAgain()
	s.adopted()
}

// begin starts the Daemon and connects two user interfaces.
func (s *story) begin() {
	s.d = start(s, s.dir, nil)
	s.anna, s.ben = connect(s, s.d.port), connect(s, s.d.port)
}

// setUp changes the Setup space: the other one hears of it.
func (s *story) setUp() {
	s.anna.settle()
	s.ben.await("setup").want(s, `"clandestine-port","value":"0","status":"Set"`)
	s.anna.change("neighbors", neighbor).want(s, `"errors":[]`)
	s.ben.await("setup").want(s, `"name":"neighbors","value":"parley://`, `"running":false`)
	s.ben.change("node-name", "anna").want(s, `"errors":[]`)
	s.anna.await("setup").want(s, `"node-name","value":"anna","status":"Set"`)
	s.space = s.ben.values()
	s.ben.ask("descriptor", "{}").refused(s, codeNoNode, "Cannot handle descriptor request: Node is not running")
}

// launch starts the Node, and not a second one.
func (s *story) launch() {
	s.Helper()
	s.now = s.anna.launch()
	if s.now.PID == 0 || s.now.Port == 0 || s.now.Port == s.d.port {
		s.Fatalf("started: %+v", s.now)
	}
	s.ben.ask("start", "{}").refused(s, codeRunning, "Could not launch Node: already running")
	s.node = connect(s, s.now.Port)
}

// redirected sends a Node's request to the Daemon, and then where that says.
func (s *story) redirected() {
	s.Helper()
	const payload = `{ "dbPasswordOpt":null,"odd":9007199254740993 }` // it comes back byte for byte
	f := s.ben.ask("configuration", payload)
	var to struct {
		Port      uint16  `json:"port"`
		Opcode    string  `json:"opcode"`
		ContextID *uint64 `json:"contextId"`
		Payload   string  `json:"payload"` // a string, not an object
	}
	f.into(s, &to)
	if f.Opcode != "redirect" || f.ContextID != nil || to.Port != s.now.Port || to.Opcode != "configuration" ||
		to.ContextID == nil || *to.ContextID != s.ben.next || to.Payload != payload {
		s.Fatalf("redirect: %+v %s", f, f.Payload)
	}
	s.node.ask(to.Opcode, to.Payload).want(s, `"nodeName":"anna"`, `"name":"relay"`)
}

// frozen finds that a running Node's settings do not change.
func (s *story) frozen() {
	s.Helper()
	s.ben.change("node-name", "ben").want(s, `"running":true`, `"node-name","value":"anna","status":"Set"`)
	s.anna.ask("setup", `{"values":[]}`).want(s, `"running":true`, `"node-name","value":"anna","status":"Set"`)
}

// passwords sets and changes the password: from the first on, what is secret
// comes only with it.
func (s *story) passwords() {
	other := connect(s, s.now.Port)
	s.node.check("null", true)
	s.node.ask("changePassword", `{"newPassword":"one"}`).want(s)
	other.await("newPassword").want(s)
	s.node.check("null", false)
	s.node.check(`"one"`, true)
	other.ask("changePassword", `{"newPassword":"two"}`).refused(s, codeNotWritten, "The database already has a password. You may only change it")
	s.node.ask("changePassword", `{"oldPasswordOpt":"one","newPassword":"two"}`).want(s)
	other.await("newPassword").want(s)
	other.secrets("null", false)
	other.secrets(`"one"`, false)
	other.secrets(`"two"`, true)
	s.node.ask("changePassword", `{"oldPasswordOpt":"one","newPassword":"three"}`).refused(s, codeBadPassword, "")
	s.node.check(`"two"`, true)
	for _, f := range other.others {
		if f.Opcode != "logBroadcast" {
			s.Errorf("the other user interface heard %s %s", f.Opcode, f.Payload)
		}
	}
}

// killed ends the Node as a fault would: all at the Daemon hear of it.
func (s *story) killed() {
	s.Helper()
	kill(s, s.now.PID, syscall.SIGKILL)
	if err := s.node.ended(); err == nil {
		s.Error("the Node's connection did not end")
	}
	for _, u := range []*ui{s.anna, s.ben} {
		c := u.crashed(s.now.PID)
		if c.Requested || c.ExitCode != nil || c.Signal != "SIGKILL" || !bytes.Contains(c.Reason, []byte("Unrecognized")) && string(c.Reason) != `"NoInformation"` {
			s.Errorf("crashed: %+v %s", c, c.Reason)
		}
	}
	s.anna.ask("checkPassword", "{}").refused(s, codeNoNode, "Node is not running")
}

// again starts the next Node with the same settings, and finds what the last one
// kept.
func (s *story) again() {
	if space := s.anna.values(); space != s.space {
		s.Errorf("the Setup space became %s\nfrom %s", space, s.space)
	}
	before := s.now
	s.launch()
	if s.now.PID == before.PID {
		s.Errorf("the next Node is process %d again", s.now.PID)
	}
	s.node.check(`"two"`, true)
	s.node.secrets(`"two"`, true)
}

// shutDown ends the Node in order. By the time of the answer nobody gets in.
func (s *story) shutDown() {
	s.node.ask("shutdown", "{}").want(s)
	if c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.now.Port)); !errors.Is(err, syscall.ECONNREFUSED) {
		s.Errorf("dialling a Node that has answered shutdown: %v", err)
		if err == nil {
			_ = c.Close()
		}
	}
	if err := s.node.ended(); err == nil {
		s.Error("the Node's connection did not end")
	}
	for _, u := range []*ui{s.anna, s.ben} {
		if c := u.crashed(s.now.PID); !c.Requested || c.ExitCode == nil || *c.ExitCode != 0 || c.Signal != "" {
			s.Errorf("crashed after shutdown: %+v %s", c, c.Reason)
		}
	}
}

// daemonAgain restarts the Daemon, which remembers the Setup space.
func (s *story) daemonAgain() {
	s.d.stop()
	for _, u := range []*ui{s.anna, s.ben} {
		if err := u.ended(); !strings.Contains(err.Error(), "1001") {
			s.Errorf("a Daemon that stops says %v", err)
		}
	}
	s.begin()
	if space := s.anna.values(); space != s.space {
		s.Errorf("the Setup space is %s\nand was %s", space, s.space)
	}
}

// adopted kills the Daemon; its Node serves on, and the next Daemon knows it.
func (s *story) adopted() {
	s.launch()
	s.node.check(`"two"`, true)
	s.d.kill()
	s.node.secrets(`"two"`, true)
	s.begin()
	s.redirected()
	s.frozen()
	s.ben.ask("start", "{}").refused(s, codeRunning, "already running")
	kill(s, s.now.PID, syscall.SIGKILL)
	for _, u := range []*ui{s.anna, s.ben} {
		u.crashed(s.now.PID)
	}
	// If the end were told twice, it would be before what comes next.
	s.anna.change("node-name", "carl").want(s, `"running":false`)
	s.ben.await("setup")
	s.ben.unheard("crashed")
	s.ben.change("node-name", "anna").want(s, `"running":false`)
	s.anna.await("setup")
	s.anna.unheard("crashed")
	s.launch()
	s.d.stop()
	_ = s.node.ended()
	eventually(s, "the Node ends with its Daemon", func() bool { return !alive(s.now.PID) })
}

// change sets one parameter.
func (u *ui) change(name, value string) frame {
	u.t.Helper()
	return u.ask("setup", fmt.Sprintf(`{"values":[{"name":%q,"value":%s}]}`, name, quoted(value)))
}

// values is what the Setup space holds, running or not.
func (u *ui) values() string {
	u.t.Helper()
	var d struct {
		Values json.RawMessage `json:"values"`
	}
	u.ask("setup", `{"values":[]}`).want(u.t).into(u.t, &d)
	return string(d.Values)
}

// check asks whether a password, in JSON, is right.
func (u *ui) check(password string, right bool) {
	u.t.Helper()
	u.ask("checkPassword", `{"dbPasswordOpt":`+password+`}`).want(u.t, fmt.Sprintf(`"matches":%t`, right))
}

// secrets asks for the configuration with a password, in JSON, and whether the
// secrets are in it.
func (u *ui) secrets(password string, there bool) {
	u.t.Helper()
	var c struct {
		PastNeighbors []string `json:"pastNeighbors"`
	}
	u.ask("configuration", `{"dbPasswordOpt":`+password+`}`).want(u.t).into(u.t, &c)
	if got := len(c.PastNeighbors) == 1 && c.PastNeighbors[0] == neighbor; got != there || !there && len(c.PastNeighbors) > 0 {
		u.t.Errorf("with password %s the past neighbors are %q", password, c.PastNeighbors)
	}
}
