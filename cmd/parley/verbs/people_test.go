package verbs

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"parley/cmd/parley/talk/fake"
)

func TestContacts(t *testing.T) {
	daemon, node := both(t)
	node.On["contacts"] = fake.Reply(`{"own":{"alias":"me","status":1,"statusMessage":""},"contacts":[],"more":false}`)
	run(t, daemon, "", "contacts").expect(t, 0, "you are me, available\n", "")
	const people = `{"own":{"alias":"me\u001b","status":3,"statusMessage":"busy\u202e"},"contacts":[` +
		`{"address":"10.0.0.3","port":0,"name":"","state":"pending","alias":"bob\u001b[2J","status":1,"statusMessage":"","notes":"","lastSeen":0,"held":2},` +
		`{"address":"fc12::3","port":7777,"name":"Ann","state":"friend","alias":"ann","status":2,"statusMessage":"lunch","notes":"","lastSeen":0,"held":0},` +
		`{"address":"10.0.0.4","port":7777,"name":"","state":"ignored","alias":"","status":0,"statusMessage":"","notes":"","lastSeen":0,"held":0}],"more":true}`
	node.On["contacts"] = fake.Reply(people)
	run(t, daemon, "", "contacts").expect(t, 0, `you are me\x1b, busy: busy\u202e

NAME  ADDRESS         HOW                 CALLS ITSELF  MESSAGES  LAST SEEN
      10.0.0.3        waits to be let in  bob\x1b[2J    2
Ann   [fc12::3]:7777  away: lunch         ann
      10.0.0.4:7777   ignored
and more
`, "")
	o := run(t, daemon, "", "contacts", "--json")
	if o.code != 0 || strings.ContainsAny(o.out, "\x1b\u202e") {
		t.Errorf("got %+v", o)
	}
	node.On["contacts"] = func(c *fake.Conn, m fake.Message) { c.Fault(m, 281474976710669, "This Node has no Enclave") }
	run(t, daemon, "", "contacts").expect(t, 1, "", "parley: contacts: This Node has no Enclave\n")
}

func TestContactsChange(t *testing.T) {
	for _, c := range []struct{ args, opcode, payload string }{
		{"add 10.0.0.2", "addContact", `{"address":"10.0.0.2"}`},
		{"add [::1]:7777 Ann --notes n", "addContact", `{"address":"[::1]:7777","name":"Ann","notes":"n"}`},
		{"accept 10.0.0.3 Bob", "acceptContact", `{"address":"10.0.0.3","name":"Bob"}`},
		{"ignore Ann", "ignoreContact", `{"address":"Ann"}`},
		{"remove Ann", "removeContact", `{"address":"Ann"}`},
	} {
		daemon, node := both(t)
		node.On[c.opcode] = fake.Reply(`{}`)
		run(t, daemon, "", append([]string{"contacts"}, strings.Fields(c.args)...)...).expect(t, 0, "done\n", "")
		if got := node.Payloads(c.opcode); got != c.payload+"\n" {
			t.Errorf("%s: asked with %s", c.args, got)
		}
	}
	daemon, _ := both(t)
	for args, says := range map[string]string{
		"frob":                       `"frob" is nothing to do with contacts`,
		"add":                        "add: who is missing",
		"add 10.0.0.2 Ann Smith":     `"Smith" is too much`,
		"remove Ann Bob":             `"Bob" is too much`,
		"ignore Ann --notes x":       "ignore takes no --notes",
		"import a b":                 "one file at a time",
		"import /nowhere/parley.tmp": "no such file",
	} {
		o := run(t, daemon, "", append([]string{"contacts"}, strings.Fields(args)...)...)
		if o.code != 2 || !strings.Contains(o.err, says) {
			t.Errorf("%s: want %q, got %+v", args, says, o)
		}
	}
}

