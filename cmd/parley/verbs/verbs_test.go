package verbs

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"parley/cmd/parley/talk/fake"
)

func TestSetupShows(t *testing.T) {
	run(t, alone(t), "", "setup").expect(t, 0, `NAME            VALUE             STATUS
chain           dev               Default
data-directory  /var/lib/parley   Default
db-password     ****************  Set
log-level       debug\x1b[2J      Set
neighbors                         Required

To be put right before the Node can start:
neighbors  needed for consume-only\u202e; set it
`, "")
	daemon, _ := both(t)
	o := run(t, daemon, "", "setup")
	if !strings.HasSuffix(o.out, "\nThe Node runs with these settings; they can be changed after: parley shutdown\n") {
		t.Error(o.out)
	}
	run(t, alone(t), "", "setup", "--json").expect(t, 0,
		strings.ReplaceAll(fmt.Sprintf(space, false), "\n", "")+"\n", "")
}

func TestSetupSets(t *testing.T) {
	daemon := alone(t)
	run(t, daemon, "hidden\n", "setup", "--log-level", "debug", "--chain", "--ip=", "--node-name=--odd", "--db-password").expect(t, 0, `NAME         VALUE             STATUS
chain        dev               Default
db-password  ****************  Set
log-level    debug\x1b[2J      Set

To be put right before the Node can start:
neighbors  needed for consume-only\u202e; set it
`, "")
	want := `{"values":[{"name":"log-level","value":"debug"},{"name":"chain","value":null},{"name":"ip","value":""},` +
		`{"name":"node-name","value":"--odd"},{"name":"db-password","value":"hidden"}]}` + "\n"
	if diff := cmp.Diff(want, daemon.Payloads("setup")); diff != "" {
		t.Error(diff)
	}
	daemon = alone(t)
	run(t, daemon, "\n", "setup", "--db-password", "--json")
	if got, want := daemon.Payloads("setup"), `{"values":[{"name":"db-password","value":null}]}`+"\n"; got != want {
		t.Errorf("want %s, got %s", want, got)
	}
}

// TestSetupIsTakenWithAProblem : what does not go with something else is stored all
// the same, and not called refused.
func TestSetupIsTakenWithAProblem(t *testing.T) {
	daemon := alone(t)
	daemon.On["setup"] = fake.Reply(`{"running":false,"values":[{"name":"chain","value":"dev","status":"Default"},` +
		`{"name":"clandestine-port","value":"9999","status":"Set"}],` +
		`"errors":[["chain","is needed elsewhere"],["clandestine-port","is that of something else"]]}`)
	const problems = "\nTo be put right before the Node can start:\n" +
		"chain             is needed elsewhere\nclandestine-port  is that of something else\n"
	run(t, daemon, "", "setup", "--clandestine-port", "09999", "--chain").expect(t, 0,
		"NAME              VALUE  STATUS\nchain             dev    Default\nclandestine-port  9999   Set\n"+problems, "")
	run(t, daemon, "", "setup", "--clandestine-port", "9998").expect(t, 1, "",
		"parley: setup: nothing was changed:\n  clandestine-port: is that of something else\n")
	daemon.On["setup"] = fake.Reply(`{"running":false,"values":[{"name":"neighbors","value":"parley://****************@10.0.0.1:1?name=ben","status":"Set"}],` +
		`"errors":[["neighbors","is not for this mode"]]}`) // seen without its token
	run(t, daemon, "", "setup", "--neighbors", "parley://TokenThatNobodySees0123456@10.0.0.1:1?name=ben").expect(t, 0,
		"NAME       VALUE                                          STATUS\nneighbors  parley://****************@10.0.0.1:1?name=ben  Set\n"+
			"\nTo be put right before the Node can start:\nneighbors  is not for this mode\n", "")
}

