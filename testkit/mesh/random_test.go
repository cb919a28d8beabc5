package mesh_test

import (
	"sync"
	"testing"
	"time"

	"parley/testkit"
	"parley/testkit/mesh"
)

// sums are figures of many runs.
type sums struct {
	mu                                            sync.Mutex
	runs, ops, steps                              int
	delivered, promised, lost, refused, overtaken int
	probes, probeFrames                           int
	overtakenBrief, missedBrief                   int // see mesh.Watch
	span                                          time.Duration
}

func (s *sums) add(r *mesh.Sim) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := r.Watch
	s.runs++
	s.ops += r.Ops
	s.steps += r.D.Steps()
	s.span += w.Span()
	s.delivered += w.Delivered
	s.promised += w.Promised
	s.lost += w.Lost
	s.refused += w.Refused
	s.overtaken += w.Overtaken
	s.overtakenBrief += w.OvertakenBrief
	s.missedBrief += w.MissedBrief
	s.probes += w.Probes
	s.probeFrames += w.ProbeFrames
}

func (s *sums) log(t *testing.T, took time.Duration) {
	t.Logf("%d runs, %d operations, %d steps, %.1f h of the mesh in %v: %.1f h a minute", s.runs, s.ops, s.steps, s.span.Hours(), took.Round(time.Second), s.span.Hours()/took.Minutes())
	t.Logf("%d messages heard, %d of them promised; %d subscriptions lost, %d refused; %d messages overtaken while the network changed; %d probes over %d links",
		s.delivered, s.promised, s.lost, s.refused, s.overtaken, s.probes, s.probeFrames)
	t.Logf("not promised, but counted, 1.5 to 5 s behind a change: %d deliveries missed, %d messages overtaken", s.missedBrief, s.overtakenBrief)
}

// TestRandom is the property that the whole mesh stands on: whatever happens,
// when it is quiet all know the same and it is true, and meanwhile nobody hears
// what they should not. make sim SEEDS=5000 searches for longer.
func TestRandom(t *testing.T) {
	var all sums
	start := time.Now()
	t.Cleanup(func() { all.log(t, time.Since(start)) })
	testkit.SeedsApart(t, randomRuns, func(t *testing.T, d *testkit.Driver) { all.add(mesh.Random(t, d)) })
}