func TestImport(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.json")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	daemon, node := both(t)
	for _, opcode := range []string{"addContact", "ignoreContact", "setConfiguration", "setStatus"} {
		node.On[opcode] = fake.Reply(`{}`)
	}
	write(`{"friends": {"fc12::3": "Ann", "fc12::2": null}, "enemies": ["fc12::4"], "alias": "Anon", "statusmsg": "hi", "theme": 1}`)
	run(t, daemon, "", "contacts", "import", file).expect(t, 0, "taken over: 5\n", "")
	for opcode, want := range map[string]string{
		"addContact":       `{"address":"fc12::2"}` + "\n" + `{"address":"fc12::3","name":"Ann"}` + "\n",
		"ignoreContact":    `{"address":"fc12::4"}` + "\n",
		"setConfiguration": `{"name":"enclave-alias","value":"Anon"}` + "\n",
		"setStatus":        `{"status":1,"statusMessage":"hi"}` + "\n",
	} {
		if got := node.Payloads(opcode); got != want {
			t.Errorf("%s: asked with %s, want %s", opcode, got, want)
		}
	}
	node.On["addContact"] = func(c *fake.Conn, m fake.Message) { c.Fault(m, 22517998136852484, "no\x1b") }
	write(`{"friends":{"x\u001b":"Ann"}}`)
	run(t, daemon, "", "contacts", "import", file).expect(t, 1, "taken over: 0\nNOT TAKEN OVER  WHY\nx\\x1b           no\\x1b\n", "")
	run(t, daemon, "", "contacts", "import", file, "--json").expect(t, 1, `{"done":0,"refused":[["x\u001b","no\\x1b"]]}`+"\n", "")
	t.Setenv("HOME", t.TempDir())
	for _, text := range []string{"", "[]", `{"friends":[]}`, `{"friends":{},"friends":{}}`, strings.Repeat(" ", importMost+1)} {
		write(text)
		if o := run(t, daemon, "", "contacts", "import", file); o.code != 2 {
			t.Errorf("%.20q: got %+v", text, o)
		}
	}
	if o := run(t, daemon, "", "contacts", "import"); o.code != 2 || !strings.Contains(o.err, filepath.Join(".enclave", "config.json")) {
		t.Errorf("got %+v", o)
	}
}

func TestPresence(t *testing.T) {
	for _, c := range []struct {
		args    []string
		payload string
	}{
		{[]string{"available"}, `{"status":1}`},
		{[]string{"away", "--message", "back at two"}, `{"status":2,"statusMessage":"back at two"}`},
		{[]string{"busy", "--message", ""}, `{"status":3,"statusMessage":""}`},
	} {
		daemon, node := both(t)
		node.On["setStatus"] = fake.Reply(`{}`)
		run(t, daemon, "", append([]string{"presence"}, c.args...)...).expect(t, 0, "done\n", "")
		if got := node.Payloads("setStatus"); got != c.payload+"\n" {
			t.Errorf("%q: asked with %s", c.args, got)
		}
	}
	for _, args := range [][]string{{}, {"offline"}, {"away", "now"}} {
		if o := as(t.Context(), 0, "", append([]string{"presence"}, args...)...); o.code != 2 {
			t.Errorf("%q: got %+v", args, o)
		}
	}
}

