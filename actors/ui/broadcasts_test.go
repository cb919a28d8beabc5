package ui

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/messages"
	"parley/messages/linkpb"
	"parley/messages/uipb"
)

// announce makes a broadcast to all.
func announce(opcode string, pid uint32) *uipb.Announce {
	return &uipb.Announce{Response: uipb.Broadcast(opcode, &uipb.Crashed{ProcessId: pid})}
}

func crashed(pid uint32) *uipb.Announce { return announce("crashed", pid) }

// logged announces a log line.
func logged(level uipb.LogLevel, text string) *uipb.Announce {
	return &uipb.Announce{Response: uipb.Broadcast(opcodeLog, &uipb.LogLine{Level: level, Text: text}), Lossy: true}
}

// tell sends announcements.
func (w *world) tell(ms ...*uipb.Announce) {
	for _, m := range ms {
		w.sys.Root.Send(w.broadcasts, m)
	}
	w.d.Settle()
}

func TestBroadcast(t *testing.T) {
	in(t, setup{shards: 3}, func(t *testing.T, w *world) {
		w.tell(crashed(1)) // to nobody
		for range 7 {
			w.connect()
		}
		w.d.Settle()
		but := crashed(2)
		but.Except = w.faces[4].member
		w.tell(but, crashed(3))
		w.faces[0].hangUp()
		w.d.Settle()
		w.tell(crashed(4))
		for i, f := range w.faces {
			want := "[crashed 2 crashed 3 crashed 4]"
			if i == 4 {
				want = "[crashed 3 crashed 4]"
			} else if i == 0 {
				want = "[crashed 2 crashed 3]"
			}
			if got := fmt.Sprint(f.heard); got != want {
				t.Errorf("%d heard %s, want %s", f.member, got, want)
			}
		}
	})
}

func TestOptIn(t *testing.T) {
	in(t, setup{}, func(_ *testing.T, w *world) {
		f, g := w.face(), w.face()
		f.subscribe("subscribe", "", "nodeStarted")
		f.wants("99 done")
		started := announce("nodeStarted", 1)
		started.OptIn = true
		w.tell(started, crashed(2))
		f.wants("nodeStarted 1")
		g.wants("crashed 2")
	})
}

// TestMissedOfAll goes to who wants what is missing, and counts as that if it is lost
// as well.
func TestMissedOfAll(t *testing.T) {
	in(t, setup{}, func(t *testing.T, w *world) {
		f, g := w.face(), w.face()
		f.subscribe("subscribe", "", "messageReceived")
		g.subscribe("subscribe", "", "contactStatus", "missed")
		w.d.Settle()
		var cast []*messages.Multicast
		w.onCast = func(m *messages.Multicast) { cast = append(cast, m) }
		w.tell(&uipb.Announce{
			Response: uipb.Broadcast("messageReceived", &linkpb.Dropped{Source: "messageReceived", Count: 12}), OptIn: true, Lossy: true, Private: true,
		})
		if len(cast) != 1 || !slices.Equal(cast[0].Lossy, []uint64{f.member}) || cast[0].Source != "messageReceived" || cast[0].Frames() != 12 {
			t.Errorf("cast %+v", cast)
		}
		cast = nil
		w.tell(crashed(1))
		f.subscribe("unsubscribe", "")
		w.d.Settle()
		w.tell(crashed(2))
		if len(cast) != 2 || cast[1].Frames() != 1 {
			t.Errorf("cast %+v", cast)
		}
	})
}

