package life_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"parley/testkit/enclave"
)

// Addresses of the paper, and who has them here.
var paperAddresses = strings.NewReplacer(`"10.0.0.2"`, `"127.0.9.81"`, `"10.0.0.3"`, `"127.0.9.82"`)

var (
	paperLine = regexp.MustCompile(`(?m)^    ([<>]) (\{.*\})$`)
	// paperVaries is what is another each time.
	paperVaries = regexp.MustCompile(`"(timestamp|count)":[0-9]+`)
)

// plainly is a line as it is compared.
func plainly(text string) string { return paperVaries.ReplaceAllString(text, `"$1":0`) }

// paper is the lines that a front end writes and reads in PROTOCOL.md.
func paper(t testing.TB) (typed, read []string) {
	t.Helper()
	b, err := os.ReadFile("../../gateways/enclave/PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range paperLine.FindAllStringSubmatch(string(b), -1) {
		if text := paperAddresses.Replace(m[2]); m[1] == ">" {
			typed = append(typed, text)
		} else {
			read = append(read, plainly(text))
		}
	}
	return typed, read
}

// TestEnclavePaper plays the front end's part of the protocol's paper: what it
// types, and that all lines come which are shown there, byte for byte but for
// times. What one command brings comes in the order that is shown.
func TestEnclavePaper(t *testing.T) {
	me, ann := joinEnclave(t, "me", "127.0.9.80"), joinEnclave(t, "ann", "127.0.9.81")
	typed, read := paper(t)
	types := func(what string) {
		t.Helper()
		i := slices.IndexFunc(typed, func(text string) bool { return strings.HasPrefix(text, `{"cmd":"`+what+`"`) })
		if i < 0 {
			t.Fatalf("nobody types %s", what)
		}
		me.echo(typed[i])
		typed = slices.Delete(typed, i, i+1)
	}
	types("add")
	ann.does("add", "address", me.at, "name", "Me")
	me.sees(ann.ip, 1, "")
	types("send")
	me.reads("that it was delivered", func(l line) bool { return l.Event == "delivered" })
	ann.does("send", "to", "Me", "message", "Hello yourself")
	me.reads("what ann says", func(l line) bool { return l.Event == "message" && l.Message == "Hello yourself" })
	types("history")
	me.reads("the history", func(l line) bool { return l.Event == "result" && l.Cmd == "history" })
	types("list")
	types("status")
	bob, err := enclave.NewPeer("127.0.9.82:0", "Bob", enclave.Classic)
	if err != nil {
		t.Fatal(err)
	}
	defer bob.Close()
	bob.Know(me.ip, "Me")
	if err := bob.Call(me.at); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"hi", "it is me"} {
		if err := bob.Say(me.ip, text); err != nil {
			t.Fatal(err)
		}
	}
	me.reads("the request", func(l line) bool { return l.Event == "request" && l.Held == 2 })
	me.does("ignore", "address", bob.IP)
	ann.echo(`{"cmd":"status","status":2,"status-message":"lunch"}`)
	me.sees(ann.ip, 2, "lunch")
	ann.end(syscall.SIGKILL)
	me.sees(ann.ip, 0, "")
	me.echo(`{"cmd":"send","to":"Ann","message":"are you there?"}`)
	me.reads("that it waits", func(l line) bool { return l.Event == "queued" })
	unread(t, me)
	last := -1
	for i, want := range read {
		at := -1
		eventually(t, "me reads "+want, func() bool {
			at = slices.Index(me.plain(), want)
			return at >= 0
		}, me.last)
		if i < 3 && at <= last {
			t.Errorf("line %d came too early: %s", at, want)
		}
		last = at
	}
	if len(typed) > 0 || len(read) < 12 {
		t.Errorf("not typed: %q; %d lines are shown", typed, len(read))
	}
}

// plain is all that was read, as it is compared.
func (p *person) plain() (all []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, text := range p.texts {
		all = append(all, plainly(text))
	}
	return all
}

// unread has a node start again whom nobody listens to until more has come than it
// keeps: what was lost is told.
func unread(t testing.TB, p *person) {
	t.Helper()
	p.end(syscall.SIGTERM)
	p.deaf = true
	p.start()
	p.echo(strings.Repeat(`{"cmd":"status","status":7}`+"\n", 1200) + fmt.Sprintf(`{"cmd":"alias","alias":%q}`, "last"))
	u := connect(t, p.port)
	defer u.leave()
	eventually(t, "the last command is carried out", func() bool {
		var c struct{ Own struct{ Alias string } }
		u.ask("contacts", "{}").want(t).into(t, &c)
		return c.Own.Alias == "last"
	}, p.log)
	p.cat()
	p.reads("that lines were lost", func(l line) bool { return l.Event == "dropped" })
}