func TestSetupIsRefused(t *testing.T) {
	run(t, alone(t), "", "setup", "--neighbors", "x", "--chain", "dev").expect(t, 1, "", `parley: setup: nothing was changed:
  neighbors: needed for consume-only\u202e; set it
`)
	daemon, _ := both(t)
	run(t, daemon, "", "setup", "--chain", "dev").expect(t, 1, "",
		"parley: setup: nothing was changed: the Node runs, with these settings; stop it first: parley shutdown\n")
	for args, want := range map[string]string{
		"--db-password marker":      "--db-password: other users of this machine can read the command line; give it without a value, and it is asked for",
		"--db-pasword marker":       "no parameter is called --db-pasword; did you mean --db-password?",
		"--no-such-flag":            `no parameter is called --no-such-flag; see "parley setup --help"`,
		"chain":                     `"chain" is no name; write --NAME VALUE, and see "parley setup --help"`,
		"--chain a --chain b":       "--chain is given twice; give it once",
		"--trust-user":              `--trust-user needs a value; see "parley setup --help"`,
		"--ui-port x":               `--ui-port (or PARLEY_UI_PORT): "x" is no port; give 1 to 65535`,
		"--json=maybe":              `strconv.ParseBool: parsing "maybe": invalid syntax; see "parley setup --help"`,
		"--trust-user 4294967296":   "--trust-user: 4294967296 is no user's number",
		"--db-password --ui-port 1": "db-password: standard input has no line for it; write it there, or run this on a terminal",
	} {
		daemon := alone(t)
		o := as(t.Context(), uint32(os.Geteuid()), "", append([]string{"setup"}, strings.Fields(strings.ReplaceAll(args, "--ui-port 1", fmt.Sprint("--ui-port ", daemon.Port)))...)...)
		if o.code != 2 || !strings.Contains(o.err, want) || strings.Contains(o.err, "marker") || len(daemon.Heard()) > 0 {
			t.Errorf("%s: want %q, got %+v", args, want, o)
		}
	}
}

// TestStrangersGetNoSecrets and are named, before anything is sent.
func TestStrangersGetNoSecrets(t *testing.T) {
	const stranger = 54321
	daemon, node := both(t)
	daemon.On["setup"] = fake.Reply(strings.ReplaceAll(fmt.Sprintf(space, false), `"data-directory","value":"/var/lib/parley"`, `"real-user","value":"1:1:/"`))
	node.On["checkPassword"] = fake.Reply(`{"matches":true}`)
	port := fmt.Sprint(daemon.Port)
	note := fmt.Sprintf("parley: note: the Daemon on port %s is run by uid 54321, which is neither root nor you; it gets no passwords from here\n", port)
	as(t.Context(), stranger, "marker\n", "setup", "--db-password", "--ui-port", port).expect(t, 1, "", note+
		"parley: setup: nothing secret was sent: the Daemon on port "+port+" is run by uid 54321, which is neither root nor you; if that user may know it, give: --trust-user 54321\n")
	as(t.Context(), stranger, "", "setup", "--neighbors", "parley://marker@h:1", "--ui-port", port).expect(t, 1, "", note+
		"parley: setup: nothing secret was sent: the Daemon on port "+port+" is run by uid 54321, which is neither root nor you; if that user may know it, give: --trust-user 54321\n")
	as(t.Context(), stranger, "marker\n", "check-password", "--ui-port", port).expect(t, 1, "", note+
		fmt.Sprintf("parley: check-password: nothing secret was sent: the Node on port %d is run by uid 54321, which is neither root nor you; if that user may know it, give: --trust-user 54321\n", node.Port))
	for _, s := range []*fake.Server{daemon, node} {
		for _, m := range s.Heard() {
			if strings.Contains(string(m.Payload), "marker") {
				t.Errorf("%s was sent %s", m.Opcode, m.Payload)
			}
		}
	}
	as(t.Context(), stranger, "marker\n", "check-password", "--ui-port", port, "--trust-user", "54321").expect(t, 0, "the password is right\n", "")
	as(t.Context(), 0, "marker\n", "check-password", "--ui-port", port).expect(t, 0, "the password is right\n", "")
}

