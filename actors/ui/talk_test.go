package ui

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/messages/linkpb"
	"parley/messages/uipb"
	"parley/testkit"
)

// seeds is how many orders a directed test tries.
const seeds = 30

// in runs a test in many orders.
func in(t *testing.T, s setup, test func(t *testing.T, w *world)) {
	t.Helper()
	testkit.Seeds(t, seeds, func(t *testing.T, d *testkit.Driver) {
		w := newWorld(t, d, s)
		test(t, w)
		for _, f := range w.faces {
			if !f.gone {
				f.settledUp()
			}
		}
		w.stop()
	})
}

func failures(n int) setup {
	return setup{shards: 2, options: []testkit.SystemOption{testkit.ExpectFailures(n)}}
}

func ok() plan { return plan{kind: "ok"} }

func TestConversationsInterleave(t *testing.T) {
	in(t, setup{}, func(_ *testing.T, w *world) {
		f := w.face()
		f.talk(0, "do", plan{kind: "ok", after: 3 * time.Second})
		f.talk(1, "do", plan{kind: "ok", after: time.Second})
		f.talk(1, "do", plan{kind: "ok"})
		f.talk(0, "do", plan{kind: "ok"})
		f.talk(2, "do", plan{kind: "ok"})
		f.wants("2 5")
		w.d.Run(time.Second)
		f.wants("1 2", "1 3")
		w.d.Run(2 * time.Second)
		f.wants("0 1", "0 4")
	})
}

// TestOneRequestAtATime looks at who answers: it must not see the second
// request of a conversation before it answered the first.
func TestOneRequestAtATime(t *testing.T) {
	in(t, setup{}, func(t *testing.T, w *world) {
		f := w.face()
		var at []time.Duration
		begin := time.Now()
		for range 3 {
			f.talk(5, "do", plan{kind: "ok", after: time.Second, while: func() { at = append(at, time.Since(begin)) }})
		}
		w.d.Run(time.Minute)
		if got := fmt.Sprint(at); got != "[0s 1s 2s]" {
			t.Errorf("asked at %s", got)
		}
	})
}

func TestContextIsTheConnectionsOwn(t *testing.T) {
	in(t, setup{shards: 2}, func(_ *testing.T, w *world) {
		a, b := w.face(), w.face()
		a.talk(1, "do", plan{kind: "ok", after: time.Second})
		b.talk(1, "do", ok())
		b.wants("1 2")
		w.d.Run(time.Second)
		a.wants("1 1")
		b.wants()
	})
}

// TestRefusals are what a conversation answers by itself.
func TestRefusals(t *testing.T) {
	in(t, setup{}, func(t *testing.T, w *world) {
		f := w.face()
		for _, c := range []struct {
			name string
			m    *uipb.Request
			want string
		}{
			{"unknown", &uipb.Request{Opcode: "nonsense"}, "1 unmarshal"},
			{"empty", &uipb.Request{}, "1 unmarshal"},
			{"flaw", &uipb.Request{Opcode: "do", Flaw: "Field x"}, "1 unmarshal"},
			{"flaw of a confirmed one", &uipb.Request{Opcode: "bye", Flaw: "Field x"}, "1 unmarshal"},
			{"error", &uipb.Request{Opcode: "do", Error: true}, "1 unmarshal"},
			{"isolated", &uipb.Request{Opcode: "alone"}, "1 unmarshal"},
		} {
			var text string
			f.onHear = func(r *uipb.Response) { text = r.GetFault().GetMessage() }
			c.m.Context, c.m.Charge = proto.Uint64(1), 7
			f.say(c.m)
			f.wants(c.want)
			if text == "" || c.m.GetFlaw() != "" && text != c.m.GetFlaw() {
				t.Errorf("%s: told %q", c.name, text)
			}
		}
		if len(w.asks) > 0 || w.answered > 0 {
			t.Errorf("asked %v", w.asks)
		}
	})
}

