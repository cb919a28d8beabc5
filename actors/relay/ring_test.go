package relay

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"parley/messages/relaypb"
)

// event is one message, as a model of ring keeps it.
type event struct {
	second            int64
	bytes, deliveries int
}

// window sums the events of w complete seconds before now.
func sum(events []event, now, w int64) (packets, bytes, deliveries uint64) {
	for _, e := range events {
		if age := now - e.second; age >= 1 && age <= w {
			packets++
			bytes += uint64(e.bytes)
			deliveries += uint64(e.deliveries)
		}
	}
	return packets, bytes, deliveries
}

func checkTraffic(t *rapid.T, what string, r *ring, events []event, now int64) {
	got := r.traffic(now)
	want := &relaypb.Traffic{}
	for _, w := range []int64{1, 15, 60} {
		packets, bytes, deliveries := sum(events, now, w)
		want.Packets = append(want.Packets, packets)
		want.Deliveries = append(want.Deliveries, deliveries)
		want.Kilobits = append(want.Kilobits, float64(bytes)*8/1000/float64(w))
	}
	if !slices.Equal(got.GetPackets(), want.GetPackets()) || !slices.Equal(got.GetDeliveries(), want.GetDeliveries()) ||
		!slices.EqualFunc(got.GetKilobits(), want.GetKilobits(), func(a, b float64) bool { return math.Abs(a-b) < 1e-9 }) {
		t.Fatalf("%s at %d: %v, want %v", what, now, got, want)
	}
}

// TestRing compares rings, and what is merged of them, with lists of events.
func TestRing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := rapid.Int64Range(1, 1<<40).Draw(t, "start")
		rings, lists := [3]*ring{{}, {}, {}}, [3][]event{}
		which := rapid.IntRange(0, len(rings)-1)
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				i, e := which.Draw(t, "ring"), event{now, rapid.IntRange(0, 1<<20).Draw(t, "bytes"), rapid.IntRange(0, 1000).Draw(t, "deliveries")}
				rings[i].add(e.second, e.bytes, e.deliveries)
				lists[i] = append(lists[i], e)
			},
			"wait": func(t *rapid.T) {
				now += rapid.OneOf(rapid.Int64Range(0, 3), rapid.Int64Range(0, 130)).Draw(t, "seconds")
			},
			"merge": func(t *rapid.T) { // a channel is closed, and opened anew
				from, to := which.Draw(t, "from"), which.Draw(t, "to")
				if from == to {
					return
				}
				rings[to].merge(rings[from])
				lists[to] = append(lists[to], lists[from]...)
				rings[from], lists[from] = &ring{}, nil
			},
			"clone": func(t *rapid.T) {
				i := which.Draw(t, "ring")
				c := rings[i].clone()
				rings[i].add(now, 1, 1)
				checkTraffic(t, "clone", c, lists[i], now+1)
				lists[i] = append(lists[i], event{now, 1, 1})
			},
			"": func(t *rapid.T) {
				total, all := ring{}, []event(nil)
				for i, r := range rings {
					checkTraffic(t, "ring", r, lists[i], now)
					total.merge(r)
					all = append(all, lists[i]...)
					recent := func(e event) bool { return now-e.second <= ringSeconds }
					if got, want := r.silent(now), !slices.ContainsFunc(lists[i], recent); got != want {
						t.Fatalf("silent %v at %d, want %v", got, now, want)
					}
				}
				checkTraffic(t, "total", &total, all, now)
			},
		})
	})
}

// TestRingOfNothing has the shape of any other.
func TestRingOfNothing(t *testing.T) {
	var none *ring
	got := none.traffic(1e9)
	if len(got.GetPackets()) != 3 || len(got.GetKilobits()) != 3 || len(got.GetDeliveries()) != 3 || none.clone() != nil {
		t.Errorf("traffic of a channel that is silent: %v", got)
	}
	var r ring
	r.merge(nil)
	if r != (ring{}) {
		t.Errorf("merged nothing, got %v", r)
	}
}
