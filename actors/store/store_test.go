package store

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"pgregory.net/rapid"

	"parley/actors/tree"
	"parley/messages/faultpb"
	"parley/messages/storepb"
	"parley/testkit"
)

// paper is a disk that is done when the test says so.
type paper struct {
	records map[string]string // that are safe
	under   []*trip
	most    int // trips of one kind at once
	fail    error
}

// trip is a commit or a read on its way.
type trip struct {
	writes []write // nil: it is a read
	done   chan struct{}
}

func (p *paper) wait(writes []write) {
	t := &trip{writes, make(chan struct{})}
	p.under = append(p.under, t)
	same := 0
	for _, o := range p.under {
		if (o.writes == nil) == (writes == nil) {
			same++
		}
	}
	p.most = max(p.most, same)
	<-t.done
}

func (p *paper) commit(writes []write) ([]error, int) {
	p.wait(writes)
	errs := make([]error, len(writes))
	for i, w := range writes {
		if errs[i] = p.fail; p.fail != nil {
			continue
		}
		for _, r := range w.m.GetPuts() {
			p.records[r.GetKey()] = string(r.GetValue())
		}
		for _, key := range w.m.GetDeletes() {
			delete(p.records, key)
		}
	}
	return errs, 1
}

func (p *paper) read(prefix string) (rs []*storepb.Record, corrupt []string, err error) {
	p.wait(nil)
	for key, value := range p.records {
		if strings.HasPrefix(key, prefix) {
			rs = append(rs, &storepb.Record{Key: key, Value: []byte(value)})
		}
	}
	slices.SortFunc(rs, func(a, b *storepb.Record) int { return strings.Compare(a.GetKey(), b.GetKey()) })
	return rs, []string{"broken"}, p.fail
}

func (p *paper) compact() error {
	p.wait(nil)
	return p.fail
}

func (p *paper) readBrief(prefix, from, to string) (rs []*storepb.Record, corrupt []string, err error) {
	rs, corrupt, err = p.read(prefix)
	return slices.DeleteFunc(rs, func(r *storepb.Record) bool {
		return r.GetKey() < from || to != "" && r.GetKey() >= to
	}), corrupt, err
}

// client asks the store, and keeps what it answers.
type client struct {
	pid    *actor.PID
	heard  []string
	failed int
}

func (c *client) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *storepb.Written:
		c.heard = append(c.heard, fmt.Sprint(m.GetSerial(), m.GetError()))
	case *storepb.ReadResponse:
		text := fmt.Sprint(m.GetSerial(), m.GetError())
		for _, r := range m.GetRecords() {
			text += fmt.Sprint(" ", r.GetKey(), "=", string(r.GetValue()))
		}
		c.heard = append(c.heard, text)
	case *storepb.Compacted:
		c.heard = append(c.heard, fmt.Sprint(m.GetSerial(), m.GetError()))
	case *faultpb.Failed:
		c.failed++
	}
}

// bench is a store on a paper disk.
type bench struct {
	t    testing.TB
	d    *testkit.Driver
	sys  *actor.ActorSystem
	disk *paper
	s    *store
	pid  *actor.PID
	c    *client
}

func newBench(t testing.TB, seed uint64, limit int) *bench {
	b := &bench{t: t, d: testkit.NewDriver(seed), disk: &paper{records: map[string]string{}}, c: &client{}}
	b.sys = testkit.System(t, testkit.Under(b.d))
	b.s = &store{disk: b.disk, limit: limit}
	b.pid = spawn(b.sys.Root, "store", b.s)
	b.c.pid = tree.Spawn(b.sys.Root, "", tree.Spec{New: func() actor.Actor { return b.c }})
	return b
}

// ask sends a message in the client's name.
func (b *bench) ask(m any) {
	b.sys.Root.RequestWithCustomSender(b.pid, m, b.c.pid)
	b.d.Settle()
}

func (b *bench) write(serial uint64, key, value string) {
	b.ask(&storepb.Write{Serial: serial, Puts: []*storepb.Record{{Key: key, Value: []byte(value)}}})
}

// finish ends the oldest trip under way.
func (b *bench) finish() {
	t := b.disk.under[0]
	b.disk.under = b.disk.under[1:]
	close(t.done)
	b.d.Settle()
}

func (b *bench) stop() {
	for len(b.disk.under) > 0 {
		b.finish()
	}
	testkit.Stop(b.t, b.sys, b.pid, b.c.pid)
}

func bubble(t *testing.T, limit int, test func(t *testing.T, b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1, limit)
		test(t, b)
		b.stop()
	})
}

