package star

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	"parley/messages"
	"parley/messages/linkpb"
	"parley/messages/starpb"
	"parley/testkit"
)

// say sends frames, binary ones as they are given.
func say(t *testing.T, w *testkit.WS, v in, version int) {
	t.Helper()
	if err := w.Say(v.text); err != nil {
		t.Error(err)
	}
	for _, a := range v.binary {
		if version == three {
			a = "\x04" + a
		}
		if err := w.SayBinary([]byte(a)); err != nil {
			t.Error(err)
		}
	}
}

// TestClients of both versions say all that clients say, and hear all that there
// is to hear.
func TestClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for version := range versions {
			v := newVenue(t, nil)
			w := v.dial(version)
			if want := [versions]string{"star", "star4"}[version]; v.opened[0] != want {
				t.Errorf("opened %q", v.opened)
			}
			hear(w) // the welcome is one of written
			for _, c := range slices.Concat(captured, spelled) {
				say(t, w, c, version)
				got := v.said()
				if p, ok := c.want.(*starpb.Ping); ok {
					if h := hear(w); !slices.Equal(h, []string{"3" + p.GetData()}) {
						t.Errorf("%s: heard %q", c.name, h)
					}
					continue
				}
				if len(got) != 1 || !proto.Equal(got[0], c.want) {
					t.Errorf("%s: became %v", c.name, got)
				}
			}
			for _, c := range written {
				want := [versions][]string{c.three, c.four}[version]
				v.tell(0, c.m)
				if got := hear(w); !slices.Equal(got, want) {
					t.Errorf("%s: heard %q", c.name, got)
				}
				v.sys.Root.Send(v.links[0], &messages.Paced{Message: c.m})
				if got := hear(w); !slices.Equal(got, want) {
					t.Errorf("%s, paced: heard %q", c.name, got)
				}
				v.cast(version, c.m)
				if got := hear(w); !slices.Equal(got, want) {
					t.Errorf("%s, fanned out: heard %q", c.name, got)
				}
			}
			w.HangUp()
			v.stop()
		}
	})
}

// TestWelcome is the first thing that a client hears, before it says anything.
func TestWelcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVenue(t, nil)
		a, b := v.dial(three), v.dial(four)
		for i, w := range []*testkit.WS{a, b} {
			if got, want := hear(w), ([versions][]string{written[0].three, written[0].four})[i]; !slices.Equal(got, want) {
				t.Errorf("heard %q", got)
			}
			w.HangUp()
		}
		v.stop()
	})
}

// TestBroken: what no client may say ends its socket, with a reason.
func TestBroken(t *testing.T) {
	long := strings.Repeat("x", MaxMessage/2)
	for _, c := range []struct {
		v    in
		want string
	}{
		{in{text: `42["ss-join"`}, "close 1002 invalid json"},
		{in{text: "7"}, "close 1002 unknown packet"},
		{in{text: `451-["x"]`, binary: []string{"x"}}, "close 1002 malformed attachments"},
		{in{text: "2", binary: []string{"x"}}, "close 1002 unexpected binary"},
		{in{text: "b4"}, "close 1002 unexpected binary"},
		{in{text: `451-["x",` + placed0 + `]`, binary: []string{long + long}}, "close 1009 message too big"},
		{in{text: `452-["x",` + placed0 + `,{"_placeholder":true,"num":1}]`, binary: []string{long, long}}, "close 1009 message too big"},
		{in{text: `42["` + long + long + `"]`}, "close 1009 message too big"},
	} {
		synctest.Test(t, func(t *testing.T) {
			for version := range versions {
				v := newVenue(t, nil)
				w := v.dial(version)
				hear(w)
				say(t, w, c.v, version)
				got := hear(w)
				if len(got) > 0 && got[0] == "3" {
					got = got[1:]
				}
				if !slices.Equal(got, []string{c.want}) {
					t.Errorf("%.30s: heard %q, want %q", c.v.text, got, c.want)
				}
				w.HangUp()
				v.stop()
				if v.gone != 1 {
					t.Errorf("%d ends", v.gone)
				}
			}
		})
	}
}