func TestStart(t *testing.T) {
	daemon := alone(t)
	daemon.On["start"] = func(c *fake.Conn, m fake.Message) {
		c.Cast("setup", `{"running":true,"values":[],"errors":[]}`)
		c.Answer(m, `{"newProcessId":77, "redirectUiPort":4001}`)
	}
	run(t, daemon, "", "start").expect(t, 0, "the Node runs: pid 77, user interfaces on port 4001\n", "")
	run(t, daemon, "", "start", "--json").expect(t, 0, `{"newProcessId":77,"redirectUiPort":4001}`+"\n", "")
	for _, c := range []struct {
		code uint64
		text string
		want string
	}{
		{1<<63 | 1, "Could not launch Node: bad\x1b chain\nline two", "Could not launch Node: bad\\x1b chain\n  line two\n  see what it is started with: parley setup"},
		{1<<63 | 1, "Could not launch Node: see parley setup", "Could not launch Node: see parley setup"},
		{1<<63 | 3, "Could not launch Node: already running", "Could not launch Node: already running; look with: parley status"},
		{0x50<<48 | 1, "you may not", "you may not"},
	} {
		daemon := alone(t)
		daemon.On["start"] = func(conn *fake.Conn, m fake.Message) { conn.Fault(m, c.code, c.text) }
		run(t, daemon, "", "start").expect(t, 1, "", "parley: start: "+c.want+"\n")
	}
	daemon = alone(t)
	daemon.On["start"] = fake.Reply(`{"newProcessId":"77"}`)
	if o := run(t, daemon, "", "start"); o.code != 1 || !strings.Contains(o.err, `the answer to "start" makes no sense`) {
		t.Errorf("got %+v", o)
	}
}

func TestShutdown(t *testing.T) {
	for name, last := range map[string]func(c *fake.Conn, m fake.Message){
		"answers":       func(c *fake.Conn, m fake.Message) { c.Answer(m, `{}`); c.Bye(1001, "") },
		"is in a hurry": func(c *fake.Conn, _ fake.Message) { c.Drop() },
	} {
		daemon, node := both(t)
		var asked atomic.Int32
		daemon.Greet = func(c *fake.Conn) {
			for i := range strings.Count(node.Payloads("shutdown"), "\n") { // one Node after the other
				c.Cast("crashed", fmt.Sprintf(`{"processId":%d,"crashReason":"NoInformation","exitCode":0,"signal":null,"requested":true,"lastLines":[]}`, 7+i))
			}
		}
		daemon.On["setup"] = func(c *fake.Conn, m fake.Message) {
			c.Answer(m, fmt.Sprintf(space, asked.Add(1) < 3)) // its process ends a little later
		}
		node.On["shutdown"] = last
		o := run(t, daemon, "", "shutdown")
		if o != (outcome{0, "the Node has ended\n", ""}) || asked.Load() != 3 {
			t.Errorf("%s: got %+v after %d questions", name, o, asked.Load())
		}
		if o := run(t, daemon, "", "shutdown", "--json"); o.out != `{"stopped":true}`+"\n" {
			t.Errorf("%s: got %+v", name, o)
		}
	}
	run(t, alone(t), "", "shutdown").expect(t, 3, "", "parley: shutdown: no Node is running; start one with: parley start\n")
}

func TestNobodyIsThere(t *testing.T) {
	daemon := fake.Listen(t)
	daemon.Stop()
	o := run(t, daemon, "", "descriptor")
	if want := fmt.Sprintf("; start one with: parley up --ui-port %d\n", daemon.Port); o.code != 3 || !strings.HasSuffix(o.err, want) || !strings.HasPrefix(o.err, "parley: descriptor: no Daemon answers on port") {
		t.Errorf("got %+v", o)
	}
	t.Setenv(PortVariable, "nonsense")
	if o := as(t.Context(), 0, "", "descriptor"); o.code != 2 || !strings.Contains(o.err, "PARLEY_UI_PORT") {
		t.Errorf("got %+v", o)
	}
	t.Setenv(PortVariable, fmt.Sprint(alone(t).Port))
	as(t.Context(), 0, "", "descriptor").expect(t, 3, "", "parley: descriptor: no Node is running; start one with: parley start\n")
}