// TestSubscriptions walks through what subscribe and unsubscribe do, with three
// broadcasts: a and b go to all, c to who wants it.
func TestSubscriptions(t *testing.T) {
	for _, c := range []struct {
		name  string
		steps []string // words: what to do, and its opcodes
		want  string   // of a, b, c
	}{
		{"as ever", nil, "a b"},
		{"one", []string{"subscribe a"}, "a"},
		{"two in turn", []string{"subscribe a", "subscribe c"}, "a c"},
		{"two at once", []string{"subscribe c a"}, "a c"},
		{"nothing", []string{"subscribe"}, ""},
		{"unknown", []string{"subscribe x"}, ""},
		{"one less", []string{"subscribe a b", "unsubscribe b"}, "a"},
		{"all less", []string{"subscribe a", "unsubscribe a"}, ""},
		{"back to the default", []string{"subscribe a", "unsubscribe"}, "a b"},
		{"muted", []string{"unsubscribe a"}, "b"},
		{"muted twice", []string{"unsubscribe a", "unsubscribe b c"}, ""},
		{"muted, then subscribed", []string{"unsubscribe a", "subscribe a"}, "a"},
		{"muted, then back to the default", []string{"unsubscribe a b", "unsubscribe"}, "a b"},
		{"default, then muted", []string{"unsubscribe", "unsubscribe c"}, "a b"},
		{"unsubscribed, then subscribed", []string{"subscribe a", "unsubscribe a", "subscribe b"}, "b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			in(t, setup{}, func(t *testing.T, w *world) {
				f, g := w.face(), w.face()
				for _, s := range c.steps {
					words := strings.Fields(s)
					f.subscribe(words[0], "", words[1:]...)
					f.wants("99 done")
				}
				only := announce("c", 0)
				only.OptIn = true
				w.tell(announce("a", 0), announce("b", 0), only)
				if got := strings.ReplaceAll(strings.Join(f.heard, " "), " 0", ""); got != c.want {
					t.Errorf("heard %q, want %q", got, c.want)
				}
				g.wants("a 0", "b 0")
			})
		})
	}
}

func TestLogLevels(t *testing.T) {
	all := []uipb.LogLevel{1, 2, 3, 4, 5}
	for _, c := range []struct {
		name   string
		steps  []string // words: what to do, level or -, opcodes
		heard  string   // levels
		demand string   // what was asked for, in order
	}{
		{"as ever", nil, "123", ""},
		{"subscribed", []string{"subscribe - logBroadcast"}, "123", ""},
		{"errors", []string{"subscribe Error logBroadcast"}, "1", ""},
		{"all", []string{"subscribe Trace logBroadcast"}, "12345", "5"},
		{"less again", []string{"subscribe Debug logBroadcast", "subscribe Warn"}, "12", "43"},
		{"an unknown level", []string{"subscribe Fatal logBroadcast"}, "123", ""},
		{"a level of something else", []string{"subscribe Trace crashed"}, "", ""},
		{"a level first", []string{"subscribe Trace", "subscribe - logBroadcast"}, "12345", "5"},
		{"left", []string{"subscribe Trace logBroadcast", "unsubscribe - logBroadcast"}, "", "53"},
		{"back to the default", []string{"subscribe Trace logBroadcast", "unsubscribe -"}, "123", "53"},
		{"muted", []string{"unsubscribe - logBroadcast"}, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			in(t, setup{}, func(t *testing.T, w *world) {
				f, g := w.face(), w.face()
				for _, s := range c.steps {
					words := strings.Fields(s)
					f.subscribe(words[0], strings.Trim(words[1], "-"), words[2:]...)
					f.wants("99 done")
				}
				want := []string{}
				for _, l := range all {
					w.tell(logged(l, fmt.Sprint(int(l))))
					if strings.Contains(c.heard, fmt.Sprint(int(l))) {
						want = append(want, fmt.Sprintf("logBroadcast %d (lossy)", l))
					}
				}
				f.wants(want...)
				g.wants("logBroadcast 1 (lossy)", "logBroadcast 2 (lossy)", "logBroadcast 3 (lossy)")
				got := ""
				for _, l := range w.demanded {
					got += fmt.Sprint(int(l))
				}
				if got != c.demand {
					t.Errorf("demanded %q, want %q", got, c.demand)
				}
			})
		})
	}
}

