package node

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/ui"
	"parley/messages/faultpb"
	"parley/messages/storepb"
	"parley/messages/vaultpb"
	"parley/testkit"
)

func TestSetConfiguration(t *testing.T) {
	onConfiguration(t, 5, nil, func(t *testing.T, c *cabinet) {
		c.did()
		c.set("log-level", "DEBUG").hears(done)
		c.did("log-level=debug")
		c.hears(changed)
		if c.records["config/log-level"] != "debug" {
			t.Errorf("stored %v", c.records)
		}
		c.set("relay-address", "x").hears(ui.Fault(281474976710667, `No parameter "relay-address" can be changed while the Node runs; what the Node is started with is changed by setup`))
		c.set(strings.Repeat("x", 1000), "x").hears(ui.Fault(281474976710667, `No parameter "`+strings.Repeat("x", maxQuoted)+`…" can be changed while the Node runs; what the Node is started with is changed by setup`))
		c.set("log-level", "bad").hears(ui.Fault(281474976710668, `"bad" is no value`))
		c.full = "no room left"
		c.set("log-level", "info").hears(ui.Fault(281474976710658, "The change was not stored: no room left"))
		c.ask(c.configuration, owner, "start", nil).hears(ui.Fault(ui.CodeUnmarshal, `Opcode "start" is not answered here`))
		c.ask(c.configuration, owner, "setConfiguration", nil).hears(ui.Fault(281474976710667, `No parameter "" can be changed while the Node runs; what the Node is started with is changed by setup`))
		c.did()
		c.hears()
	})
}

// TestChangesAreStoredFirst, one at a time, in their order.
func TestChangesAreStoredFirst(t *testing.T) {
	onConfiguration(t, 5, nil, func(t *testing.T, c *cabinet) {
		c.silent, c.asked, c.askers = true, nil, nil
		a := c.set("log-level", "warn")
		a.silent()
		b := c.set("log-level", "debug")
		b.silent()
		x := c.set("log-level", "bad") // needs no store
		x.hears(ui.Fault(ui.CodeUnparsable, `"bad" is no value`))
		c.did()
		if len(c.asked) != 1 {
			t.Errorf("the store is asked %v", c.asked)
		}
		c.speak(0)
		a.hears(done)
		c.did("log-level=warn")
		b.silent()
		c.speak(0) // again: nobody waits for it
		b.silent()
		c.speak(1)
		b.hears(done)
		c.did("log-level=debug")
		c.hears(changed, changed)
	})
}

// TestStoredConfiguration is applied at the start; changes wait for it.
func TestStoredConfiguration(t *testing.T) {
	prepare := func(c *cabinet) {
		c.silent = true
		c.records = map[string]string{
			"config/max-peer-links": "9", "config/log-level": "debug", "config/relay-address": "x", "setup/ip": "1.2.3.4",
		}
		c.corrupt = []string{"config/old"}
	}
	onConfiguration(t, 5, prepare, func(t *testing.T, c *cabinet) {
		a := c.set("log-level", "warn")
		a.silent()
		c.did()
		c.get(nil).leave() // which waits for the safe only
		c.speak(0)
		c.did("log-level=debug", "max-peer-links=9")
		c.hears() // nobody knew anything else
		log := strings.Join(c.log.lines, "\n")
		for _, want := range []string{
			`"ignored a stored parameter that is damaged" name=old`,
			`"ignored a stored parameter that cannot be changed while the node runs" name=relay-address`,
			`"a stored parameter is in effect" name=log-level value=debug`,
		} {
			if !strings.Contains(log, want) {
				t.Errorf("the log does not say %s", want)
			}
		}
		a.silent()
		c.speak(2)
		a.hears(done)
		c.did("log-level=warn")
		c.hears(changed)
	})
	onConfiguration(t, 1, func(c *cabinet) { c.records["config/log-level"] = "bad" }, func(t *testing.T, c *cabinet) {
		c.did()
		if c.logged(`"ignored a stored parameter" name=log-level`) != 1 {
			t.Error("a bad value is not in the log")
		}
	})
}

// TestStoreCannotRead at the start: the node goes on, and tries again.
func TestStoreCannotRead(t *testing.T) {
	prepare := func(c *cabinet) {
		c.broken = "disk on fire"
		c.records["config/log-level"] = "debug"
	}
	onConfiguration(t, 5, prepare, func(t *testing.T, c *cabinet) {
		if c.logged("disk on fire") != 1 {
			t.Error("that is not in the log")
		}
		c.get(nil).hears(facts)
		a := c.set("log-level", "warn")
		c.d.Run(readAgain - time.Millisecond)
		a.silent()
		c.d.Run(time.Millisecond)
		a.hears(ui.Fault(281474976710657, "The database could not be read: disk on fire; try again later"))
		c.did()
		c.broken = ""
		a = c.set("log-level", "warn")
		c.d.Run(readAgain)
		a.hears(done)
		c.did("log-level=debug", "log-level=warn")
		c.hears(changed)
		c.d.Run(time.Hour)
		if len(c.asked) != 5 { // three times read, once written, once revealed
			t.Errorf("store and safe were asked %v", c.asked)
		}
	})
}

