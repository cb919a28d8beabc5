package tree_test

import (
	"slices"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/testkit"
)

// TestMold makes children that share their props: each must be itself, fail
// alone, and be stopped with the parent.
func TestMold(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		sys := testkit.System(t, testkit.Under(d), testkit.ExpectFailures(1))
		diary := &diary{start: time.Now()}
		parent := tree.Spawn(sys.Root, "parent", spec(tree.Stop, diary.hook("parent")))
		var kids []*actor.PID
		sys.Root.Send(parent, func(ctx actor.Context) {
			mold := tree.NewMold(ctx.ActorSystem(), tree.Spec{Limit: 150})
			for _, name := range []string{"a", "b", "c"} {
				kids = append(kids, mold.Spawn(ctx, &puppet{diary.hook(name)}))
			}
		})
		d.Settle()
		slices.Sort(diary.entries) // in any order
		diary.want(t, "0s a started", "0s b started", "0s c started", "0s parent started")
		for range 3 {
			sys.Root.Send(kids[0], load(100))
		}
		if n := tree.Of(sys).Dropped(tree.MailboxFull); n != 2 {
			t.Errorf("%d dropped, want what is over the mold's limit", n)
		}
		sys.Root.Send(kids[1], fail)
		d.Settle()
		diary.want(t, "0s b stopped", "0s parent lost "+kids[1].GetId())
		sys.Root.Send(kids[2], "hello")
		d.Settle()
		diary.want(t, "0s c got hello")
		testkit.Stop(t, sys, parent)
	})
}

func TestMetrics(t *testing.T) {
	testkit.Seeds(t, 1, func(t *testing.T, d *testkit.Driver) {
		sys := testkit.System(t, testkit.Under(d))
		m := tree.Of(sys)
		a, b := m.Counter("things_total", "Things.", "kind", "a"), m.Counter("things_total", "Things.", "kind", "b")
		a.Add(1)
		b.Add(2)
		if again := m.Counter("things_total", "", "kind", "a"); again != a {
			t.Error("a counter was made twice")
		}
		level := m.Level("level", "A level.")
		level.Add(-1)
		m.Drop(tree.SlowConsumer, 3)
		m.Panicked()
		got := map[string]int64{}
		var names []string
		for _, c := range m.All() {
			got[c.Name+" "+c.Value] = c.Load()
			names = append(names, c.Name+"\x00"+c.Value)
		}
		want := map[string]int64{"things_total a": 1, "things_total b": 2, "level ": -1, "drops_total slow consumer": 3, "actor_panics_total ": 1}
		for k, v := range want {
			if got[k] != v {
				t.Errorf("%s is %d, want %d", k, got[k], v)
			}
		}
		if !slices.IsSorted(names) {
			t.Errorf("not sorted: %q", names)
		}
		testkit.Stop(t, sys)
	})
}
