package relay

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/relaypb"
)

// glance is how long health may take to see a change.
const glance = healthEvery

func (w *world) wantHealth(healthy, reason string) {
	w.t.Helper()
	got := w.ask(w.health, &relaypb.HealthRequest{})
	if len(got) != 1 {
		w.t.Fatalf("%d answers", len(got))
	}
	reasons := []string{}
	if healthy != healthGood {
		reasons = append(reasons, reason)
	}
	h := got[0].(*relaypb.Health)
	if h.GetHealthy() != healthy || h.GetReason() != reason || fmt.Sprint(h.GetReasons()) != fmt.Sprint(reasons) {
		w.t.Errorf("at %s: %v, want %s %q %q", time.Now().Format("05.000"), h, healthy, reason, reasons)
	}
}

// TestHealth brings about each state of PROTOCOL.md, Health, and ends it.
func TestHealth(t *testing.T) {
	for _, c := range []struct {
		name            string
		begin, end      func(w *world)
		healthy, reason string
		after           time.Duration
	}{
		{
			"channels no clients",
			func(w *world) { w.mute("x") },
			func(w *world) { w.unmute("x") },
			healthBad, reasonOrphans, 2 * time.Second,
		},
		{
			"channels no clients, until one comes",
			func(w *world) { w.mute("x") },
			func(w *world) { w.client() },
			healthBad, reasonOrphans, 2 * time.Second,
		},
		{
			"clients no channels",
			func(w *world) { w.connect(nil, nil, nil, nil) },
			func(w *world) { w.peers[len(w.peers)-1].hangUp() },
			healthDegraded, reasonNoChannel, 5 * time.Second,
		},
		{
			"clients no channels, until one is opened",
			func(w *world) { w.connect(nil, nil, nil, nil) },
			func(w *world) { w.peers[len(w.peers)-1].says(sub("x", "", "1")) },
			healthDegraded, reasonNoChannel, 5 * time.Second,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			single(t, roomy, func(_ *testing.T, w *world) {
				w.wantHealth(healthGood, reasonHealthy)
				w.d.Run(300 * time.Millisecond) // between two looks
				c.begin(w)
				w.d.Run(c.after - time.Millisecond)
				w.wantHealth(healthGood, reasonHealthy)
				w.d.Run(glance)
				w.wantHealth(c.healthy, c.reason)
				w.d.Run(time.Hour)
				w.wantHealth(c.healthy, c.reason)
				c.end(w)
				w.d.Run(glance)
				w.wantHealth(healthGood, reasonHealthy)
			})
		})
		t.Run(c.name+", flapping", func(t *testing.T) {
			single(t, roomy, func(_ *testing.T, w *world) {
				for range 5 {
					c.begin(w)
					w.d.Run(c.after - time.Millisecond)
					w.wantHealth(healthGood, reasonHealthy)
					c.end(w)
					w.d.Run(glance)
					for _, p := range w.peers {
						p.hangUp()
					}
					w.unmute("x")
					w.d.Settle()
				}
			})
		})
	}
}

// TestHealthyStates must not be taken for others, however long they last.
func TestHealthyStates(t *testing.T) {
	for _, c := range []struct {
		name  string
		begin func(w *world)
	}{
		{"nobody", func(*world) {}},
		{"three clients, no channel", func(w *world) { w.connect(nil, nil, nil) }},
		{"clients and a channel", func(w *world) {
			w.connect(nil, nil, nil)
			w.client().says(sub("x", "", "1")).wants("1 ok")
		}},
		{"clients came and went", func(w *world) {
			p := w.client()
			p.says(sub("x", "", "1")).wants("1 ok")
			p.hangUp()
			w.d.Settle()
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			single(t, roomy, func(_ *testing.T, w *world) {
				c.begin(w)
				for range 20 {
					w.d.Run(700 * time.Millisecond)
					w.wantHealth(healthGood, reasonHealthy)
				}
			})
		})
	}
}

// TestAilments are told by others. The worst comes first, in the order of
// PROTOCOL.md, Health, and a restart forgets none.
func TestAilments(t *testing.T) {
	single(t, roomy, func(t *testing.T, w *world) {
		tell := func(healthy, reason string, over bool) {
			w.sys.Root.Send(w.health, &relaypb.Ailment{Healthy: healthy, Reason: reason, Over: over})
		}
		wants := func(want ...string) {
			t.Helper()
			h := w.ask(w.health, &relaypb.HealthRequest{})[0].(*relaypb.Health)
			if got := append([]string{h.GetHealthy(), h.GetReason()}, h.GetReasons()...); !slices.Equal(got, want) {
				t.Errorf("health is %q, want %q", got, want)
			}
		}
		wants(healthGood, reasonHealthy)
		tell(healthDegraded, "high latency", false)
		wants(healthDegraded, "high latency", "high latency")
		tell(healthDegraded, "duplicate name", false)
		tell(healthDegraded, "another", false)
		w.connect(nil, nil, nil, nil)
		w.d.Run(idleAllowed + glance)
		tell(healthDegraded, "no peers", false)
		tell(healthDegraded, "no peers", false) // twice is once
		all := []string{"no peers", "high latency", reasonNoChannel, "another", "duplicate name"}
		wants(append([]string{healthDegraded, "no peers"}, all...)...)
		for _, p := range w.peers {
			p.hangUp()
		}
		w.mute("x")
		w.d.Run(orphansAllowed + glance)
		tell(healthBad, "worst", false)
		wants(healthBad, reasonOrphans, reasonOrphans, "worst", "no peers", "high latency", "another", "duplicate name")
		w.unmute("x")
		w.d.Run(glance)
		w.restart(w.health)
		wants(healthBad, "worst", "worst", "no peers", "high latency", "another", "duplicate name")
		tell("", "worst", true)
		tell(healthDegraded, "no peers", true)
		tell(healthDegraded, "no peers", true)
		tell(healthDegraded, "another", true)
		tell(healthDegraded, "never there", true)
		wants(healthDegraded, "high latency", "high latency", "duplicate name")
		tell(healthDegraded, "duplicate name", true)
		tell(healthDegraded, "high latency", true)
		wants(healthGood, reasonHealthy)
	})
}

// TestHealthRestarts counts looks: there is one timer, whatever happens.
func TestHealthRestarts(t *testing.T) {
	single(t, roomy, func(t *testing.T, w *world) {
		looks := 0
		w.sys.Root.Send(w.top, func(ctx actor.Context) {
			crowd := tree.Spawn(ctx, "", tree.Spec{New: func() actor.Actor {
				return actor.ReceiveFunc(func(ctx actor.Context) {
					if _, ok := ctx.Message().(*relaypb.CensusRequest); ok {
						looks++
						ctx.Respond(&relaypb.Census{})
					}
				})
			}})
			w.health = tree.Spawn(ctx, "", tree.Spec{New: func() actor.Actor {
				return &health{clients: crowd, channels: w.channels, ailments: map[string]string{}}
			}})
		})
		for range 3 {
			w.d.Run(1500 * time.Millisecond)
			w.restart(w.health)
			w.sys.Root.Send(w.health, look{}) // the old timer's was on its way
		}
		w.d.Settle()
		looks = 0
		w.d.Run(10 * healthEvery)
		if looks != 10 {
			t.Errorf("%d looks, want 10", looks)
		}
		w.mute("x")
		w.d.Run(orphansAllowed + glance)
		w.wantHealth(healthBad, reasonOrphans)
	})
}
