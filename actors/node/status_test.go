package node

import (
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/ui"
	"parley/messages/relaypb"
	"parley/messages/uipb"
	"parley/testkit"
)

// counters are stats and host made of paper: they answer when the test says so.
type counters struct {
	*world
	status      *actor.PID
	stats, host *actor.PID
	descriptor  string
	waiting     []*actor.PID // who asked them, oldest first
	traffic     *relaypb.NodeStats
	figures     *relaypb.HostStats
	silent      bool
	bad         bool // descriptor panics
}

func onStatus(t *testing.T, opts []testkit.SystemOption, test func(t *testing.T, c *counters)) {
	testkit.Seeds(t, 10, func(t *testing.T, d *testkit.Driver) {
		c := &counters{
			traffic: &relaypb.NodeStats{Clients: 3, Channels: []*relaypb.ChannelStats{{Name: "x", Subscribers: 2}}},
			figures: &relaypb.HostStats{Load: []float64{1, 2, 3}},
		}
		c.world = newWorld(t, d, func(w *world, ctx actor.Context) {
			c.stats = w.paper(ctx, "stats", func(ctx actor.Context) {
				if _, ok := ctx.Message().(*relaypb.NodeStatsRequest); ok {
					c.asked(ctx)
				}
			})
			c.host = w.paper(ctx, "host", func(ctx actor.Context) {
				if _, ok := ctx.Message().(*relaypb.HostStatsRequest); ok {
					c.asked(ctx)
				}
			})
			c.status = SpawnStatus(ctx, Reporting{
				Name: `ada "the\first"`, Stats: c.stats, Host: c.host, Broadcasts: w.broadcasts,
				Descriptor: func() string {
					if c.bad {
						panic("told to")
					}
					return c.descriptor
				},
			})
		}, opts...)
		test(t, c)
		c.stop()
	})
}

func (c *counters) asked(ctx actor.Context) {
	c.waiting = append(c.waiting, ctx.Sender())
	if !c.silent {
		c.answer(ctx.Self())
	}
}

// answer is that of stats or host to all who wait.
func (c *counters) answer(who *actor.PID) {
	for _, pid := range c.waiting {
		if who.Equal(c.stats) {
			c.sys.Root.Send(pid, c.traffic)
		} else {
			c.sys.Root.Send(pid, c.figures)
		}
	}
	c.waiting = nil
}

func (c *counters) ask(opcode string) *asked { return c.world.ask(c.status, owner, opcode, nil) }

func TestStatus(t *testing.T) {
	onStatus(t, nil, func(_ *testing.T, c *counters) {
		c.ask("descriptor").hears(&uipb.Descriptor{})
		c.descriptor = "parley://token@node.example:8912?name=ada"
		c.ask("descriptor").hears(&uipb.Descriptor{Descriptor_: &c.descriptor})
		c.ask("connectionStatus").hears(&uipb.Stage{Stage: "NotConnected"})
		c.ask("neighborhoodGraph").hears(&uipb.Graph{Graph: "digraph mesh {\n\t\"ada \\\"the\\\\first\\\"\" [style=filled];\n}\n"})
		c.ask("peers").hears(&uipb.Peers{})
		c.ask("nodeStats").hears(c.traffic)
		c.ask("channels").hears(&uipb.Channels{Channels: c.traffic.GetChannels()})
		c.ask("hostStats").hears(c.figures)
		c.ask("starPeers").hears(ui.Fault(ui.CodeMissing, "This Node has no rendezvous, because its star-address is off; set it to an address, and start the Node again"))
		c.ask("shutdown").hears(ui.Fault(ui.CodeUnmarshal, `Opcode "shutdown" is not answered here`))
	})
}