func TestSmallOnes(t *testing.T) {
	daemon, node := both(t)
	node.On["connectionStatus"] = fake.Reply(`{"stage":"RouteFound"}`)
	node.On["peers"] = fake.Reply(`{"peers":[{"name":"b\u001b","address":"10.0.0.2:8912"}]}`)
	node.On["channels"] = fake.Reply(`{"channels":[]}`)
	node.On["setConfiguration"] = fake.Reply(`{}`)
	for _, c := range []struct {
		args, out string
	}{
		{"descriptor", "none: other nodes cannot reach this one; name its address with: parley setup --ip ADDRESS (or --public-url), and have it listen there (--relay-address)\n"},
		{"descriptor --json", `{"nodeDescriptorOpt":null}` + "\n"},
		{"connection-status", "RouteFound: in step with the mesh\n"},
		{"connection-status --json", `{"stage":"RouteFound"}` + "\n"},
		{"peers", "NAME   ADDRESS        LINK      LATENCY  SINCE  FRAMES\nb\\x1b  10.0.0.2:8912  accepted  -        -\n"},
		{"peers --json", `{"peers":[{"name":"b\u001b","address":"10.0.0.2:8912"}]}` + "\n"},
		{"channels", "no channels\n"},
		{"set-configuration --log-level debug --enclave-alias=me", "log-level      debug\nenclave-alias  me\n"},
		{"set-configuration --json --log-level debug", `{"changed":1}` + "\n"},
	} {
		run(t, daemon, "", strings.Fields(c.args)...).expect(t, 0, c.out, "")
	}
	want := `{"name":"log-level","value":"debug"}` + "\n" + `{"name":"enclave-alias","value":"me"}` + "\n" + `{"name":"log-level","value":"debug"}` + "\n"
	if diff := cmp.Diff(want, node.Payloads("setConfiguration")); diff != "" {
		t.Error(diff)
	}
	node.On["setConfiguration"] = func(c *fake.Conn, m fake.Message) { c.Fault(m, 281474976710668, "no such level") }
	run(t, daemon, "", "set-configuration", "--log-level", "x").expect(t, 1, "", "parley: set-configuration: no such level\n")
	for _, args := range []string{"set-configuration", "set-configuration --log-level", "set-configuration --chain x", "crash"} {
		if o := run(t, daemon, "", strings.Fields(args)...); o.code != 2 {
			t.Errorf("%s: got %+v", args, o)
		}
	}
}