func TestOnlyWhoMayChanges(t *testing.T) {
	in(t, setup{}, func(t *testing.T, w *world) {
		f := w.connectAs(&linkpb.Peer{Uid: 7})
		w.d.Settle()
		f.talk(1, "change", ok())
		f.talk(2, "do", ok())
		f.wantsAll("1 not permitted", "2 2")
		f.say(&uipb.Request{Opcode: "aloneChange", Charge: 1})
		f.say(&uipb.Request{Opcode: "alone", Charge: 1})
		f.wants()
		if len(w.asks) != 1 || w.asks[0].GetRequest().GetOpcode() != "alone" || w.asks[0].GetAsker().GetUid() != 7 {
			t.Errorf("asked %v", w.asks)
		}
		g := w.face()
		g.talk(1, "change", ok())
		g.say(&uipb.Request{Opcode: "aloneChange", Charge: 1})
		g.wants("1 3")
		if len(w.asks) != 2 || !w.asks[1].GetAsker().GetOwner() || w.asks[1].GetAsker().GetMember() != g.member {
			t.Errorf("asked %v", w.asks)
		}
	})
}

func TestWhoAnswersFails(t *testing.T) {
	in(t, failures(1), func(_ *testing.T, w *world) {
		f, g := w.face(), w.face()
		f.talk(1, "do", plan{kind: "panic"})
		f.talk(1, "do", ok())
		f.talk(2, "do", ok())
		g.talk(1, "do", ok())
		w.d.Run(time.Second)
		f.wantsAll("1 unknown", "1 2", "2 3")
		g.wants("1 4")
	})
}

// TestWhoAnswersFailsBehindItsAnswer has a failure that may come when the next
// request is under way: that one may be told of it, and no other.
func TestWhoAnswersFailsBehindItsAnswer(t *testing.T) {
	seen := map[string]int{}
	in(t, setup{}, func(t *testing.T, w *world) {
		f := w.face()
		f.talk(1, "do", plan{kind: "answer, failed"})
		f.talk(1, "do", ok())
		f.talk(1, "do", ok())
		w.d.Run(time.Second)
		got := fmt.Sprint(f.heard)
		if got != "[1 1 1 2 1 3]" && got != "[1 1 1 unknown 1 3]" {
			t.Errorf("heard %s", got)
		}
		seen[got]++
	})
	if len(seen) != 2 {
		t.Errorf("all seeds heard %v", seen)
	}
}

func TestWhoAnswersIsGone(t *testing.T) {
	testkit.Seeds(t, seeds, func(t *testing.T, d *testkit.Driver) {
		w := newWorld(lenientTB{t}, d, setup{})
		f := w.face()
		f.talk(1, "dead", ok())
		f.talk(1, "dead", ok())
		f.talk(1, "do", ok())
		f.wants("1 unknown", "1 unknown", "1 3")
		f.settledUp()
		w.stop()
	})
}

func TestConversationFails(t *testing.T) {
	in(t, failures(1), func(_ *testing.T, w *world) {
		f, g := w.face(), w.face()
		f.talk(2, "do", plan{kind: "ok", after: time.Second})
		g.talk(1, "do", plan{kind: "ok", after: time.Second})
		w.d.Settle()
		f.talk(1, "do", plan{kind: "bomb"})
		f.talk(1, "do", ok())
		f.talk(1, "do", plan{kind: "ok", after: time.Second})
		f.wants("1 unknown", "1 4")
		w.d.Run(time.Second)
		f.wantsAll("1 5", "2 1")
		g.wants("1 2")
	})
}

// TestIdleConversationFails loses nothing but itself.
func TestIdleConversationFails(t *testing.T) {
	in(t, failures(1), func(t *testing.T, w *world) {
		f := w.face()
		f.talk(1, "do", ok())
		f.wants("1 1")
		talks := w.below(f.server)
		w.sys.Root.Send(w.sys.NewLocalPID(talks[0]), (*timeUp)(nil)) // nobody sends such
		w.d.Settle()
		f.talk(1, "do", ok())
		f.wants("1 2")
		if len(w.below(f.server)) != 1 {
			t.Errorf("there are %v", w.below(f.server))
		}
	})
}

