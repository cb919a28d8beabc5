package relay

import (
	"fmt"
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
			w.health = tree.Spawn(ctx, "", tree.Spec{New: func() actor.Actor { return &health{clients: crowd, channels: w.channels} }})
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