func TestPasswords(t *testing.T) {
	daemon, node := both(t)
	right := func(c *fake.Conn, m fake.Message) {
		c.Answer(m, fmt.Sprintf(`{"matches":%v}`, strings.Contains(string(m.Payload), `"right"`)))
	}
	node.On["checkPassword"] = right
	node.On["changePassword"] = fake.Reply(`{}`)
	node.On["configuration"] = fake.Reply(`{"clandestinePort":8912,"nodeName":"n","pastNeighbors":["parley://t@h:1"],"gateways":[{"name":"relay","address":"127.0.0.1:8912"}],"currentSchemaVersion":"1","neighborhoodMode":"standard","chainName":"dev"}`)
	run(t, daemon, "right", "check-password").expect(t, 0, "the password is right\n", "")
	run(t, daemon, "right\r\n", "check-password", "--json").expect(t, 0, `{"matches":true}`+"\n", "")
	run(t, daemon, "wrong\n", "check-password").expect(t, 1, "", "parley: check-password: that is not the database's password; try again, or set the first one with: parley set-password\n")
	run(t, daemon, "wrong\n", "check-password", "--json").expect(t, 1, `{"matches":false}`+"\n", "")
	run(t, daemon, "\n", "check-password").expect(t, 1, "", "parley: check-password: the database has a password\n")
	run(t, daemon, "new\n", "set-password").expect(t, 0, "the password is set\n", "")
	run(t, daemon, "\n", "set-password").expect(t, 1, "", "parley: set-password: a blank password protects nothing; nothing was changed\n")
	run(t, daemon, "old\nnew", "change-password", "--json").expect(t, 0, "{}\n", "")
	run(t, daemon, "right\n", "configuration", "--password").expect(t, 0, `NAME               VALUE
node-name          n
chain              dev
neighborhood-mode  standard
clandestine-port   8912
schema version     1
past neighbors     parley://t@h:1
relay gateway      127.0.0.1:8912
`, "")
	run(t, daemon, "", "configuration")
	if o := run(t, daemon, strings.Repeat("x", maxSecret+1), "check-password"); o.code != 2 {
		t.Errorf("got %+v", o)
	}
	if o := run(t, daemon, "\xff\n", "check-password"); o.code != 2 || strings.Contains(o.err, "\xff") {
		t.Errorf("got %+v", o)
	}
	if o := run(t, daemon, "old\n", "change-password"); o.code != 2 {
		t.Errorf("got %+v", o)
	}
	want := `{"oldPasswordOpt":null,"newPassword":"new"}` + "\n" + `{"oldPasswordOpt":"old","newPassword":"new"}` + "\n"
	if diff := cmp.Diff(want, node.Payloads("changePassword")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(`{"dbPasswordOpt":"right"}`+"\n{}\n", node.Payloads("configuration")); diff != "" {
		t.Error(diff)
	}
	run(t, alone(t), "", "check-password").expect(t, 3, "", "parley: check-password: no Node is running; start one with: parley start\n")
}

func TestCrash(t *testing.T) {
	daemon, node := both(t)
	daemon.Greet = func(c *fake.Conn) {
		for i := range strings.Count(node.Payloads("crash"), "\n") { // one Node after the other
			c.Cast("crashed", fmt.Sprintf(`{"processId":%d,"crashReason":{"Unrecognized":"panic: only\na test"},"exitCode":2,"signal":null,"requested":false,"lastLines":["panic: only","a test"]}`, 7+i))
		}
	}
	node.On["crash"] = func(c *fake.Conn, _ fake.Message) { c.Drop() }
	run(t, daemon, "", "crash", "--actor", "relay", "--message", "only").expect(t, 0,
		"the Node crashed: exit code 2 (pid 7); its last lines:\n  | panic: only\n  | a test\n", "")
	if got, want := node.Payloads("crash"), `{"actor":"relay","panicMessage":"only"}`+"\n"; got != want {
		t.Error(got)
	}
	if o := run(t, daemon, "", "crash", "--actor", "relay", "--json"); o.code != 0 || !strings.HasPrefix(o.out, `{"processId":8,`) {
		t.Errorf("got %+v", o)
	}
	daemon, _ = both(t) // takes no notice
	if o := run(t, daemon, "", "crash", "--actor", "relay"); o.code != 1 || !strings.Contains(o.err, "setup --crash-point message") {
		t.Errorf("got %+v", o)
	}
}

// watched is written by a verb and read by a test.
type watched struct {
	mu sync.Mutex
	b  strings.Builder
}

func (w *watched) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(b)
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.String()
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	end := time.After(time.Minute)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-end:
			t.Fatalf("no %s", what)
		case <-tick.C:
		}
	}
}

