package relay

import (
	"time"

	"parley/messages/relaypb"
)

// ringSeconds is how far statistics look back. Source: gateways/relay/PROTOCOL.md, Statistics.
const ringSeconds = 60

// ringSpan is ringSeconds as a duration.
const ringSpan = ringSeconds * time.Second

// windows are the spans that are reported, in seconds.
var windows = [3]int64{1, 15, 60}

// ring counts traffic in one-second buckets, by second modulo size. One more
// than is reported: the second under way is not complete.
type ring struct{ buckets [ringSeconds + 1]bucket }

type bucket struct {
	second     int64  // Unix; tells a bucket of an earlier round
	packets    uint64 // messages that entered
	bytes      uint64 // payload
	deliveries uint64
}

func (r *ring) at(second int64) *bucket {
	b := &r.buckets[second%int64(len(r.buckets))]
	if b.second != second {
		*b = bucket{second: second}
	}
	return b
}

func (r *ring) add(second int64, bytes, deliveries int) {
	b := r.at(second)
	b.packets++
	b.bytes += uint64(bytes)
	b.deliveries += uint64(deliveries)
}

// silent reports whether nothing was counted in the reported span.
func (r *ring) silent(now int64) bool {
	for _, b := range r.buckets {
		if b.packets > 0 && now-b.second <= ringSeconds {
			return false
		}
	}
	return true
}

// merge adds what another ring counted.
func (r *ring) merge(o *ring) {
	if o == nil {
		return
	}
	for _, b := range o.buckets {
		if b.packets == 0 {
			continue
		}
		if have := &r.buckets[b.second%int64(len(r.buckets))]; have.second > b.second {
			continue // older than what this ring can still hold
		}
		to := r.at(b.second)
		to.packets += b.packets
		to.bytes += b.bytes
		to.deliveries += b.deliveries
	}
}

func (r *ring) clone() *ring {
	if r == nil {
		return nil
	}
	c := *r
	return &c
}

// traffic sums the complete seconds before now.
func (r *ring) traffic(now int64) *relaypb.Traffic {
	t := &relaypb.Traffic{
		Packets: make([]uint64, len(windows)), Kilobits: make([]float64, len(windows)), Deliveries: make([]uint64, len(windows)),
	}
	if r == nil {
		return t
	}
	for i, w := range windows {
		var bytes uint64
		for _, b := range r.buckets {
			if age := now - b.second; age >= 1 && age <= w {
				t.Packets[i] += b.packets
				t.Deliveries[i] += b.deliveries
				bytes += b.bytes
			}
		}
		t.Kilobits[i] = float64(bytes) * 8 / 1000 / float64(w)
	}
	return t
}
