package enclave

import (
	"bytes"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/messages/enclavepb"
	"parley/testkit"
)

// TestBook adds, changes, ignores and removes contacts.
func TestBook(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		w := newWorld(t, d)
		n := w.add("10.0.0.1", nil)
		want := func(lines ...string) {
			t.Helper()
			if got := n.contacts(); !slices.Equal(got, lines) {
				t.Errorf("contacts are %q, want %q", got, lines)
			}
		}
		want()
		n.must(add("::ffff:10.0.0.2", "Bo"), add("[fe80::2%eth0]:99", ""), add("10.0.0.3:7", "Al"))
		want(`fe80::2%eth0 "" FRIEND 0 held=0`, `10.0.0.3 "Al" FRIEND 0 held=0`, `10.0.0.2 "Bo" FRIEND 0 held=0`)
		n.must(add("10.0.0.2", ""), add("10.0.0.2:8", "Bob"), ignore("Al"), ignore("10.0.0.9"))
		want(`10.0.0.9 "" IGNORED 0 held=0`, `fe80::2%eth0 "" FRIEND 0 held=0`, `10.0.0.3 "Al" IGNORED 0 held=0`, `10.0.0.2 "Bob" FRIEND 0 held=0`)
		n.must(accept("10.0.0.3", ""), remove("Bob"), remove("10.0.0.9"))
		want(`fe80::2%eth0 "" FRIEND 0 held=0`, `10.0.0.3 "Al" FRIEND 0 held=0`)
		for command, reason := range map[*enclavepb.Command]string{
			add("somebody", ""):                       "is no address",
			add("0.0.0.0", ""):                        "is no address",
			add("224.0.0.1", ""):                      "is no address",
			add("255.255.255.255", ""):                "is no address",
			add("10.0.0.2:0", ""):                     "is no address",
			add("fe80::1%a/b", ""):                    "is no address",
			add("10.0.0.4", "al"):                     "is the name of 10.0.0.3",
			add("10.0.0.4", "10.0.0.5"):               "a name is no address",
			add("10.0.0.4", " x"):                     "with a space",
			add("10.0.0.4", "a\x1b[2J"):               "control characters",
			add("10.0.0.4", "\xff"):                   "UTF-8",
			add("10.0.0.4", strings.Repeat("x", 129)): "too long",
			remove("nobody"):                          `no contact "nobody"`,
			remove(""):                                "no contact",
			ignore("nobody"):                          "no contact",
			send("nobody", "x"):                       "no contact",
			send("", "x"):                             "no contact",
			{Body: &enclavepb.Command_Status{}}:       "a status is",
			{Body: &enclavepb.Command_History{}}:      "do not know",
			{Body: &enclavepb.Command_Add{Add: &enclavepb.Add{Address: "10.0.0.4", Notes: strings.Repeat("x", notesMost+1)}}}: "too long",
		} {
			if got := n.refuses(command); !strings.Contains(got, reason) {
				t.Errorf("%v: %q, want %q", command, got, reason)
			}
		}
		w.stop()
	})
}

// TestBookStored has a node end and start again: contacts and what was seen of
// them are still there.
func TestBookStored(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		var log bytes.Buffer
		w := newWorld(t, d, testkit.Logging(func(slog.Handler) slog.Handler { return slog.NewTextHandler(&log, nil) }))
		store := &paperStore{}
		n := w.addWith("10.0.0.1", func(n *node) { n.store = store })
		n.must(add("10.0.0.2:8", "Bo"), ignore("10.0.0.3"), add("10.0.0.4", ""))
		n.must(remove("10.0.0.4"))
		e := n.call("10.0.0.2:5").say(shake("bob", Busy))
		seen := time.Now().Unix()
		d.Run(saveEvery)
		writes := len(store.writes)
		for range 100 { // not for each change
			e.say(shake("bob2", Away), shake("bob", Busy))
		}
		d.Run(saveEvery)
		if n := len(store.writes) - writes; n > 2 {
			t.Errorf("%d writes", n)
		}
		n.kill()
		store.records[contactPrefix+"10.0.0.5"] = "\xff"
		store.records[contactPrefix+"10.0.0.6"] = store.records[contactPrefix+"10.0.0.2"]
		store.corrupt = []string{contactPrefix + "10.0.0.7"}
		n.start()
		d.Settle()
		if got, want := n.contacts(), []string{`10.0.0.3 "" IGNORED 0 held=0`, `10.0.0.2 "Bo" FRIEND 0 held=0`}; !slices.Equal(got, want) {
			t.Errorf("contacts are %q, want %q", got, want)
		}
		c := n.must(list())[0].GetContacts()[1]
		if c.GetPort() != 8 || c.GetPresence().GetAlias() != "bob" || c.GetLastSeen() < uint64(seen) || c.GetPresence().GetStatusMessage() != "" {
			t.Errorf("contact is %v", c)
		}
		for _, address := range []string{"10.0.0.5", "10.0.0.6", "10.0.0.7"} {
			if !strings.Contains(log.String(), "left out: add it again\" address="+address) {
				t.Errorf("log does not tell of %s:\n%s", address, &log)
			}
		}
		w.stop()
	})
}

