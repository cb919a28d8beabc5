package relay

import (
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/relaypb"
)

const (
	// hostEvery is how often the network counters are read. Source:
	// gateways/relay/PROTOCOL.md, Statistics.
	hostEvery   = 15 * time.Second
	hostSamples = 5 // kept: four windows of hostEvery need five
)

// Probe reads the machine's figures. It may take its time: it runs off the actors.
type Probe func() (*relaypb.HostReading, error)

// host answers how the machine is. Every answer is a fresh reading, together
// with network samples of the last minute.
//
//	parent    node
//	receives  relaypb.HostStatsRequest, sampleNow, reading
//	sends     relaypb.HostStats to askers
//	stops     with the node
type host struct {
	probe Probe // fixed at spawn

	samples []*relaypb.NetworkCount // owned; newest first, hostEvery apart
	timer   *tree.Timer
}

type (
	sampleNow struct{}
	// reading is what a probe saw; asker nil: for samples.
	reading struct {
		asker *actor.PID
		got   *relaypb.HostReading
	}
)

// IgnoreDeadLetterLogging marks messages that may find host stopped.
func (sampleNow) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find host stopped.
func (*reading) IgnoreDeadLetterLogging() {}

// SpawnHost starts the actor that answers relaypb.HostStatsRequest.
func SpawnHost(ctx actor.SpawnerContext, p Probe) *actor.PID {
	return tree.Spawn(ctx, "host", tree.Spec{New: func() actor.Actor { return &host{probe: p} }})
}

func (h *host) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		h.onSampleNow(ctx)
	case *actor.Stopping, *actor.Restarting:
		h.timer.Stop()
	case sampleNow:
		h.onSampleNow(ctx)
	case *relaypb.HostStatsRequest:
		h.look(ctx, ctx.Sender())
	case *reading:
		h.onReading(ctx, m)
	}
}

func (h *host) onSampleNow(ctx actor.Context) {
	h.timer.Stop() // another may run: this message can be from before a restart
	h.timer = tree.After(ctx, hostEvery, sampleNow{})
	h.look(ctx, nil)
}

func (h *host) look(ctx actor.Context, asker *actor.PID) {
	sys, self, probe := ctx.ActorSystem(), ctx.Self(), h.probe
	tree.Go(sys, func() {
		got, err := probe()
		if err != nil {
			tree.Log(sys).Warn("host figures incomplete", slog.Any("error", err))
		}
		sys.Root.Send(self, &reading{asker, got})
	})
}

func (h *host) onReading(ctx actor.Context, m *reading) {
	if m.asker == nil {
		h.samples = append([]*relaypb.NetworkCount{m.got.GetNetwork()}, h.samples[:min(len(h.samples), hostSamples-1)]...)
		return
	}
	ctx.Send(m.asker, &relaypb.HostStats{
		Load: m.got.GetLoad(), Memory: m.got.GetMemory(), Disks: m.got.GetDisks(), Network: h.network(),
	})
}

// network is the traffic of each window that the samples span.
func (h *host) network() (out []*relaypb.NetworkWindow) {
	for i := 1; i < len(h.samples); i++ {
		now, then := h.samples[0], h.samples[i]
		out = append(out, &relaypb.NetworkWindow{Seconds: uint32(i) * uint32(hostEvery/time.Second), Count: &relaypb.NetworkCount{
			BytesIn: since64(now.GetBytesIn(), then.GetBytesIn()), BytesOut: since64(now.GetBytesOut(), then.GetBytesOut()),
			PacketsIn: since64(now.GetPacketsIn(), then.GetPacketsIn()), PacketsOut: since64(now.GetPacketsOut(), then.GetPacketsOut()),
		}})
	}
	return out
}

// since64 is a counter's growth; one that went back (an interface left) is none.
func since64(now, then uint64) uint64 {
	if now < then {
		return 0
	}
	return now - then
}