const noAnswer = "It is not known whether the change was stored, the database gave no answer: "

// TestStoreIsLost while it stores: then what is stored is read, and is in effect.
func TestStoreIsLost(t *testing.T) {
	for _, taken := range []bool{true, false} {
		onConfiguration(t, 5, nil, func(_ *testing.T, c *cabinet) {
			c.silent, c.asked, c.askers = true, nil, nil
			a, b := c.set("log-level", "warn"), (*asked)(nil)
			a.silent()
			b = c.set("max-peer-links", "3")
			c.d.Run(storeTimeout - time.Millisecond)
			a.silent()
			if taken {
				c.answer(c.asked[0])
			}
			c.d.Run(time.Millisecond)
			a.hears(ui.Fault(281474976710658, noAnswer+"it did not answer within 10s"))
			b.silent()
			c.did()
			c.sys.Root.Send(c.configuration, &storepb.Written{Serial: c.asked[0].(*storepb.Write).GetSerial()}) // too late
			c.d.Settle()
			c.did()
			c.hears()
			c.speak(1)
			if taken {
				c.did("log-level=warn")
			} else {
				c.did()
			}
			c.hears(changedAll)
			c.speak(2)
			b.hears(done)
			c.did("max-peer-links=3")
			c.hears(changed)
		})
	}
}

func TestStoreFails(t *testing.T) {
	onConfiguration(t, 5, nil, func(_ *testing.T, c *cabinet) {
		c.fail = true
		c.set("log-level", "warn").hears(ui.Fault(ui.CodeWrite, noAnswer+"it failed"))
		c.fail = false
		c.d.Run(readAgain)
		c.hears(changedAll)
		c.set("log-level", "warn").hears(done)
		c.did("log-level=warn")
	}, testkit.ExpectFailures(2))
}

// TestConfigurationFails while it applies a change that is stored already: it
// reads that again.
func TestConfigurationFails(t *testing.T) {
	onConfiguration(t, 5, nil, func(_ *testing.T, c *cabinet) {
		c.silent, c.asked, c.askers = true, nil, nil
		a, b, g := c.set("log-level", "warn"), c.set("log-level", "info"), c.get(nil)
		a.silent()
		b.silent()
		g.silent()
		c.bad = true
		for i, m := range c.asked {
			if _, ok := m.(*storepb.Write); ok {
				c.speak(i)
			}
		}
		failed := ui.Fault(ui.CodeUnknown, "The change failed inside of the Node; its log says why")
		a.hears(failed)
		b.hears(failed)
		g.hears(facts)
		c.bad, c.silent = false, false
		c.d.Settle()
		c.speak(len(c.asked) - 1)
		c.did("log-level=" + c.records["config/log-level"])
		c.set("log-level", "debug").hears(done)
		c.did("log-level=debug")
	}, testkit.ExpectFailures(1))
}

// TestCheckFails and who asked hears of it.
func TestCheckFails(t *testing.T) {
	onConfiguration(t, 5, nil, func(_ *testing.T, c *cabinet) {
		c.set("log-level", "panic").fails("configuration")
		c.set("log-level", "warn").hears(done)
		c.did("log-level=warn")
	}, testkit.ExpectFailures(1))
}

func TestStoreAndSafeAreGone(t *testing.T) {
	testkit.Seeds(t, 3, func(t *testing.T, d *testkit.Driver) {
		c := &cabinet{}
		c.world = newWorld(lenient{t}, d, func(w *world, ctx actor.Context) {
			c.store, c.safe = w.sys.NewLocalPID("store"), w.sys.NewLocalPID("safe")
			c.configuration = SpawnConfiguration(ctx, c.configuring(w))
		})
		a := c.set("log-level", "warn")
		c.d.Run(readAgain)
		a.hears(ui.Fault(ui.CodeRead, "The database could not be read: it has stopped; try again later"))
		c.get(nil).hears(facts)
		c.get(proto.String("")).hears(noSecrets)
		c.stop()
	})
}

func TestTooManyChanges(t *testing.T) {
	onConfiguration(t, 1, nil, func(_ *testing.T, c *cabinet) {
		c.silent = true
		var all []*asked
		for range maxChanges {
			all = append(all, c.set("log-level", "warn"))
			c.d.Settle()
		}
		c.set("log-level", "warn").hears(ui.Fault(ui.CodeTooMany, "Too many changes are waiting for the database; try again later"))
		c.silent = false
		c.speak(1)
		for _, a := range all {
			a.hears(done)
		}
	})
}

var noSecrets = ui.Fault(281474976710657, "The secrets could not be read; the log of the Node says why")

