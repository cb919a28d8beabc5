package mesh

import (
	"fmt"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"parley/messages/meshpb"
	"parley/testkit"
)

func commandsBureau(t testing.TB, d *testkit.Driver) *bureau {
	b := newBureau(t, d, Options{Boot: 7}, "commands", newCommands)
	b.alive = []string{"anna", "bob", "carl"}
	return b
}

func ok() *meshpb.Response { return &meshpb.Response{Ok: proto.Bool(true)} }

// said is an AskResponse in a line.
func said(m *meshpb.AskResponse) string {
	out := fmt.Sprint(m.GetTicket(), ":")
	for _, a := range m.GetAnswers() {
		out += " " + a.GetNode() + "=" + fmt.Sprint(a.GetResponse().GetOk()) + a.GetResponse().GetReason()
	}
	return out + fmt.Sprint(" silent ", m.GetSilent())
}

func (b *bureau) wantAnswers(want ...string) {
	b.t.Helper()
	got := []string{}
	for _, m := range b.answers {
		got = append(got, said(m))
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		b.t.Errorf("answered %q, want %q", got, want)
	}
	b.answers = nil
}

func ask1(ticket uint64, to string) *meshpb.AskRequest {
	return &meshpb.AskRequest{Destination: to, Command: &meshpb.Command{Name: cmdNodes}, Ticket: ticket}
}

func TestAsk(t *testing.T) {
	tests := []struct {
		name string
		to   string
		do   func(b *bureau)
		want string
		took time.Duration
	}{
		{"one answers", "anna", func(b *bureau) { b.tell(response("anna", nonce{7, 1}, ok())) }, "9: anna=true silent []", 0},
		{"one is silent", "anna", func(b *bureau) { b.d.Run(askOne) }, "9: silent [anna]", askOne},
		{"nobody knows it", "dora", func(*bureau) {}, "9: dora=falsereturn to sender silent []", 0},
		{"all answer", "*", func(b *bureau) {
			for _, n := range []string{"carl", "anna", "bob"} {
				b.tell(response(n, nonce{7, 1}, ok()))
			}
		}, "9: anna=true bob=true carl=true silent []", 0},
		{"some are silent", "*", func(b *bureau) {
			b.tell(response("carl", nonce{7, 1}, ok()))
			b.d.Run(askAll)
		}, "9: carl=true silent [anna bob]", askAll},
		{"one is gone", "*", func(b *bureau) {
			b.tell(response("carl", nonce{7, 1}, ok()), response("bob", nonce{7, 1}, ok()), &gone{"anna"})
		}, "9: bob=true carl=true silent [anna]", 0},
		{"an answer counts once", "*", func(b *bureau) {
			b.tell(response("carl", nonce{7, 1}, ok()), response("carl", nonce{7, 1}, &meshpb.Response{Reason: "no"}))
			b.d.Run(askAll)
		}, "9: carl=true silent [anna bob]", askAll},
		{"others may not answer", "anna", func(b *bureau) {
			b.tell(response("bob", nonce{7, 1}, ok()), response("eve", nonce{7, 1}, ok()))
			b.d.Run(askOne)
		}, "9: silent [anna]", askOne},
		{"nor to something else", "anna", func(b *bureau) {
			b.tell(response("anna", nonce{7, 2}, ok()), response("anna", nonce{6, 1}, ok()), response("anna", nonce{}, ok()))
			b.d.Run(askOne)
		}, "9: silent [anna]", askOne},
		{"returned to sender", "anna", func(b *bureau) {
			b.tell(response("bob", nonce{7, 1}, returnedFor("anna")))
			b.d.Run(askReturned)
		}, "9: anna=falsereturn to sender silent []", askReturned},
		{"returned on one of its ways", "anna", func(b *bureau) {
			b.tell(response("bob", nonce{7, 1}, returnedFor("anna")), response("carl", nonce{7, 1}, returnedFor("anna")))
			b.tell(response("anna", nonce{7, 1}, ok()))
		}, "9: anna=true silent []", 0},
		{"returned for another", "anna", func(b *bureau) {
			b.tell(response("bob", nonce{7, 1}, returnedFor("bob")))
			b.d.Run(askOne)
		}, "9: silent [anna]", askOne},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			testkit.Seeds(t, 1, func(t *testing.T, d *testkit.Driver) {
				b := commandsBureau(t, d)
				start := time.Now()
				b.tell(ask1(9, test.to))
				test.do(b)
				if took := time.Since(start); took != test.took {
					t.Errorf("took %v, want %v", took, test.took)
				}
				b.wantAnswers(test.want)
				b.tell(response("anna", nonce{7, 1}, ok())) // late
				d.Run(2 * askOne)
				b.wantAnswers()
				b.stop()
			})
		})
	}
}