// TestLargestMessage is taken, whatever its parts.
func TestLargestMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVenue(t, nil)
		w := v.dial(three)
		hear(w)
		text := `452-["` + pull + `queue.d.dialer",` + placed0 + `,{"_placeholder":true,"num":1}]`
		a := strings.Repeat("x", MaxMessage-len(text)-10)
		say(t, w, in{text: text, binary: []string{"0123456789", a}}, three)
		got := v.said()
		if len(got) != 1 || !proto.Equal(got[0], streamed(queue, "d.dialer", text[1:], "0123456789", a)) {
			t.Errorf("became %.200v", got)
		}
		w.HangUp()
		v.stop()
	})
}

// TestLateAttachments: a packet must be whole in time, and what passes between
// does not make that longer.
func TestLateAttachments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for version := range versions {
			v := newVenue(t, nil)
			w := v.dial(version)
			hear(w)
			say(t, w, in{text: `452-["x"]`, binary: []string{"one"}}, version)
			for range 3 {
				time.Sleep(3 * time.Second)
				say(t, w, in{text: "2"}, version)
				if got := hear(w); !slices.Equal(got, []string{"3"}) {
					t.Errorf("heard %q", got)
				}
			}
			time.Sleep(999 * time.Millisecond)
			if got := hear(w); got != nil {
				t.Errorf("heard %q", got)
			}
			time.Sleep(2 * time.Millisecond)
			if got := hear(w); !slices.Equal(got, []string{"close 1008 " + reasonLate}) {
				t.Errorf("heard %q", got)
			}
			w.HangUp()
			v.stop()
		}
	})
}

// TestAttachmentsInTime: after a packet that took nearly as long as it may, the
// next may come when it likes; and time in which nobody read is no fault.
func TestAttachmentsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVenue(t, nil)
		w := v.dial(three)
		hear(w)
		whole := in{text: `451-["` + pull + `queue.d.dialer",` + placed0 + `]`, binary: []string{"x"}}
		say(t, w, in{text: whole.text}, three)
		time.Sleep(9 * time.Second)
		say(t, w, in{text: "2"}, three)
		_ = w.SayBinary([]byte("\x04x"))
		if got := v.said(); len(got) != 1 {
			t.Errorf("became %v", got)
		}
		time.Sleep(30 * time.Second)
		say(t, w, whole, three)
		if got := v.said(); len(got) != 1 {
			t.Errorf("became %v", got)
		}
		v.mu.Lock()
		v.hold = true
		v.mu.Unlock()
		for range 63 {
			say(t, w, in{text: "6"}, three)
		}
		say(t, w, in{text: whole.text}, three)
		synctest.Wait()
		say(t, w, in{text: "6"}, three) // in between, and holds the last of the credit
		synctest.Wait()
		_ = w.SayBinary([]byte("\x04x"))
		if got := v.said(); len(got) != 64 {
			t.Errorf("%d messages were read", len(got))
		}
		time.Sleep(40 * time.Second)
		v.tell(0, &linkpb.Settled{All: true})
		if got := v.said(); len(got) != 1 || !slices.Contains(hear(w), "6") {
			t.Errorf("became %v", got)
		}
		w.HangUp()
		v.stop()
	})
}

// TestUnreadClientsHearUs: a client that is not read hears something often
// enough to stay, and is not closed for its silence.
func TestUnreadClientsHearUs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for version, want := range [versions]string{"6", "2"} {
			v := newVenue(t, func(v *venue) { v.hold = true })
			w := v.dial(version)
			hear(w)
			for i := range 100 {
				say(t, w, in{text: fmt.Sprintf(`42["x",%d]`, i)}, version)
			}
			if got := v.said(); len(got) != 64 {
				t.Errorf("%d messages were read", len(got))
			}
			for range 20 {
				time.Sleep(26 * time.Second) // a client waits for 45
				got := hear(w)
				if len(got) == 0 || strings.Trim(strings.Join(got, ""), want) != "" {
					t.Errorf("heard %q", got)
				}
			}
			v.tell(0, &linkpb.Settled{All: true})
			if got := v.said(); len(got) != 36 {
				t.Errorf("%d messages were read", len(got))
			}
			w.HangUp()
			v.stop()
		}
	})
}

// TestSilence ends a socket.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for version, want := range [versions][]string{{"6", "6", "close 1008 no sign of life"}, {"2", "close 1008 no sign of life"}} {
			v := newVenue(t, nil)
			w := v.dial(version)
			hear(w)
			time.Sleep(deadAfter + 2*time.Second)
			if got := hear(w); !slices.Equal(got, want) {
				t.Errorf("heard %q", got)
			}
			w.HangUp()
			v.stop()
		}
	})
}
