package mesh

import (
	"fmt"
	"log/slog"
	"math"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"parley/actors/store"
	"parley/actors/tree"
	"parley/messages/meshpb"
	"parley/messages/relaypb"
	"parley/messages/storepb"
	"parley/testkit"
)

// TestHistories keeps three, each for its time, and shows what was asked for.
func TestHistories(t *testing.T) {
	testkit.Seeds(t, 1, func(t *testing.T, d *testkit.Driver) {
		w := newMastersDesk(t, d, Options{})
		start := uint64(time.Now().Unix()) // on the hour
		d.Run(time.Hour)
		w.nodes["anna"].clients = 7
		d.Run(time.Hour)
		w.restart()
		for _, test := range []struct {
			step   uint32
			from   uint64
			points int
			last   float32 // clients of anna
		}{{10, 0, 360, 7}, {60, 0, 121, 7}, {3600, 0, 3, 7}, {10, start, 720, 7}} {
			o := w.overview(&meshpb.OverviewRequest{Step: test.step, From: test.from})
			h := o.GetHistory()
			if len(h) != test.points || o.GetError() != "" {
				t.Fatalf("step %d: %d points, want %d; error %q", test.step, len(h), test.points, o.GetError())
			}
			last := h[len(h)-1]
			for _, n := range last.GetNodes() {
				if n.GetName() == "anna" && n.GetClients() != test.last {
					t.Errorf("step %d: %v clients at the end", test.step, n.GetClients())
				}
			}
			if len(last.GetNodes()) != 4 || len(last.GetLinks()) != 3 || last.GetAt()%uint64(test.step) != 0 {
				t.Errorf("step %d: the last point is %v", test.step, last)
			}
		}
		if h := w.overview(&meshpb.OverviewRequest{Step: 60, From: start + 600, To: start + 720}).GetHistory(); len(h) != 2 || h[0].GetSamples() != 6 {
			t.Errorf("a part of it is %v", h)
		}
		first := w.overview(&meshpb.OverviewRequest{Step: 3600}).GetHistory()[0]
		if first.GetSamples() != 359 || math.Abs(float64(first.GetNodes()[0].GetClients()-1)) > 1e-4 {
			t.Errorf("the first hour is %v", first)
		}
		for key, until := range w.until {
			var step, at, part uint64
			if _, err := fmt.Sscanf(key, historyKey+"%d/%d/%d", &step, &at, &part); err != nil {
				t.Fatalf("key %q: %v", key, err)
			}
			want := map[uint64]time.Duration{10: 24 * time.Hour, 60: 30 * 24 * time.Hour, 3600: 365 * 24 * time.Hour}[step]
			if got := time.Duration(until-at) * time.Second; got != want {
				t.Errorf("%q is kept for %v, want %v", key, got, want)
			}
		}
		w.stop()
	})
}

// TestHistoryOfALargeNetwork has its points in records that the store takes.
func TestHistoryOfALargeNetwork(t *testing.T) {
	p := &meshpb.Point{At: 10, Samples: 1}
	for i := range 1000 {
		name := fmt.Sprintf("%064d", i)
		p.Nodes = append(p.Nodes, &meshpb.NodePoint{
			Name: name, Clients: 1, Channels: 1, Packets: 1, Kilobits: 1, Deliveries: 1, Load: 1, Memory: 1, Samples: math.MaxUint32,
		})
		p.Links = append(p.Links, &meshpb.LinkPoint{A: name, B: name, Ms: 1, Samples: math.MaxUint32})
	}
	all := recordsOf(p, resolutions[0])
	for _, r := range all {
		if len(r.GetValue()) > 64<<10 {
			t.Errorf("%q has %d bytes", r.GetKey(), len(r.GetValue()))
		}
	}
	if got := pointsOf(all); len(got) != 1 || !proto.Equal(got[0], p) {
		t.Errorf("%d points of it, in %d records", len(got), len(all))
	}
	if got := recordsOf(&meshpb.Point{At: 10}, resolutions[0]); len(got) != 1 {
		t.Errorf("an empty one has %d records", len(got))
	}
	if got := pointsOf([]*storepb.Record{{Value: []byte{0xff}}}); len(got) != 0 {
		t.Errorf("garbage has %v", got)
	}
}

// TestMean joins points in any order and grouping: it is the mean of all.
func TestMean(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		sum, count := map[string]float64{}, map[string]float64{}
		var points []*meshpb.Point
		for range rapid.IntRange(1, 8).Draw(rt, "points") {
			p := &meshpb.Point{Samples: 1}
			for _, name := range []string{"a", "b", "c"} {
				if !rapid.Bool().Draw(rt, name) {
					continue
				}
				v := rapid.Float32Range(0, 1000).Draw(rt, "value")
				p.Nodes = append(p.Nodes, &meshpb.NodePoint{Name: name, Samples: 1, Clients: v})
				p.Links = append(p.Links, &meshpb.LinkPoint{A: "a", B: name, Samples: 1, Ms: v})
				sum[name], count[name] = sum[name]+float64(v), count[name]+1
			}
			points = append(points, p)
		}
		n := uint32(len(points))
		for len(points) > 1 {
			i := rapid.IntRange(0, len(points)-2).Draw(rt, "which")
			points[i] = mean(points[i], points[i+1])
			points = append(points[:i+1], points[i+2:]...)
		}
		p := points[0]
		if p.GetSamples() != n || len(p.GetNodes()) != len(count) || len(p.GetLinks()) != len(count) {
			rt.Fatalf("of %d points: %v", n, p)
		}
		for i, node := range p.GetNodes() {
			want := sum[node.GetName()] / count[node.GetName()]
			if math.Abs(float64(node.GetClients())-want) > 1e-2 || math.Abs(float64(p.GetLinks()[i].GetMs())-want) > 1e-2 {
				rt.Fatalf("%v, want %v", node, want)
			}
		}
	})
}