// TestAskLimits gives time by the question, and when the router does not answer.
func TestAskLimits(t *testing.T) {
	testkit.Seeds(t, 3, func(t *testing.T, d *testkit.Driver) {
		b := commandsBureau(t, d)
		m := ask1(1, everyone)
		m.TimeoutMs = 300
		b.tell(m)
		d.Run(299 * time.Millisecond)
		b.wantAnswers()
		d.Run(time.Millisecond)
		b.wantAnswers("1: silent [anna bob carl]")
		b.alive = nil
		b.tell(ask1(2, everyone))
		b.wantAnswers("2: silent []")
		b.mute = true
		b.tell(ask1(3, "anna"))
		d.Run(askOne)
		b.wantAnswers("3: silent [anna]")
		b.stop()
	})
}

// TestAskRestart loses nothing that is under way.
func TestAskRestart(t *testing.T) {
	testkit.Seeds(t, 3, func(t *testing.T, d *testkit.Driver) {
		b := commandsBureau(t, d)
		b.tell(ask1(1, "anna"), ask1(2, "bob"))
		b.restart()
		b.tell(response("anna", nonce{7, 1}, ok()))
		d.Run(askOne)
		b.wantAnswers("1: anna=true silent []", "2: silent [bob]")
		b.stop()
	})
}

// TestAskModel asks and answers in any order: each question is answered once,
// with what came in time from who was asked.
func TestAskModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rapid.SyncTest(rt, func(rt *rapid.T) {
			d := testkit.NewDriver(rapid.Uint64().Draw(rt, "seed"))
			b := commandsBureau(deskTB{t, rt}, d)
			open := map[uint64]map[string]bool{} // by ticket: who may still answer
			began := map[uint64]time.Time{}
			to := map[uint64]string{}
			over := map[uint64]int{}
			ticket := uint64(0)
			check := func() {
				for _, m := range b.answers {
					over[m.GetTicket()]++
					delete(open, m.GetTicket())
				}
				b.answers = nil
				for n, times := range over {
					if times != 1 {
						rt.Fatalf("%d was answered %d times", n, times)
					}
				}
				for n, waits := range open {
					limit := askOne
					if to[n] == everyone {
						limit = askAll
					}
					if len(waits) == 0 || time.Since(began[n]) >= limit {
						rt.Fatalf("%d to %q still waits for %v after %v", n, to[n], waits, time.Since(began[n]))
					}
				}
			}
			name := rapid.SampledFrom([]string{"anna", "bob", "carl", "eve"})
			rt.Repeat(map[string]func(*rapid.T){
				"ask": func(rt *rapid.T) {
					ticket++
					to[ticket] = rapid.SampledFrom([]string{"anna", "bob", everyone}).Draw(rt, "to")
					open[ticket], began[ticket] = map[string]bool{}, time.Now()
					for _, n := range b.alive {
						if to[ticket] == everyone || to[ticket] == n {
							open[ticket][n] = true
						}
					}
					b.tell(ask1(ticket, to[ticket]))
				},
				"answer": func(rt *rapid.T) {
					n, who := rapid.Uint64Range(0, ticket+1).Draw(rt, "to"), name.Draw(rt, "who")
					delete(open[n], who)
					b.tell(response(who, nonce{7, n}, ok()))
				},
				"wait": func(rt *rapid.T) { d.Run(time.Duration(rapid.IntRange(1, 2000).Draw(rt, "ms")) * time.Millisecond) },
				"":     func(*rapid.T) { check() },
			})
			d.Run(askOne)
			check()
			if len(open) > 0 || uint64(len(over)) != ticket {
				rt.Fatalf("%d asked, %d answered, open %v", ticket, len(over), open)
			}
			b.stop()
		})
	})
}

// deskTB lets testkit fail a rapid test.
type deskTB struct {
	testing.TB
	rt *rapid.T
}

func (b deskTB) Cleanup(f func())                  { b.rt.Cleanup(f) }
func (b deskTB) Error(args ...any)                 { b.rt.Error(args...) }
func (b deskTB) Errorf(format string, args ...any) { b.rt.Errorf(format, args...) }
func (b deskTB) Fatalf(format string, args ...any) { b.rt.Fatalf(format, args...) }
func (b deskTB) Failed() bool                      { return b.rt.Failed() }
func (b deskTB) Helper()                           {}
func (b deskTB) Logf(string, ...any)               {}

// TestAskNobody asks for somebody who does not want to know.
func TestAskNobody(t *testing.T) {
	testkit.Seeds(t, 1, func(t *testing.T, d *testkit.Driver) {
		b := commandsBureau(t, d)
		b.onPost = func(ctx actor.Context, _ *post, n nonce) { ctx.Send(b.pid, response("anna", n, ok())) }
		b.sys.Root.Send(b.pid, ask1(1, "anna"))
		d.Run(askOne)
		b.wantAnswers()
		b.stop()
	})
}