func TestSend(t *testing.T) {
	for _, c := range []struct {
		states []string
		out    string
	}{
		{[]string{"sent", "delivered"}, "delivered\n"},
		{[]string{"queued"}, "queued: it goes as soon as the friend's node can be reached\n"},
		{[]string{"queued", "sent"}, "sent\n"},
		{nil, "taken\n"},
	} {
		daemon, node := both(t)
		node.On["subscribe"] = fake.Reply(`{}`)
		node.On["sendMessage"] = func(conn *fake.Conn, m fake.Message) {
			_, id, _ := strings.Cut(string(m.Payload), `"id":"`)
			id, _, _ = strings.Cut(id, `"`)
			conn.Cast("messageState", `{"to":"x","name":"x","messageId":"other","id":"other","state":"delivered"}`)
			for _, state := range c.states {
				conn.Cast("messageState", fmt.Sprintf(`{"to":"x","name":"x","messageId":"r-1","id":%q,"state":%q}`, id, state))
			}
			conn.Answer(m, `{"messageId":"r-1"}`)
		}
		run(t, daemon, "", "send", "Ann", "see", "you").expect(t, 0, c.out, "")
		if got := node.Payloads("sendMessage"); !strings.HasPrefix(got, `{"to":"Ann","message":"see you","id":"`) {
			t.Errorf("asked with %s", got)
		}
		if got := node.Payloads("subscribe"); got != `{"opcodes":["messageState"]}`+"\n" {
			t.Errorf("subscribed with %s", got)
		}
	}
	daemon, node := both(t)
	node.On["subscribe"] = fake.Reply(`{}`)
	node.On["sendMessage"] = func(c *fake.Conn, m fake.Message) {
		c.Fault(m, 22517998136852484, `there is no contact "Ann"`)
	}
	run(t, daemon, "", "send", "Ann", "x").expect(t, 1, "", "parley: send: there is no contact \"Ann\"\n")
	if o := run(t, daemon, "", "send", "Ann"); o.code != 2 {
		t.Errorf("got %+v", o)
	}
}

func TestHistory(t *testing.T) {
	daemon, node := both(t)
	at := int64(1795219340)
	clock := time.Unix(at, 0).Format(time.DateTime)
	payload := fmt.Sprintf(`{"entries":[{"serial":7,"own":true,"message":"Hello","timestamp":%d,"messageId":"a-1","state":"queued"},`+
		`{"serial":8,"own":true,"message":"you","timestamp":%[1]d,"messageId":"a-2","state":"delivered"},`+
		`{"serial":9,"own":false,"message":"a\u001b\nb","timestamp":%[1]d,"messageId":"","state":""}],"more":true}`, at)
	node.On["history"] = fake.Reply(payload)
	run(t, daemon, "", "history", "Ann", "--most", "3", "--before", "10").expect(t, 0,
		"(older ones: --before 7)\n7  "+clock+"  > Hello  (queued)\n8  "+clock+"  > you\n9  "+clock+"  < a\\x1b\n  b\n", "")
	if got := node.Payloads("history"); got != `{"with":"Ann","most":3,"before":10}`+"\n" {
		t.Errorf("asked with %s", got)
	}
	node.On["history"] = fake.Reply(`{"entries":[],"more":false}`)
	run(t, daemon, "", "history", "Ann").expect(t, 0, "", "")
	node.On["history"] = fake.Reply(`{"entries":[],"more":true}`) // of these nothing can be read
	run(t, daemon, "", "history", "Ann", "--before", "10").expect(t, 0, "(older ones: --before with a lower number)\n", "")
	if o := run(t, daemon, "", "history"); o.code != 2 {
		t.Errorf("got %+v", o)
	}
}

// TestHistoryIsLocked: a password is asked for when it is needed, and not before.
func TestHistoryIsLocked(t *testing.T) {
	daemon, node := both(t)
	node.On["history"] = func(c *fake.Conn, m fake.Message) {
		if !strings.Contains(string(m.Payload), `"dbPasswordOpt":"marker"`) {
			c.Fault(m, 281474976710662, "the history is protected by the database password: give it")
			return
		}
		c.Answer(m, `{"entries":[],"more":false}`)
	}
	run(t, daemon, "marker\n", "history", "Ann").expect(t, 0, "", "")
	run(t, daemon, "wrong\n", "history", "Ann").expect(t, 1, "", "parley: history: the history is protected by the database password: give it\n")
	const stranger = 54321
	before := node.Payloads("history")
	o := as(t.Context(), stranger, "marker\n", "history", "Ann", "--ui-port", fmt.Sprint(daemon.Port))
	if o.code != 1 || !strings.Contains(o.err, "nothing secret was sent") || strings.Contains(strings.TrimPrefix(node.Payloads("history"), before), "marker") {
		t.Errorf("got %+v", o)
	}
}