// TestIdleConversationFailsWhenItIsNeeded lets a request cross its failure.
func TestIdleConversationFailsWhenItIsNeeded(t *testing.T) {
	in(t, failures(1), func(t *testing.T, w *world) {
		f := w.face()
		f.talk(1, "do", ok())
		f.wants("1 1")
		w.sys.Root.Send(w.sys.NewLocalPID(w.below(f.server)[0]), (*timeUp)(nil))
		f.talk(1, "do", ok())
		f.talk(1, "do", ok())
		w.d.Settle()
		if got := fmt.Sprint(f.heard); got != "[1 2 1 3]" && got != "[1 unknown 1 3]" {
			t.Errorf("heard %s", got)
		}
	})
}

func TestAnswerThatIsNone(t *testing.T) {
	in(t, setup{}, func(_ *testing.T, w *world) {
		f := w.face()
		f.talk(1, "do", plan{kind: "odd"})
		f.talk(1, "do", plan{kind: "fault"})
		f.wants("1 unknown", "1 write")
	})
}

func TestConfirmed(t *testing.T) {
	in(t, setup{}, func(t *testing.T, w *world) {
		f := w.face()
		w.onAnswered = func(ctx actor.Context) { ctx.Send(f.link, &linkpb.Close{Code: 1000}) }
		f.talk(1, "bye", ok())
		w.d.Settle()
		if got := fmt.Sprint(f.heard); got != "[1 1]" || !f.gone || f.code != 1000 || w.answered != 1 {
			t.Errorf("heard %s, gone %v, told %d times that it was answered", got, f.gone, w.answered)
		}
	})
}

// TestConfirmedBehind is told to all behind its answer.
func TestConfirmedBehind(t *testing.T) {
	in(t, setup{shards: 2}, func(t *testing.T, w *world) {
		f, g := w.face(), w.face()
		w.onAnswered = func(ctx actor.Context) { ctx.Send(w.broadcasts, crashed(1)) }
		f.talk(1, "bye", ok())
		f.wants("1 1", "crashed 1")
		g.wants("crashed 1")
		if w.answered != 1 {
			t.Errorf("told %d times", w.answered)
		}
	})
}

func TestRedirects(t *testing.T) {
	in(t, setup{fallback: true}, func(t *testing.T, w *world) {
		f := w.face()
		var isolated int
		f.onHear = func(r *uipb.Response) {
			if r.Context == nil {
				isolated++
			}
		}
		f.talk(1<<60, "elsewhere", plan{kind: "redirect"})
		f.wants("redirect elsewhere 1152921504606846976 1")
		f.talk(3, "elsewhere", plan{kind: "undelivered"})
		f.wants("undelivered 2")
		f.talk(3, "elsewhere", plan{kind: "fault"})
		f.wants("3 write")
		f.talk(3, "do", ok())
		f.wants("3 4")
		f.say(&uipb.Request{Context: proto.Uint64(3), Opcode: "do", Error: true, Payload: plain(w, "fault"), Charge: 1})
		f.wants("3 write") // of an error, as of what is unknown
		if isolated != 2 {
			t.Errorf("%d were isolated", isolated)
		}
	})
}

// plain is the payload of a request with a plan of its own.
func plain(w *world, kind string) []byte {
	id := uint64(len(w.plans) + 1)
	w.plans[id] = &plan{kind: kind}
	return strconv.AppendUint(nil, id, 10)
}

// TestConfirmedToNobody: whoever answers hears of each request once, also when
// its asker hangs up at any moment. An answer that finds the conversation stopping
// is no dead letter: without this word the answerer would wait for nothing.
func TestConfirmedToNobody(t *testing.T) {
	in(t, setup{}, func(t *testing.T, w *world) {
		asked := 0
		for i := range 20 {
			f := w.face()
			for c := range uint64(10) {
				f.talk(c, "bye", plan{kind: "ok", after: time.Duration(c%3) * time.Millisecond, while: func() { asked++ }})
			}
			w.d.Run(time.Duration(i%4) * time.Millisecond)
			f.hangUp()
			w.d.Run(time.Second)
			if w.answered != asked {
				t.Fatalf("%d were asked, and %d answered or gone", asked, w.answered)
			}
		}
	})
}