// TestBookWaitsForStore answers when the store has it, and one after the other.
func TestBookWaitsForStore(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		w := newWorld(t, d, testkit.ExpectFailures(1))
		store := &paperStore{}
		n := w.addWith("10.0.0.1", func(n *node) { n.store = store })
		n.must(add("10.0.0.2", "a"))
		store.mute = true
		if got := n.ask(add("10.0.0.3", "b"), add("10.0.0.4", "b"), list()); len(got) != 0 {
			t.Fatalf("answered %v", got)
		}
		d.Run(storeTimeout) // nobody knows whether that was stored; the next one is under way
		if len(n.results) != 1 || !strings.Contains(n.results[0].GetReason(), "it is not known whether") {
			t.Fatalf("answered %v", n.results)
		}
		store.mute = false
		d.Run(storeTimeout)
		if len(n.results) != 3 || !strings.Contains(n.results[1].GetReason(), "not known") || len(n.results[2].GetContacts()) != 1 {
			t.Fatalf("answered %v", n.results)
		}
		store.refuse = "disk full"
		if got := n.refuses(ignore("a")); !strings.Contains(got, "could not be stored: disk full") {
			t.Error(got)
		}
		store.refuse = ""
		store.fail = true
		if got := n.refuses(ignore("a")); !strings.Contains(got, "it failed") {
			t.Error(got)
		}
		store.fail, store.mute = false, true
		n.ask(ignore("a"))
		n.fail(n.sibling(nameBook)) // and what was asked is answered
		d.Settle()
		if len(n.results) != 1 || n.results[0].GetOk() {
			t.Errorf("answered %v", n.results)
		}
		store.mute = false
		if got, want := n.contacts(), []string{`10.0.0.2 "a" FRIEND 0 held=0`}; !slices.Equal(got, want) {
			t.Errorf("contacts are %q, want %q", got, want)
		}
		store.mute = true
		for range changesMost + 1 {
			n.ask(ignore("a"))
		}
		if got := n.refuses(ignore("a")); got != reasonBusy {
			t.Error(got)
		}
		w.stop()
	})
}

// TestBookUnread has a store that cannot be read at first: commands are refused
// with the reason, callers wait.
func TestBookUnread(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		w := newWorld(t, d)
		store := &paperStore{blind: "broken", records: map[string]string{}}
		c := &enclavepb.Contact{Address: "10.0.0.2", State: enclavepb.State_STATE_FRIEND}
		store.records[contactPrefix+"10.0.0.2"] = string(record(c).GetValue())
		n := w.addWith("10.0.0.1", func(n *node) { n.store = store })
		n.ask(add("10.0.0.3", ""))
		e := n.call("10.0.0.2:9").say(shake("bo", Available))
		d.Run(readAgain - time.Millisecond)
		if len(e.heard) != 0 || e.gone {
			t.Error("decided about a caller without the address book")
		}
		store.blind = ""
		d.Run(time.Second)
		if len(n.results) != 1 || !n.results[0].GetOk() {
			t.Errorf("answered %v", n.results)
		}
		if len(e.heard) == 0 || !slices.Contains(n.told(), `status 10.0.0.2 "bo" 1 "" held=0`) {
			t.Error("the caller is no friend")
		}
		w.stop()
	})
}