// TestStage changes, and comes back.
func TestStage(t *testing.T) {
	stage := func(s string, optIn bool) *uipb.Announce {
		return &uipb.Announce{Response: uipb.Broadcast("connectionChange", &uipb.Stage{Stage: s}), OptIn: optIn}
	}
	onStatus(t, nil, func(_ *testing.T, c *counters) {
		say := func(s string) { c.sys.Root.Send(c.status, &uipb.Stage{Stage: s}); c.d.Settle() }
		say("NotConnected")
		c.hears()
		say("ConnectedToNeighbor")
		c.hears(stage("ConnectedToNeighbor", false))
		c.ask("connectionStatus").hears(&uipb.Stage{Stage: "ConnectedToNeighbor"})
		say("ConnectedToNeighbor")
		say("RouteFound")
		c.restart(c.status)
		say("RouteFound")
		say("NotConnected")
		c.hears(stage("RouteFound", false), stage("NotConnected", true))
	})
}

// TestFiguresAreCountedOnce for all who ask meanwhile.
func TestFiguresAreCountedOnce(t *testing.T) {
	onStatus(t, nil, func(t *testing.T, c *counters) {
		c.silent = true
		a, b := c.ask("nodeStats"), c.ask("channels")
		a.silent()
		b.silent()
		gone := c.ask("nodeStats")
		gone.silent()
		gone.leave() // nobody misses it
		c.d.Settle()
		if len(c.waiting) != 1 {
			t.Errorf("asked %d times", len(c.waiting))
		}
		c.answer(c.stats)
		a.hears(c.traffic)
		b.hears(&uipb.Channels{Channels: c.traffic.GetChannels()})

		h := c.ask("hostStats")
		h.silent()
		n := c.ask("nodeStats") // does not wait for the host
		n.silent()
		if len(c.waiting) != 2 {
			t.Errorf("asked %d times", len(c.waiting))
		}
		c.waiting = c.waiting[:1]
		c.answer(c.host)
		h.hears(c.figures)
		n.silent()
		c.sys.Root.Send(c.status, c.traffic)
		n.hears(c.traffic)
	})
}

var notCounted = ui.Fault(ui.CodeUnknown, "The figures could not be counted; the log of the Node says why")

func TestFiguresDoNotCome(t *testing.T) {
	onStatus(t, nil, func(_ *testing.T, c *counters) {
		c.silent = true
		a := c.ask("hostStats")
		c.d.Run(figuresTimeout - time.Millisecond)
		b := c.ask("hostStats")
		a.silent()
		c.d.Run(time.Millisecond)
		late := ui.Fault(ui.CodeTimeout, "The figures were not counted within 5s; try again")
		a.hears(late)
		b.hears(late)

		// What comes too late is for who asks next, and its own is nobody's.
		a = c.ask("hostStats")
		a.silent()
		c.answer(c.host)
		a.hears(c.figures)
		c.d.Run(2 * figuresTimeout)

		a = c.ask("nodeStats")
		a.silent()
		c.restart(c.status)
		a.hears(notCounted)
		c.silent = false
		c.ask("nodeStats").hears(c.traffic)
	})
}

// TestWhoCountsIsGone for good.
func TestWhoCountsIsGone(t *testing.T) {
	testkit.Seeds(t, 10, func(t *testing.T, d *testkit.Driver) {
		var status *actor.PID
		w := newWorld(lenient{t}, d, func(w *world, ctx actor.Context) {
			status = SpawnStatus(ctx, Reporting{
				Stats: w.sys.NewLocalPID("stats"), Host: w.sys.NewLocalPID("host"), Broadcasts: w.broadcasts, Descriptor: func() string { return "" },
			})
		})
		for _, opcode := range []string{"nodeStats", "channels", "hostStats", "nodeStats"} {
			w.ask(status, owner, opcode, nil).hears(notCounted)
		}
		w.stop()
	})
}

// TestStatusFails and answers.
func TestStatusFails(t *testing.T) {
	onStatus(t, []testkit.SystemOption{testkit.ExpectFailures(1)}, func(_ *testing.T, c *counters) {
		c.silent, c.bad = true, true
		a := c.ask("nodeStats")
		a.silent()
		c.ask("descriptor").fails("status")
		a.hears(notCounted)
		c.bad = false
		c.ask("descriptor").hears(&uipb.Descriptor{})
	})
}