// TestDemandFollowsTheMostCurious of those who are connected.
func TestDemandFollowsTheMostCurious(t *testing.T) {
	in(t, setup{shards: 2}, func(t *testing.T, w *world) {
		f, g := w.face(), w.face()
		f.subscribe("subscribe", "Debug", opcodeLog)
		f.wants("99 done")
		g.subscribe("subscribe", "Trace", opcodeLog)
		g.wants("99 done")
		g.hangUp()
		w.d.Settle()
		f.hangUp()
		w.d.Settle()
		if got := fmt.Sprint(w.demanded); got != "[LOG_LEVEL_DEBUG LOG_LEVEL_TRACE LOG_LEVEL_DEBUG LOG_LEVEL_INFO]" {
			t.Errorf("demanded %s", got)
		}
	})
}

func TestRetained(t *testing.T) {
	const retain = 10 * time.Second
	in(t, setup{}, func(_ *testing.T, w *world) {
		f := w.face()
		crash := crashed(1)
		crash.RetainMs = uint32(retain.Milliseconds())
		w.tell(crash, crashed(2))
		f.wants("crashed 1", "crashed 2")
		w.d.Run(retain / 2)
		crash = crashed(3)
		crash.RetainMs = uint32(retain.Milliseconds())
		w.tell(crash)
		f.wants("crashed 3")
		g := w.face()
		g.wants("crashed 1", "crashed 3")
		w.d.Run(retain / 2)
		h := w.face()
		h.wants("crashed 1", "crashed 3") // the very last moment
		w.d.Run(time.Millisecond)
		i := w.face()
		i.wants("crashed 3")
		w.d.Run(retain)
		j := w.face()
		for _, f := range []*face{f, g, h, i, j} {
			f.wants() // nobody twice
		}
		w.tell(crashed(4))
		j.wants("crashed 4")
	})
}

// TestSubscribeOfOneWhoLeft is answered to nobody.
func TestSubscribeOfOneWhoLeft(t *testing.T) {
	in(t, setup{}, func(t *testing.T, w *world) {
		f := w.face()
		f.talk(1, "do", ok())
		f.subscribe("subscribe", "Trace", opcodeLog)
		f.hangUp()
		w.d.Settle()
		n := len(w.demanded)
		w.sys.Root.Send(w.broadcasts, &left{f.member}) // once more
		w.d.Settle()
		if n%2 != 0 || len(w.demanded) != n {
			t.Errorf("demanded %v", w.demanded)
		}
	})
}

// TestOtherOpcodes do not come here, but for a mistake in the routes.
func TestOtherOpcodes(t *testing.T) {
	in(t, setup{}, func(t *testing.T, w *world) {
		f := w.face()
		var got *uipb.Response
		f.onHear = func(r *uipb.Response) { got = r }
		ask := func(m uint64) {
			w.sys.Root.RequestWithCustomSender(w.broadcasts, &uipb.Ask{Asker: &uipb.Asker{Member: m}, Request: &uipb.Request{Opcode: "x"}}, f.link)
			w.d.Settle()
		}
		w.sys.Root.Send(w.broadcasts, &joined{f.member, func() bool { return true }}) // a second time changes nothing
		ask(f.member)
		ask(4711)
		w.tell(crashed(1))
		if got == nil || !slices.Equal(f.heard, []string{"crashed 1"}) {
			t.Errorf("heard %q", f.heard)
		}
	})
}

// TestManyNames is one user interface that names all it can think of.
func TestManyNames(t *testing.T) {
	var l listener
	names := []string{strings.Repeat("x", maxOpcode+1), strings.Repeat("y", maxOpcode)}
	for i := range 2 * maxOpcodes {
		names = append(names, fmt.Sprint("name", i))
	}
	l.unsubscribe(&uipb.SubscribeRequest{Opcodes: names})
	if len(l.muted) != maxOpcodes || l.muted[names[0]] || !l.muted[names[1]] {
		t.Errorf("%d muted", len(l.muted))
	}
	l.subscribe(&uipb.SubscribeRequest{Opcodes: names})
	l.subscribe(&uipb.SubscribeRequest{Opcodes: names})
	if len(l.opcodes) != maxOpcodes || l.opcodes[names[0]] || !l.opcodes[names[1]] || l.muted != nil {
		t.Errorf("%d subscribed", len(l.opcodes))
	}
}
