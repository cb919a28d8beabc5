package main

import (
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	quietEvery  = 2 * time.Second // between two looks
	quietFrames = 1000            // frames a second that still count as quiet
	quietWaste  = 8 << 20         // bytes allocated since the last collection that are worth one
)

// hush gives memory back when a node has gone quiet. After ten thousand clients
// have connected, half of the heap is what their handshakes left behind, and
// the collector, which paces itself by allocations, waits for more that may not
// come for minutes. frames counts the messages that came in; stop ends it.
func hush(frames func() int64, stop <-chan struct{}) {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	allocated := func() uint64 {
		metrics.Read(sample)
		return sample[0].Value.Uint64()
	}
	tick := time.NewTicker(quietEvery)
	defer tick.Stop()
	var cleaned, before uint64
	seen := frames()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		now, total := frames(), allocated()
		quiet := now-seen < quietFrames*int64(quietEvery/time.Second) && total-before < quietWaste
		if quiet && total-cleaned > quietWaste {
			debug.FreeOSMemory()
			cleaned = allocated()
		}
		seen, before = now, total
	}
}