// TestLogsFollowTheNode to its end, and on to the next one.
func TestLogsFollowTheNode(t *testing.T) {
	daemon := alone(t)
	daemon.On["subscribe"] = fake.Reply(`{}`)
	first, second := fake.Listen(t), fake.Listen(t)
	var now atomic.Pointer[fake.Server]
	var gone atomic.Bool
	daemon.Else = func(c *fake.Conn, m fake.Message) {
		if n := now.Load(); n != nil {
			c.Redirect(m, n.Port)
			return
		}
		fake.NoNode(c, m)
	}
	daemon.Greet = func(c *fake.Conn) {
		if gone.Load() {
			c.Cast("crashed", `{"processId":7,"crashReason":"NoInformation","signal":"killed"}`)
		}
	}
	for i, n := range []*fake.Server{first, second} {
		n.On["descriptor"] = fake.Reply(`{}`)
		n.On["subscribe"] = func(c *fake.Conn, m fake.Message) {
			c.Answer(m, `{}`)
			c.Cast("logBroadcast", fmt.Sprintf(`{"msg":"of %d\u001b[31m","logLevel":"Warn"}`, i))
			c.Cast("connectionChange", `{"stage":"RouteFound"}`)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	var out, notes watched
	done := make(chan outcome, 1)
	go func() {
		done <- into(ctx, uint32(os.Geteuid()), "", &out, &notes, "logs", "--level", "debug", "--ui-port", fmt.Sprint(daemon.Port))
	}()
	eventually(t, "note", func() bool { return strings.Contains(notes.String(), "waiting for one") })
	now.Store(first)
	daemon.Each(func(c *fake.Conn) { c.Cast("nodeStarted", `{"newProcessId":7,"redirectUiPort":1}`) })
	eventually(t, "line", func() bool { return out.String() == "Warn   of 0\\x1b[31m\n" })
	now.Store(nil)
	gone.Store(true)
	first.Stop()
	eventually(t, "note", func() bool { return strings.Count(notes.String(), "waiting for one") == 2 })
	now.Store(second)
	daemon.Each(func(c *fake.Conn) { c.Cast("nodeStarted", `{"newProcessId":8,"redirectUiPort":1}`) })
	eventually(t, "line", func() bool { return strings.HasSuffix(out.String(), "Warn   of 1\\x1b[31m\n") })
	cancel()
	wait := "parley: logs: no Node is running; waiting for one (start it with: parley start)\n"
	(<-done).expect(t, 0, out.String(), wait+"parley: logs: the Node has ended: ended by signal killed (pid 7)\n"+wait)
	if got, want := second.Payloads("subscribe"), `{"opcodes":["logBroadcast"],"minLogLevel":"Debug"}`+"\n"; got != want {
		t.Error(got)
	}
}

func TestStatus(t *testing.T) {
	daemon, node := both(t)
	node.On["configuration"] = fake.Reply(`{"clandestinePort":8912,"nodeName":"attic","chainName":"dev","neighborhoodMode":"standard","gateways":[{"name":"relay","address":"127.0.0.1:1"},{"name":"star","address":"127.0.0.1:9","multiaddr":"/ip4/127.0.0.1/tcp/9/ws/p2p-websocket-star"}]}`)
	node.On["connectionStatus"] = fake.Reply(`{"stage":"NotConnected"}`)
	uid, pid := os.Geteuid(), os.Getpid()
	run(t, daemon, "", "status").expect(t, 0, fmt.Sprintf(`Daemon      runs, port %d, pid %d, uid %d
Node        runs, port %d, pid %d, uid %d
Name        attic, chain dev, standard
Connection  NotConnected: not connected to other nodes
Gateways    relay 127.0.0.1:1
            star 127.0.0.1:9, /ip4/127.0.0.1/tcp/9/ws/p2p-websocket-star
Relay       unknown: it does not answer
Unsafe      nothing
To mend     neighbors: needed for consume-only\u202e; set it
`, daemon.Port, pid, uid, node.Port, pid, uid), "")
	run(t, daemon, "", "status", "--json").expect(t, 0, fmt.Sprintf(`{"daemon":{"running":true,"port":%d,"pid":%d,"uid":%d},`+
		`"node":{"running":true,"port":%d,"pid":%d,"uid":%d,"name":"attic","chain":"dev","mode":"standard","stage":"NotConnected",`+
		`"gateways":[{"name":"relay","address":"127.0.0.1:1"},{"name":"star","address":"127.0.0.1:9","multiaddr":"/ip4/127.0.0.1/tcp/9/ws/p2p-websocket-star"}]},`+
		`"health":{"healthy":"unknown","reason":"it does not answer"},"unsafe":[],`+
		`"setupErrors":[{"name":"neighbors","text":"needed for consume-only\u202e; set it"}]}`+"\n", daemon.Port, pid, uid, node.Port, pid, uid), "")

	daemon = alone(t)
	run(t, daemon, "", "status").expect(t, 3, fmt.Sprintf(`Daemon   runs, port %d, pid %d, uid %d
Node     does not run; start it with: parley start
Unsafe   nothing
To mend  neighbors: needed for consume-only\u202e; set it
`, daemon.Port, pid, uid), "")
	daemon.Stop()
	run(t, daemon, "", "status").expect(t, 3, fmt.Sprintf(`Daemon  none answers on port %d; start one with: parley up
Node    not known without a Daemon
`, daemon.Port), "")
	run(t, daemon, "", "status", "--json").expect(t, 3, fmt.Sprintf(`{"daemon":{"running":false,"port":%d},"node":{"running":false},"unsafe":[],"setupErrors":[]}`+"\n", daemon.Port), "")
}

func TestStats(t *testing.T) {
	daemon, node := both(t)
	node.On["nodeStats"] = fake.Reply(`{"relay":{"channels":["a"],"clients":2,"channel_connections":{"a\u202e":2}},` +
		`"network":{"packets":{"1s":1,"15s":20,"60s":300},"bandwidth":{"1s":0.5,"15s":1,"60s":2},"out":{"1s":1,"15s":2,"60s":3}},` +
		`"channels":{"a\u202e":{"packets":{"1s":1,"15s":20,"60s":300},"bandwidth":{"1s":0.5,"15s":1,"60s":2},"out":{"1s":1,"15s":2,"60s":3}}}}`)
	node.On["hostStats"] = fake.Reply(`{"cpu":{"1m":0.5,"5m":0.25,"15m":0.1},"mem":{"used":1073741824,"free":1,"cache":2147483648,"total":4294967296},` +
		`"disk":[{"mount":"/","used":100,"free":2048,"total":3000000}],"network":{"bytes":{"15s_in":1,"15s_out":2,"60s_in":1024,"60s_out":4096},"packets":{}}}`)
	run(t, daemon, "", "stats").expect(t, 0, `clients: 2, channels: 1

TRAFFIC              LAST 1 s  15 s  60 s
messages             1         20    300
kb/s                 0.5       1.0   2.0
deliveries           1         2     3
a\u202e: messages    1         20    300
a\u202e: kb/s        0.5       1.0   2.0
a\u202e: deliveries  1         2     3

HOST
load, 1, 5, 15 min  0.50  0.25  0.10
memory              1.0 GiB used, 2.0 GiB available of 4.0 GiB
disk /              100 B used, 2.0 KiB free of 2.9 MiB
network, last 60 s  1.0 KiB in, 4.0 KiB out
`, "")
	if o := run(t, daemon, "", "stats", "--json"); o.code != 0 || !strings.HasPrefix(o.out, `{"node":{"relay":`) || !strings.Contains(o.out, `,"host":{"cpu":`) {
		t.Errorf("got %+v", o)
	}
}

func TestProcessOf(t *testing.T) {
	if got := processOf(netip.MustParseAddrPort("[::1]:1"), netip.MustParseAddrPort("[::1]:2")); got != 0 {
		t.Error(got)
	}
	if got := procAddress(netip.MustParseAddrPort("127.0.0.1:5333")); got != "0100007F:14D5" && got != "7F000001:14D5" {
		t.Error(got)
	}
}
