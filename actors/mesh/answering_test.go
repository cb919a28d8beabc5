package mesh

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/messages/relaypb"
	"parley/testkit"
)

// TestCommandsGoWhereTheyBelong sends each command to this node and to all.
func TestCommandsGoWhereTheyBelong(t *testing.T) {
	tests := []struct{ name, one, all string }{
		{cmdConnection, "peers", "no: invalid destination"},
		{cmdToken, "peers", "no: invalid destination"},
		{cmdLatency, "peers", "no: invalid destination"},
		{cmdNodes, "peers", "peers"},
		{cmdChannels, "reservations", "reservations"},
		{cmdReserved, "reservations", "reservations"},
		{cmdReserve, "reservations", "reservations"},
		{cmdUnreserve, "reservations", "reservations"},
		{cmdSync, "reservations", "reservations"},
		{cmdNodeStats, "stats", "stats"},
		{cmdHostStats, "host", "host"},
		{cmdHello, "", ""},
		{"dance", "no: unknown command", ""},
		{"", "no: unknown command", ""},
	}
	testkit.Seeds(t, 1, func(t *testing.T, d *testkit.Driver) {
		b := commandsBureau(t, d)
		went := func() (where string) {
			for _, name := range []string{"peers", "reservations"} {
				if len(b.inquiries[name]) == 1 && b.inquiries[name][0].from == "link" {
					where += name
				}
			}
			for _, q := range b.questions {
				if _, host := q.(*relaypb.HostStatsRequest); host {
					where += "host"
				} else {
					where += "stats"
				}
			}
			for _, p := range b.posts {
				if p.destination == "anna" && p.response.Ok != nil && !p.response.GetOk() {
					where += "no: " + p.response.GetReason()
				}
			}
			clear(b.inquiries)
			b.questions, b.posts = nil, nil
			return where
		}
		for i, test := range tests {
			b.tell(command("anna", "self", test.name, uint64(i)))
			if got := went(); got != test.one {
				t.Errorf("%q to this node went to %q, want %q", test.name, got, test.one)
			}
			b.tell(&received{packet: command("", "", "", 0).packet}) // nothing is in it
			d.Run(statsMost)
			b.tell(command("anna", everyone, test.name, uint64(100+i)))
			if got := went(); got != test.all {
				t.Errorf("%q to all went to %q, want %q", test.name, got, test.all)
			}
			d.Run(statsMost)
		}
		b.stop()
	})
}

// TestFiguresForSeveral asks once for all who ask at once, and answers each once.
func TestFiguresForSeveral(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		b := commandsBureau(t, d)
		var waiting []*actor.PID
		b.onQuestion = func(ctx actor.Context) { waiting = append(waiting, ctx.Sender()) }
		ask := func(seq uint64, who string) { b.tell(command(who, everyone, cmdNodeStats, seq)) }
		ask(1, "anna")
		ask(2, "bob")
		ask(3, "anna")
		if len(waiting) != 1 || len(b.posts) != 0 {
			t.Fatalf("asked %d times, posted %v", len(waiting), b.posts)
		}
		b.sys.Root.Send(waiting[0], &relaypb.NodeStats{Clients: 5})
		d.Settle()
		got := ""
		for _, p := range b.posts {
			got += fmt.Sprintf("%s %d %d %t, ", p.destination, p.to.GetSeq(), p.response.GetNodeStats().GetClients(), p.response.GetOk())
		}
		if got != "anna 1 5 true, bob 2 5 true, anna 3 5 true, " {
			t.Errorf("posted %s", got)
		}
		ask(4, "bob")
		d.Run(statsMost) // they do not come
		b.sys.Root.Send(waiting[1], &relaypb.NodeStats{Clients: 6})
		d.Settle()
		if len(waiting) != 2 || len(b.posts) != 3 {
			t.Errorf("asked %d times, answered %d", len(waiting), len(b.posts))
		}
		ask(5, "bob")
		b.restart() // the time goes on
		ask(6, "bob")
		b.tell(&relaypb.HostStats{Load: []float64{1}}) // nobody asked
		d.Run(statsMost - time.Millisecond)
		b.sys.Root.Send(waiting[2], &relaypb.NodeStats{Clients: 7})
		d.Settle()
		if len(waiting) != 3 || len(b.posts) != 5 || b.posts[4].to.GetSeq() != 6 {
			t.Errorf("asked %d times, answered %d", len(waiting), len(b.posts))
		}
		b.stop()
	})
}

// TestFiguresOfNobody is silent before it has met its node.
func TestFiguresOfNobody(t *testing.T) {
	testkit.Seeds(t, 1, func(t *testing.T, d *testkit.Driver) {
		b := commandsBureau(t, d)
		stats := b.met.Stats
		b.met.Stats = nil
		b.tell(command("anna", "self", cmdNodeStats, 1))
		b.met.Stats = stats
		for i := range uint64(askersMost + 10) {
			b.tell(command("anna", "self", cmdNodeStats, 2+i))
		}
		b.tell(&relaypb.NodeStats{})
		if len(b.posts) != askersMost || len(b.questions) != 1 {
			t.Errorf("%d answers, %d questions", len(b.posts), len(b.questions))
		}
		b.stop()
	})
}

// TestFiguresForOneLink: figures are long, and commands for them are short. Who
// asks over one link gets so much of them; others get theirs.
func TestFiguresForOneLink(t *testing.T) {
	testkit.Seeds(t, 2, func(t *testing.T, d *testkit.Driver) {
		b := commandsBureau(t, d)
		long := &relaypb.NodeStats{}
		for i := range 10_000 {
			long.Channels = append(long.Channels, &relaypb.ChannelStats{Name: fmt.Sprint(strings.Repeat("x", 100), i)})
		}
		for i := range uint64(500) {
			b.tell(command(fmt.Sprint("n", i), "self", cmdNodeStats, i))
		}
		honest := command("honest", "self", cmdNodeStats, 1)
		honest.from = "honest"
		b.tell(honest)
		b.tell(long)
		if n := len(b.posts); n < 5 || n > 50 || b.posts[n-1].destination != "honest" {
			t.Errorf("%d answers", n)
		}
		b.posts = nil
		d.Run(time.Minute)
		b.tell(command("n1", "self", cmdNodeStats, 1000))
		b.tell(long)
		if len(b.posts) != 1 {
			t.Errorf("%d answers after a minute", len(b.posts))
		}
		b.stop()
	})
}
