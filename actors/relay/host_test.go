package relay

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/messages/relaypb"
	"parley/testkit"
)

// paperHost is a machine whose network counters the test sets.
type paperHost struct {
	w     *world
	pid   *actor.PID
	reads int
	now   relaypb.HostReading
	err   error
}

func (h *paperHost) read() (*relaypb.HostReading, error) {
	h.reads++
	n := h.now.GetNetwork()
	return &relaypb.HostReading{
		Load: h.now.GetLoad(), Memory: h.now.GetMemory(), Disks: h.now.GetDisks(),
		Network: &relaypb.NetworkCount{BytesIn: n.GetBytesIn(), BytesOut: n.GetBytesOut(), PacketsIn: n.GetPacketsIn(), PacketsOut: n.GetPacketsOut()},
	}, h.err
}

// passes counts traffic: 1,000 bytes and 10 packets in, 100 and 1 out, a unit.
func (h *paperHost) passes(units uint64) {
	n := h.now.GetNetwork()
	n.BytesIn, n.PacketsIn = n.GetBytesIn()+1000*units, n.GetPacketsIn()+10*units
	n.BytesOut, n.PacketsOut = n.GetBytesOut()+100*units, n.GetPacketsOut()+units
}

func (h *paperHost) ask() *relaypb.HostStats {
	h.w.t.Helper()
	got := h.w.ask(h.pid, &relaypb.HostStatsRequest{})
	if len(got) != 1 {
		h.w.t.Fatalf("%d answers", len(got))
	}
	return got[0].(*relaypb.HostStats)
}

// wants compares the network windows with units passed.
func (h *paperHost) wants(units ...uint64) {
	h.w.t.Helper()
	var want, got []string
	for i, n := range units {
		want = append(want, fmt.Sprint(15*(i+1), " s ", 1000*n, " ", 100*n, " ", 10*n, " ", n))
	}
	for _, n := range h.ask().GetNetwork() {
		c := n.GetCount()
		got = append(got, fmt.Sprint(n.GetSeconds(), " s ", c.GetBytesIn(), " ", c.GetBytesOut(), " ", c.GetPacketsIn(), " ", c.GetPacketsOut()))
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		h.w.t.Errorf("network is %q, want %q", got, want)
	}
}

func onHost(t *testing.T, test func(t *testing.T, w *world, h *paperHost)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, testkit.NewDriver(1), 1, roomy)
		h := &paperHost{w: w}
		h.now.Network = &relaypb.NetworkCount{BytesIn: 1 << 40, BytesOut: 1 << 40, PacketsIn: 1 << 40, PacketsOut: 1 << 40}
		w.sys.Root.Send(w.top, func(ctx actor.Context) { h.pid = SpawnHost(ctx, h.read) })
		w.d.Settle()
		test(t, w, h)
		w.stop()
	})
}

func TestHostStats(t *testing.T) {
	onHost(t, func(t *testing.T, w *world, h *paperHost) {
		h.wants() // one sample says nothing
		h.now.Load = []float64{1, 2, 3}
		h.now.Memory = &relaypb.Memory{Used: 1, Free: 2, Available: 3, Total: 4}
		h.now.Disks = []*relaypb.Disk{{Mount: "/", Used: 5, Free: 6, Total: 11}}
		got := h.ask()
		if got.GetLoad()[2] != 3 || got.GetMemory().GetTotal() != 4 || got.GetDisks()[0].GetFree() != 6 {
			t.Errorf("stats are %v", got)
		}
		h.passes(1)
		w.d.Run(hostEvery - time.Millisecond)
		h.wants()
		w.d.Run(time.Millisecond)
		h.wants(1)
		h.passes(2)
		h.wants(1) // until it is sampled
		w.d.Run(hostEvery)
		h.wants(2, 3)
		h.passes(4)
		w.d.Run(hostEvery)
		h.passes(8)
		w.d.Run(hostEvery)
		h.wants(8, 12, 14, 15)
		h.passes(16)
		w.d.Run(hostEvery)
		h.wants(16, 24, 28, 30) // and no longer
		w.d.Run(5 * hostEvery)
		h.wants(0, 0, 0, 0)
	})
}

// TestHostCounterGoesBack takes an interface away.
func TestHostCounterGoesBack(t *testing.T) {
	onHost(t, func(_ *testing.T, w *world, h *paperHost) {
		h.passes(5)
		w.d.Run(hostEvery)
		h.now.Network = &relaypb.NetworkCount{}
		w.d.Run(hostEvery)
		h.wants(0, 0)
		h.passes(3)
		w.d.Run(hostEvery)
		h.wants(3, 0, 0)
	})
}

// TestHostReadsWhatItCan goes on with a reading that lacks something.
func TestHostReadsWhatItCan(t *testing.T) {
	onHost(t, func(_ *testing.T, w *world, h *paperHost) {
		h.err = errors.New("host: load: gone")
		h.passes(7)
		w.d.Run(hostEvery)
		h.wants(7)
	})
}

func TestHostSamplesAtItsPace(t *testing.T) {
	onHost(t, func(t *testing.T, w *world, h *paperHost) {
		for range 3 {
			w.d.Run(hostEvery / 3)
			w.restart(h.pid)
			w.sys.Root.Send(h.pid, sampleNow{}) // the old timer's was on its way
		}
		w.d.Settle()
		h.reads = 0
		w.d.Run(10 * hostEvery)
		if h.reads != 10 {
			t.Errorf("%d readings in %s, want 10", h.reads, 10*hostEvery)
		}
	})
}
