package enclave

import (
	"bufio"
	"bytes"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/store"
	"parley/actors/tree"
	"parley/actors/vault"
	"parley/messages/enclavepb"
	"parley/messages/storepb"
	"parley/messages/vaultpb"
)

// byHand is a driver whose short timers go off when the test says so, and whose
// long ones never do: nothing that goes on here depends on the machine's speed. Only
// what gathers rows goes on by itself.
type byHand struct {
	mu     sync.Mutex
	timers []func()
}

func (h *byHand) Dispatcher(string) actor.Dispatcher { return h }
func (h *byHand) Throughput() int                    { return 300 }
func (h *byHand) Schedule(f func())                  { go f() }
func (h *byHand) Go(f func())                        { go f() }

func (h *byHand) After(d time.Duration, f func()) func() bool {
	if d <= gatherTime {
		go f()
		return func() bool { return true }
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if d <= time.Second {
		h.timers = append(h.timers, f)
	}
	return func() bool { return true }
}

// fire lets all short timers go off that were set.
func (h *byHand) fire() {
	h.mu.Lock()
	all := h.timers
	h.timers = nil
	h.mu.Unlock()
	for _, f := range all {
		f()
	}
}

// depot is outbox and chronicle over the real store and the real safe.
type depot struct {
	t    testing.TB
	hand *byHand
	db   *store.DB
	sys  *actor.ActorSystem
	met  *meet
	safe *actor.PID
	all  []*actor.PID
	ear  *actor.PID
	box  chan any // what ear was told

	password string // of the database; empty: none is set
}

func openDepot(t testing.TB, dir string) *depot {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	db, err := store.Open(dir, store.OpenOptions{Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	p := &depot{t: t, db: db, hand: &byHand{}, box: make(chan any, 1<<16)}
	p.sys = tree.New(tree.Options{Log: quiet, Driver: p.hand})
	spawn := func(name string, asked bool, a actor.Actor) *actor.PID {
		pid := tree.Spawn(p.sys.Root, name, tree.Spec{Asked: asked, New: func() actor.Actor { return a }})
		p.all = append(p.all, pid)
		return pid
	}
	disk := store.Spawn(p.sys.Root, "store", store.Options{DB: db})
	keys := vault.Spawn(p.sys.Root, vault.Limits{Workers: 1, Queue: 1})
	p.safe = vault.SpawnSafe(p.sys.Root, "safe", vault.SafeSpec{Store: disk, Vault: keys, Cost: vault.Cost{Memory: 8, Passes: 1, Lanes: 1}})
	o := &Options{Outbox: true, Retention: time.Hour, Now: time.Now, Store: disk, Safe: p.safe}
	pid := func(name string) *actor.PID { return actor.NewPID(p.sys.Address(), name) }
	p.met = &meet{chronicle: pid(nameChronicle), outbox: pid(nameOutbox), frontends: pid(nameFrontends)}
	p.ear = spawn("ear", false, actor.ReceiveFunc(func(ctx actor.Context) {
		switch m := ctx.Message().(type) {
		case *kept, *recalled, *noted, *enclavepb.Result, *vaultpb.RekeyResponse, *storepb.ReadResponse:
			p.box <- m
		}
	}))
	spawn(nameFrontends, true, newFrontends(o, p.met))
	spawn(nameChronicle, true, newChronicle(o, p.met))
	spawn(nameOutbox, true, newOutbox(o, p.met))
	p.all = append(p.all, p.safe, keys, disk)
	return p
}

// close ends a life of the node, when the store has done all that it was asked.
func (p *depot) close() {
	p.t.Helper()
	p.send(p.met.outbox, &recall{ada})
	hear[*recalled](p)
	for range 2 { // what the first one has brought to light may have been written
		h := &enclavepb.History{With: ada, Most: 1}
		if p.password != "" {
			h.Password = &p.password
		}
		if r := p.history(h); !r.GetOk() {
			p.t.Errorf("at the end: %v", r)
		}
		p.hand.fire() // the vault's rest
	}
	for _, pid := range p.all {
		_ = p.sys.Root.StopFuture(pid).Wait()
	}
	p.sys.Shutdown()
	if err := p.db.Close(); err != nil {
		p.t.Error(err)
	}
}

func (p *depot) send(to *actor.PID, m any) { p.sys.Root.RequestWithCustomSender(to, m, p.ear) }

// hear waits for a message to ear.
func hear[T any](p *depot) T {
	p.t.Helper()
	for m := range p.box {
		if t, ok := m.(T); ok {
			return t
		}
	}
	panic("unreachable")
}

func (p *depot) keep(address string, n int) {
	p.send(p.met.outbox, &keep{address, uint64(n), &enclavepb.Kept{Message: fmt.Sprint("m", n), Id: makeID("run", uint64(n))}})
}

// say has a friend say a message, which will be noted.
func (p *depot) say(address string, n int) {
	p.send(p.met.chronicle, &said{
		address: address, entry: &enclavepb.Entry{Message: fmt.Sprint("m", n), Timestamp: 7}, note: uint64(n),
		mark: &storepb.Record{Key: "heard/" + address, Value: []byte(fmt.Sprint(n))},
	})
}

func (p *depot) history(h *enclavepb.History) *enclavepb.Result {
	c := &enclavepb.Command{Member: 1, Body: &enclavepb.Command_History{History: h}}
	p.send(p.met.chronicle, &asked{c, p.ear})
	return hear[*enclavepb.Result](p)
}

func (p *depot) records(prefix string) []*storepb.Record {
	p.send(p.all[len(p.all)-1], &storepb.ReadRequest{Prefix: prefix})
	return hear[*storepb.ReadResponse](p).GetRecords()
}

// TestOnDisk keeps messages and conversations over lives of the node, seals what
// was said when a password is set, and shows it with that only.
func TestOnDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	p := openDepot(t, dir)
	const n = 50
	for i := 1; i <= n; i++ {
		p.keep(ada, i)
		p.say(bob, i)
	}
	for good, last := 0, uint64(0); good < n || last < n; {
		switch m := (<-p.box).(type) {
		case *kept:
			if good++; m.error != "" {
				t.Fatal(m.error)
			}
		case *noted:
			if last++; m.note != last {
				t.Errorf("note %d is %d", last, m.note)
			}
		}
	}
	p.close()

	p = openDepot(t, dir)
	p.send(p.met.outbox, &recall{ada})
	r := hear[*recalled](p)
	if got := texts(r.messages); !slices.Equal(got, count("m", 1, n)) || r.serials[0] != 1 || r.serials[n-1] != n {
		t.Errorf("recalled %q", got)
	}
	p.send(p.met.outbox, &release{ada, r.serials[:n-1]})
	if got := p.history(with(bob, "x")); !got.GetLocked() {
		t.Errorf("history with a password where none is set: %v", got)
	}
	if got := lines(p.history(&enclavepb.History{With: bob}).GetEntries()); !slices.Equal(got, count("m", 1, n)) {
		t.Errorf("said %q", got)
	}
	p.send(p.safe, &vaultpb.RekeyRequest{Member: 1, NewPassword: "right"})
	for {
		p.hand.fire() // the vault's rest
		if m, ok := (<-p.box).(*vaultpb.RekeyResponse); ok {
			if m.GetOutcome() != vaultpb.RekeyResponse_OUTCOME_DONE {
				t.Fatal(m)
			}
			break
		}
	}
	p.send(p.met.chronicle, standingDue{}) // it is time to ask
	for len(p.records(sweptKey)) == 0 {
		p.hand.fire()
	}
	p.password = "right"
	p.close()

	p = openDepot(t, dir)
	p.password = "right"
	p.say(bob, n+1)
	hear[*noted](p)
	if got := p.history(&enclavepb.History{With: bob}); !got.GetLocked() || len(got.GetEntries()) > 0 {
		t.Errorf("without the password: %v", got)
	}
	if got := p.history(with(bob, "right")); !slices.Equal(lines(got.GetEntries()), count("m", 1, n+1)) {
		t.Errorf("with the password: %v", got)
	}
	p.send(p.met.outbox, &recall{ada})
	if got := texts(hear[*recalled](p).messages); !slices.Equal(got, []string{fmt.Sprint("m", n)}) {
		t.Errorf("after the release: %q", got)
	}
	p.close()
}

func texts(all []*enclavepb.Kept) (out []string) {
	for _, k := range all {
		out = append(out, k.GetMessage())
	}
	return out
}

const killedEnv = "ENCLAVE_TEST_DIR"

// keepOn keeps and says without end, and tells what is safe.
func keepOn(t *testing.T, dir string) {
	p := openDepot(t, dir)
	p.send(p.met.outbox, &recall{ada})
	first := 1
	if r := hear[*recalled](p); len(r.serials) > 0 {
		first = int(r.serials[len(r.serials)-1]) + 1
	}
	said := len(p.history(&enclavepb.History{With: bob, Most: pageMost}).GetEntries()) + 1
	for i := range 32 {
		p.keep(ada, first+i)
		p.say(bob, said+i)
	}
	for {
		switch m := (<-p.box).(type) {
		case *kept:
			if m.error != "" {
				t.Fatal(m.error)
			}
			fmt.Println("kept", m.serial)
			p.keep(ada, int(m.serial)+32)
		case *noted:
			fmt.Println("noted", m.note)
			p.say(bob, int(m.note)+32)
		}
	}
}

// TestKilled kills a process in the middle of it, again and again: what it said to
// be safe is there, once and in order, and marks agree with entries.
func TestKilled(t *testing.T) {
	if dir := os.Getenv(killedEnv); dir != "" {
		keepOn(t, dir)
	}
	dir := filepath.Join(t.TempDir(), "d")
	rng := rand.New(rand.NewPCG(5, 6))
	for range 4 {
		safe := runAndKill(t, dir, 1+rng.IntN(150))
		p := openDepot(t, dir)
		p.send(p.met.outbox, &recall{ada})
		r := hear[*recalled](p)
		if got := texts(r.messages); len(got) < safe["kept"] || !slices.Equal(got, count("m", 1, len(got))) {
			t.Fatalf("%d were kept, there are %d: %.200q", safe["kept"], len(got), got)
		}
		h := p.history(&enclavepb.History{With: bob, Most: pageMost})
		if got := lines(h.GetEntries()); len(got) < safe["noted"] || !slices.Equal(got, count("m", 1, len(got))) || h.GetMore() {
			t.Fatalf("%d were noted, there are %d: %.200q", safe["noted"], len(got), got)
		}
		if mark := p.records("heard/")[0]; string(mark.GetValue()) != strconv.Itoa(len(h.GetEntries())) {
			t.Fatalf("%d entries, and the mark is %s", len(h.GetEntries()), mark.GetValue())
		}
		p.close()
	}
}

// runAndKill starts the other process, and kills it when it has said so many
// lines; it returns the last number of each kind.
func runAndKill(t *testing.T, dir string, n int) map[string]int {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilled$")
	cmd.Env = append(os.Environ(), killedEnv+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	safe := map[string]int{}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		what, number, _ := strings.Cut(lines.Text(), " ")
		i, err := strconv.Atoi(number)
		if err != nil {
			t.Errorf("the other process says %q", lines.Text())
		}
		safe[what] = max(safe[what], i)
		if n--; n == 0 {
			_ = cmd.Process.Kill()
		}
	}
	_ = cmd.Wait()
	if n > 0 {
		t.Fatalf("the other process ended by itself")
	}
	return safe
}

// BenchmarkOutbox is keep to kept.
func BenchmarkOutbox(b *testing.B) {
	for _, most := range []int{1, 32} {
		b.Run(strconv.Itoa(most), func(b *testing.B) {
			p := openDepot(b, filepath.Join(b.TempDir(), "d"))
			defer p.close()
			flow(b, most, func(n int) { p.keep(ada, n) }, func() { hear[*kept](p) })
		})
	}
}

// BenchmarkChronicle is said to noted, in the clear and sealed.
func BenchmarkChronicle(b *testing.B) {
	for _, sealed := range []bool{false, true} {
		for _, most := range []int{1, 32, 1000} {
			b.Run(fmt.Sprintf("sealed=%v/%d", sealed, most), func(b *testing.B) {
				p := openDepot(b, filepath.Join(b.TempDir(), "d"))
				defer p.close()
				if sealed {
					p.seal()
				}
				flow(b, most, func(n int) { p.say(ada, n) }, func() { hear[*noted](p) })
			})
		}
	}
}

// seal sets a password, and waits until entries are sealed.
func (p *depot) seal() {
	p.send(p.safe, &vaultpb.RekeyRequest{Member: 1, NewPassword: "right"})
	hear[*vaultpb.RekeyResponse](p)
	p.password = "right"
	p.send(p.met.chronicle, standingDue{})
	for len(p.records(publicKey)) == 0 {
		p.hand.fire()
	}
}

// flow has so many things under way at once.
func flow(b *testing.B, most int, begin func(n int), wait func()) {
	b.ReportAllocs()
	sent := 0
	b.ResetTimer()
	for done := 0; done < b.N; done++ {
		for sent < b.N && sent-done < most {
			sent++
			begin(sent)
		}
		wait()
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}

// BenchmarkHistory is 100 entries of 10,000.
func BenchmarkHistory(b *testing.B) {
	for _, sealed := range []bool{false, true} {
		b.Run(fmt.Sprintf("sealed=%v", sealed), func(b *testing.B) {
			p := openDepot(b, filepath.Join(b.TempDir(), "d"))
			defer p.close()
			h := &enclavepb.History{With: ada, Most: 100, Before: 5000}
			if sealed {
				p.seal()
				h.Password = proto.String("right")
			}
			for i := 1; i <= 10_000; i++ {
				p.say(ada, i)
			}
			for range 10_000 {
				hear[*noted](p)
			}
			b.ReportAllocs()
			for b.Loop() {
				for r := p.history(h); len(r.GetEntries()) != 100; {
					b.Fatal(r)
				}
				p.hand.fire()
			}
		})
	}
}

// BenchmarkSealing is the work of sealing and opening one entry.
func BenchmarkSealing(b *testing.B) {
	pair := pairOf(bytes.Repeat([]byte{7}, keySize))
	r := &row{address: ada, entry: &enclavepb.Entry{Serial: 1, Message: strings.Repeat("x", 100)}}
	sealer := newSealer(&pair.public)
	all := entryRecords(r, sealer)
	b.Run("seal", func(b *testing.B) {
		for b.Loop() {
			_ = entryRecords(r, sealer)
		}
	})
	b.Run("open/first", func(b *testing.B) {
		s := &stored{serial: 1, value: all[0].GetValue()}
		for b.Loop() {
			if _, ok := s.open(newOpener(pair)); !ok {
				b.Fatal("it does not open")
			}
		}
	})
}