func TestConfiguration(t *testing.T) {
	withSecrets := proto.CloneOf(facts)
	withSecrets.PastNeighbors = []string{"parley://a@b:1", "parley://c@d:2"}
	onConfiguration(t, 5, nil, func(t *testing.T, c *cabinet) {
		c.asked = nil
		c.reveal = &vaultpb.RevealResponse{} // a wrong password is no error
		c.get(proto.String("guess")).hears(facts)
		if want := (&vaultpb.RevealRequest{Member: 7, Password: proto.String("guess"), Names: []string{"past-neighbors"}, Serial: 1}); !proto.Equal(c.asked[0], want) {
			t.Errorf("the safe is asked %v, want %v", c.asked[0], want)
		}
		c.get(nil).hears(facts)
		if c.asked[1].(*vaultpb.RevealRequest).Password != nil {
			t.Error("no password became one")
		}
		c.ask(c.configuration, owner, "configuration", nil).hears(facts)
		c.reveal = &vaultpb.RevealResponse{Matches: true, Secrets: []*vaultpb.Secret{
			{Name: "other", Value: []byte("x")},
			{Name: SecretPastNeighbors, Value: []byte("parley://a@b:1\nparley://c@d:2\n")},
		}}
		c.get(proto.String("right")).hears(withSecrets)
		if len(facts.GetPastNeighbors()) > 0 {
			t.Error("secrets are among the facts now")
		}
		c.reveal = &vaultpb.RevealResponse{Matches: true, Corrupt: []string{SecretPastNeighbors}}
		c.get(proto.String("right")).hears(facts)
		if c.logged(`"ignored a secret that is damaged" name=past-neighbors`) != 1 {
			t.Error("a damaged secret is not in the log")
		}
		c.reveal = &vaultpb.RevealResponse{Error: "the database is busy"}
		c.get(nil).hears(facts)
		c.get(proto.String("right")).hears(ui.Fault(281474976710657, "the database is busy"))
	})
}

// TestSafeOfConfigurationFails and leaves nobody waiting.
func TestSafeOfConfigurationFails(t *testing.T) {
	onConfiguration(t, 5, nil, func(_ *testing.T, c *cabinet) {
		c.silent = true
		a, b := c.get(nil), c.get(proto.String("x"))
		a.silent()
		b.silent()
		c.fail = true
		c.get(nil).hears(facts)
		a.hears(facts)
		b.hears(noSecrets)
		c.fail, c.silent = false, false
		c.set("log-level", "warn").hears(done) // the store has not failed
	}, testkit.ExpectFailures(1))
}

// TestConfigurationInAnyOrder draws what happens to changes: with a store that
// answers, refuses, fails, takes without a word and is late, in the end what is
// stored is what is in effect, and everybody was answered.
func TestConfigurationInAnyOrder(t *testing.T) {
	onConfiguration(t, 150, nil, func(t *testing.T, c *cabinet) {
		rng := rand.New(rand.NewPCG(c.d.Seed(), 4))
		c.silent = true
		var all []*asked
		over := 0 // questions that were answered
		speak := func() {
			if over < len(c.asked) {
				over = len(c.asked)
				c.speak(over - 1)
			}
		}
		for range 60 {
			switch rng.IntN(10) {
			case 0, 1, 2:
				name := []string{"log-level", "max-peer-links"}[rng.IntN(2)]
				all = append(all, c.set(name, fmt.Sprint("v", rng.IntN(1000))))
			case 3, 4, 5:
				speak()
			case 6:
				c.full = "no room left"
				speak()
				c.full = ""
			case 7:
				last := c.asked[len(c.asked)-1]
				if _, write := last.(*storepb.Write); write && over < len(c.asked) {
					over = len(c.asked)
					c.answer(last) // taken, and never said so
					c.sys.Root.Send(c.configuration, &faultpb.Failed{Actor: c.store.GetId()})
				} else {
					c.broken = "on fire"
					speak()
					c.broken = ""
				}
			case 8:
				c.d.Run(time.Duration(rng.IntN(12)) * time.Second)
			case 9:
				if rng.IntN(4) == 0 {
					c.restart(c.configuration)
				}
			}
			c.d.Settle()
		}
		c.silent = false
		c.d.Run(storeTimeout + 2*readAgain)
		for i, a := range all {
			if len(a.answers) != 1 {
				t.Errorf("asker %d was answered %v", i, a.answers)
			}
			a.leave()
		}
		effect := map[string]string{}
		for _, line := range c.applied {
			name, value, _ := strings.Cut(line, "=")
			effect["config/"+name] = value
		}
		for key, value := range c.records {
			if effect[key] != value {
				t.Errorf("%s is stored as %q, and %q is in effect", key, value, effect[key])
			}
		}
		for _, a := range c.announced {
			if !a.GetOptIn() {
				t.Errorf("announced %v", a)
			}
		}
	})
}