// TestCommitsAreShared sends what comes during a commit with the next one.
func TestCommitsAreShared(t *testing.T) {
	bubble(t, DefaultQueue, func(t *testing.T, b *bench) {
		for i := range 5 {
			b.write(uint64(i), "k", fmt.Sprint(i))
		}
		if len(b.disk.under) != 1 || len(b.disk.under[0].writes) != 1 || len(b.c.heard) != 0 {
			t.Fatalf("%d under way, heard %v", len(b.disk.under), b.c.heard)
		}
		b.finish()
		if len(b.disk.under) != 1 || len(b.disk.under[0].writes) != 4 || fmt.Sprint(b.c.heard) != "[0]" {
			t.Fatalf("%d under way, heard %v", len(b.disk.under), b.c.heard)
		}
		b.finish()
		if fmt.Sprint(b.c.heard) != "[0 1 2 3 4]" || b.disk.records["k"] != "4" {
			t.Errorf("heard %v, has %v", b.c.heard, b.disk.records)
		}
		for name, want := range map[string]int64{"store_writes_total": 5, "store_syncs_total": 2} {
			if got := tree.Of(b.sys).Counter(name, "", "", "").Load(); got != want {
				t.Errorf("%s is %d, want %d", name, got, want)
			}
		}
	})
}

func TestRefused(t *testing.T) {
	bubble(t, 2*(writeCost+2), func(t *testing.T, b *bench) {
		for i := range 4 { // one on its way, two wait
			b.write(uint64(i), "k", "v")
		}
		b.write(4, "", "v")
		b.ask(&storepb.ReadRequest{Serial: 5, Prefix: strings.Repeat("x", keyMost+1)})
		want := []string{"3store: too much waits", "4store: key \"\" has 0 bytes", "5store: too many questions"}
		for i, w := range want {
			if len(b.c.heard) <= i || !strings.HasPrefix(b.c.heard[i], w) {
				t.Fatalf("heard %q, want %q", b.c.heard, want)
			}
		}
		b.c.heard = nil
		b.disk.fail = errors.New("store: no disk")
		b.finish()
		b.disk.fail = nil
		b.finish()
		b.write(6, "k", "v") // there is room again
		b.finish()
		if got := fmt.Sprint(b.c.heard); got != "[0store: no disk 1 2 6]" {
			t.Errorf("heard %s", got)
		}
	})
}

func TestReads(t *testing.T) {
	bubble(t, DefaultQueue, func(t *testing.T, b *bench) {
		b.write(1, "a/1", "x")
		b.finish()
		b.ask(&storepb.ReadRequest{Serial: 2, Prefix: "a/"})
		b.ask(&storepb.ReadRequest{Serial: 3, Prefix: "b/"})
		b.write(4, "b/1", "y") // a read does not hold up a write
		if len(b.disk.under) != 2 {
			t.Fatalf("%d under way", len(b.disk.under))
		}
		for len(b.disk.under) > 0 {
			b.finish()
		}
		slices.Sort(b.c.heard)
		if got := fmt.Sprint(b.c.heard); got != "[1 2 a/1=x 3 b/1=y 4]" {
			t.Errorf("heard %s", got)
		}
		if got := tree.Of(b.sys).Counter("store_corrupt_total", "", "", "").Load(); got != 2 {
			t.Errorf("%d corrupt records counted", got)
		}
		b.sys.Root.Send(b.pid, &storepb.ReadRequest{}) // nobody wants to know
		b.sys.Root.Send(b.pid, &storepb.Write{Deletes: []string{"a/1"}})
		b.d.Settle()
		b.finish()
		if len(b.disk.under) != 0 || b.disk.records["a/1"] != "" {
			t.Errorf("has %v", b.disk.records)
		}
	})
}

// TestStopped refuses what waits, and finishes what is under way.
func TestStopped(t *testing.T) {
	bubble(t, DefaultQueue, func(t *testing.T, b *bench) {
		b.write(1, "k", "1")
		b.write(2, "k", "2")
		b.ask(&storepb.ReadRequest{Serial: 3})
		b.ask(&storepb.ReadRequest{Serial: 4})
		b.sys.Root.Stop(b.pid)
		b.d.Settle()
		if got := fmt.Sprint(b.c.heard); got != "[2store: it is being stopped 4store: it is being stopped]" {
			t.Errorf("heard %s", got)
		}
		b.c.heard = nil
		for len(b.disk.under) > 0 {
			b.finish()
		}
		if got := fmt.Sprint(b.c.heard); got != "[1 3 k=1]" || b.disk.records["k"] != "1" {
			t.Errorf("heard %s, has %v", got, b.disk.records)
		}
	})
}