// byHand is a driver whose timers go off when the test says so.
type byHand struct {
	mu     sync.Mutex
	timers []func()
}

func (h *byHand) Dispatcher(string) actor.Dispatcher { return h }
func (h *byHand) Throughput() int                    { return 300 }
func (h *byHand) Schedule(f func())                  { go f() }
func (h *byHand) Go(f func())                        { go f() }

func (h *byHand) After(_ time.Duration, f func()) func() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.timers = append(h.timers, f)
	return func() bool { return true }
}

// fire lets all timers go off that were set.
func (h *byHand) fire() {
	h.mu.Lock()
	all := h.timers
	h.timers = nil
	h.mu.Unlock()
	for _, f := range all {
		f()
	}
}

// TestHistoriesSurviveARestart keeps them on a real disk.
func TestHistoriesSurviveARestart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	var mu sync.Mutex
	now := time.Now().Truncate(time.Minute)
	clock := func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	}
	polls := 0
	for life := range 3 {
		db, err := store.Open(dir, store.OpenOptions{Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		hand := &byHand{}
		sys := tree.New(tree.Options{Driver: hand, Log: slog.New(slog.DiscardHandler)})
		stored := make(chan *storepb.Written, 16)
		disk := store.Spawn(sys.Root, "store", store.Options{DB: db})
		o := &Options{Name: "self", Now: clock, Store: tree.Spawn(sys.Root, "", tree.Spec{New: func() actor.Actor { return &throughDisk{disk: disk, stored: stored} }})}
		quiet := func() *actor.PID {
			return tree.Spawn(sys.Root, "", tree.Spec{New: func() actor.Actor { return actor.ReceiveFunc(func(ctx actor.Context) { onlyNode(ctx, uint32(life)) }) }})
		}
		met := &meet{router: quiet(), commands: quiet(), reservations: quiet(), peers: quiet()}
		met.Stats = quiet()
		a := newMaster(o, met)
		pid := tree.Spawn(sys.Root, "master", tree.Spec{New: func() actor.Actor { return a }})
		if _, err := sys.Root.RequestFuture(pid, &meshpb.OverviewRequest{Step: 10}, time.Minute).Result(); err != nil { // it has read, too
			t.Fatal(err)
		}
		for range 2 {
			mu.Lock()
			now = now.Add(masterBeat) // before the poll begins: its answers take time
			mu.Unlock()
			hand.fire()
			if _, err := sys.Root.RequestFuture(pid, &meshpb.OverviewRequest{}, time.Minute).Result(); err != nil { // it has beaten
				t.Fatal(err)
			}
		}
		polls++
		if w := <-stored; w.GetError() != "" {
			t.Fatal(w.GetError())
		}
		for i, want := range []int{polls, 1, 1} {
			r, err := sys.Root.RequestFuture(pid, &meshpb.OverviewRequest{Step: uint32(resolutions[i].step)}, time.Minute).Result()
			if err != nil {
				t.Fatal(err)
			}
			h := r.(*meshpb.Overview).GetHistory()
			if len(h) != want || r.(*meshpb.Overview).GetError() != "" {
				t.Fatalf("life %d: %d points of %d s: %v", life, len(h), resolutions[i].step, r)
			}
			if last := h[len(h)-1]; i > 0 && (int(last.GetSamples()) != polls || last.GetNodes()[0].GetClients() != float32(life)/2) {
				t.Errorf("life %d: the last point of %d s is %v", life, resolutions[i].step, last)
			}
		}
		for _, p := range []*actor.PID{pid, o.Store, met.router, met.commands, met.reservations, met.peers, met.Stats, disk} {
			_ = sys.Root.StopFuture(p).Wait()
		}
		sys.Shutdown()
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// onlyNode answers as the actors of a node that has no peers; its clients are
// as many.
func onlyNode(ctx actor.Context, clients uint32) {
	switch m := ctx.Message().(type) {
	case *meshpb.AskRequest:
		ctx.Respond(&meshpb.AskResponse{Ticket: m.GetTicket()})
	case *meshpb.NetworkRequest:
		ctx.Respond(&meshpb.NetworkResponse{Self: "self", Members: []*meshpb.Member{{Name: "self"}}})
	case *relaypb.NodeStatsRequest:
		ctx.Respond(&relaypb.NodeStats{Clients: clients})
	}
}

// throughDisk passes on what the store is told, and tells of writes that are
// over.
type throughDisk struct {
	disk   *actor.PID
	stored chan<- *storepb.Written
}

func (s *throughDisk) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *storepb.Write:
		ctx.Request(s.disk, m)
	case *storepb.ReadRequest:
		ctx.RequestWithCustomSender(s.disk, m, ctx.Sender())
	case *storepb.Written:
		s.stored <- m
	}
}