// TestRestarted loses nothing.
func TestRestarted(t *testing.T) {
	bubble(t, DefaultQueue, func(t *testing.T, b *bench) {
		b.write(1, "k", "1")
		b.write(2, "k", "2")
		b.ask(&storepb.ReadRequest{Serial: 3})
		p, _ := b.sys.ProcessRegistry.Get(b.pid)
		p.SendSystemMessage(b.pid, &actor.SuspendMailbox{})
		p.SendSystemMessage(b.pid, &actor.Restart{})
		b.d.Settle()
		b.write(4, "k", "4")
		for len(b.disk.under) > 0 {
			b.finish()
		}
		slices.Sort(b.c.heard)
		if len(b.c.heard) != 4 || b.disk.most != 1 || b.disk.records["k"] != "4" {
			t.Errorf("heard %v, %d at once, has %v", b.c.heard, b.disk.most, b.disk.records)
		}
	})
}

// TestOrder writes, reads and finishes in any order: each is answered once,
// writes in their order, and a read sees what was answered before it was asked.
func TestOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rapid.SyncTest(rt, func(rt *rapid.T) {
			b := newBench(rapidTB{t, rt}, rapid.Uint64().Draw(rt, "seed"), DefaultQueue)
			serial, writes, reads := uint64(0), 0, map[uint64]int{}
			last := func() (n int) { // the newest write that was answered
				for _, h := range b.c.heard {
					if i := 0; !strings.Contains(h, " ") {
						_, _ = fmt.Sscan(h, &i)
						n = max(n, i)
					}
				}
				return n
			}
			rt.Repeat(map[string]func(*rapid.T){
				"write": func(*rapid.T) {
					serial++
					writes++
					b.write(serial, "k", fmt.Sprint(serial))
				},
				"read": func(*rapid.T) {
					serial++
					reads[serial] = last()
					b.ask(&storepb.ReadRequest{Serial: serial, Prefix: "k"})
				},
				"finish": func(*rapid.T) {
					if len(b.disk.under) > 0 {
						b.finish()
					}
				},
				"": func(t *rapid.T) {
					if b.disk.most > 1 {
						t.Fatalf("%d at once", b.disk.most)
					}
				},
			})
			b.s.disk = b.disk
			for len(b.disk.under) > 0 {
				b.finish()
			}
			before := 0
			for _, h := range b.c.heard {
				var n, saw int
				if got, _ := fmt.Sscanf(h, "%d k=%d", &n, &saw); got == 2 && saw < reads[uint64(n)] {
					rt.Fatalf("read %d saw %d, %d was answered before", n, saw, reads[uint64(n)])
				} else if got == 1 && reads[uint64(n)] == 0 {
					if _, isRead := reads[uint64(n)]; !isRead {
						if n <= before {
							rt.Fatalf("write %d was answered behind %d", n, before)
						}
						before = n
					}
				}
			}
			if len(b.c.heard) != writes+len(reads) {
				rt.Fatalf("%d answers to %d writes and %d reads", len(b.c.heard), writes, len(reads))
			}
			b.stop()
		})
	})
}

// rapidTB lets testkit fail a rapid test.
type rapidTB struct {
	testing.TB
	rt *rapid.T
}

func (b rapidTB) Cleanup(f func())                  { b.rt.Cleanup(f) }
func (b rapidTB) Error(args ...any)                 { b.rt.Error(args...) }
func (b rapidTB) Errorf(format string, args ...any) { b.rt.Errorf(format, args...) }
func (b rapidTB) Fatalf(format string, args ...any) { b.rt.Fatalf(format, args...) }
func (b rapidTB) Failed() bool                      { return b.rt.Failed() }
func (b rapidTB) Helper()                           {}
func (b rapidTB) Logf(string, ...any)               {}

// TestSpawn writes to a real disk and closes the database while writes are on
// their way: what was answered is there.
func TestSpawn(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	db := open(t, dir)
	sys := tree.New(tree.Options{Log: quiet})
	pid := Spawn(sys.Root, "store", Options{DB: db})
	const most = time.Minute
	var answers []actor.Future
	for i := range 200 {
		m := &storepb.Write{Serial: uint64(i), Puts: []*storepb.Record{{Key: fmt.Sprint("k/", i), Value: []byte("v")}}}
		answers = append(answers, sys.Root.RequestFuture(pid, m, most))
	}
	if _, err := answers[50].Result(); err != nil {
		t.Fatal(err)
	}
	_ = sys.Root.PoisonFuture(pid).Wait()
	closeDB(t, db)
	safe := map[string]bool{}
	for i, a := range answers {
		m, err := a.Result()
		if w, ok := m.(*storepb.Written); err == nil && ok && w.GetError() == "" {
			safe[fmt.Sprint("k/", i)] = true
		}
	}
	sys.Shutdown()
	db = open(t, dir)
	got, _ := all(t, db, "k/")
	for key := range safe {
		if got[key] != "v" {
			t.Errorf("%s was safe, and is not there", key)
		}
	}
	if len(safe) < 51 {
		t.Errorf("%d were safe", len(safe))
	}
	t.Logf("%d safe, %d there", len(safe), len(got))
	closeDB(t, db)
}
