package enclave

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/actors/vault"
	"parley/messages/enclavepb"
	"parley/messages/storepb"
	"parley/messages/vaultpb"
	"parley/testkit"
)

// Limits of the real store.
const (
	shelfValue = 64 << 10
	shelfWrite = 192 << 10
	shelfCount = 1000
	shelfRead  = 16 << 20
)

// shelf is a store that has the real one's limits, on fake time. It outlives the
// node whose actors ask it.
type shelf struct {
	t       testing.TB
	stay    map[string]string
	brief   map[string]*storepb.Record
	corrupt map[string]bool // keys
	refuse  []string        // its answers to the next writes
	blind   []string        // its answers to the next reads
	mute    int             // writes and reads to come that it does not answer
	fail    int             // writes and reads to come that make it panic
	takes   time.Duration   // for a write
	writes  []*storepb.Write
	reads   int

	compacts int
	torn     []string // its answers to the next storepb.Compact
}

func newShelf(t testing.TB) *shelf {
	return &shelf{t: t, stay: map[string]string{}, brief: map[string]*storepb.Record{}, corrupt: map[string]bool{}}
}

func (s *shelf) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *storepb.Write:
		if s.broken() {
			return
		}
		from := ctx.Sender()
		tree.After(ctx, s.takes, later{func(ctx actor.Context) { s.onWrite(ctx, from, m) }})
	case *storepb.ReadRequest:
		s.reads++
		if s.broken() {
			return
		}
		ctx.Respond(s.read(m))
	case *storepb.Compact:
		if s.broken() {
			return
		}
		s.compacts++
		answer := &storepb.Compacted{Serial: m.GetSerial()}
		if len(s.torn) > 0 {
			answer.Error, s.torn = s.torn[0], s.torn[1:]
		}
		ctx.Respond(answer)
	case later:
		m.f(ctx)
	}
}

// broken reports whether a message is not answered.
func (s *shelf) broken() bool {
	if s.fail > 0 {
		s.fail--
		panic("the store was told to fail")
	}
	if s.mute > 0 {
		s.mute--
		return true
	}
	return false
}

func (s *shelf) onWrite(ctx actor.Context, from *actor.PID, m *storepb.Write) {
	s.writes = append(s.writes, m)
	answer := &storepb.Written{Serial: m.GetSerial()}
	if len(s.refuse) > 0 {
		answer.Error, s.refuse = s.refuse[0], s.refuse[1:]
	} else {
		s.carryOut(m)
	}
	if from != nil {
		ctx.Send(from, answer)
	}
}

func (s *shelf) carryOut(m *storepb.Write) {
	seen, size := map[string]bool{}, 0
	one := func(key string, value []byte) {
		if size += len(key) + len(value); seen[key] || len(key) > 256 || len(value) > shelfValue {
			s.t.Errorf("the store would not take key %q with %d bytes", key, len(value))
		}
		seen[key] = true
	}
	for _, r := range m.GetPuts() {
		one(r.GetKey(), r.GetValue())
		if r.GetExpires() == 0 {
			s.stay[r.GetKey()] = string(r.GetValue())
		} else {
			s.brief[r.GetKey()] = r
		}
	}
	for _, key := range m.GetDeletes() {
		one(key, nil)
		delete(s.stay, key)
	}
	if size > shelfWrite || len(seen) > shelfCount {
		s.t.Errorf("the store would not take %d bytes in %d records at once", size, len(seen))
	}
}

func (s *shelf) read(m *storepb.ReadRequest) *storepb.ReadResponse {
	r := &storepb.ReadResponse{Serial: m.GetSerial()}
	if len(s.blind) > 0 {
		r.Error, s.blind = s.blind[0], s.blind[1:]
		if r.Error != "" {
			return r
		}
	}
	all := map[string]*storepb.Record{}
	if m.GetExpiring() {
		for key, record := range s.brief {
			if record.GetExpires() > uint64(time.Now().Unix()) && key >= m.GetFrom() && (m.GetTo() == "" || key < m.GetTo()) {
				all[key] = record
			}
		}
	} else {
		for key, value := range s.stay {
			all[key] = &storepb.Record{Key: key, Value: []byte(value)}
		}
	}
	size := 0
	for _, key := range slices.Sorted(maps.Keys(all)) {
		switch {
		case !strings.HasPrefix(key, m.GetPrefix()):
		case s.corrupt[key]:
			r.Corrupt = append(r.Corrupt, key)
		default:
			size += len(key) + len(all[key].GetValue())
			r.Records = append(r.Records, all[key])
		}
	}
	if size > shelfRead {
		return &storepb.ReadResponse{Serial: m.GetSerial(), Error: "too much is asked for"}
	}
	return r
}

// clear is the entries of a conversation that are stored as they were said.
func (s *shelf) clear(address string) (out []string) {
	r := s.read(&storepb.ReadRequest{Prefix: saidPrefix + address + "/", Expiring: true})
	for _, one := range joinParts(r.GetRecords(), saidPrefix+address+"/") {
		if e, ok := one.open(nil); ok && sealedIn(one.value) == nil {
			out = append(out, e.GetMessage())
		}
	}
	return out
}

// bureau is the actors that keep things, with a store, and a safe where one is
// wanted; friends and people are the test.
type bureau struct {
	t     testing.TB
	d     *testkit.Driver
	sys   *actor.ActorSystem
	o     Options
	shelf *shelf
	met   *meet

	lives     int
	keys      *actor.PID
	actors    []*actor.PID
	chronicle *chronicle
	friend    *actor.PID
	heard     []any // by friend
	told      []*enclavepb.Event
	person    *actor.PID
	results   []*enclavepb.Result
	rekeyed   []*vaultpb.RekeyResponse
	papers    []*actor.PID
}

// inBureau runs a test with several seeds. change may be nil.
func inBureau(t *testing.T, seeds uint64, change func(b *bureau), test func(b *bureau), opts ...testkit.SystemOption) {
	t.Helper()
	testkit.Seeds(t, seeds, func(t *testing.T, d *testkit.Driver) {
		b := &bureau{t: t, d: d, shelf: newShelf(t), o: Options{Outbox: true, Retention: 24 * time.Hour, Now: time.Now}}
		b.sys = testkit.System(t, append(opts, testkit.Under(d))...)
		b.friend = b.paper(func(ctx actor.Context) { b.heard = append(b.heard, ctx.Message()) })
		b.person = b.paper(func(ctx actor.Context) {
			switch m := ctx.Message().(type) {
			case *enclavepb.Result:
				b.results = append(b.results, m)
			case *vaultpb.RekeyResponse:
				b.rekeyed = append(b.rekeyed, m)
			}
		})
		b.o.Store = b.spawnStore()
		if change != nil {
			change(b)
		}
		b.start()
		test(b)
		b.stop()
		testkit.Stop(t, b.sys, b.papers...)
	})
}

func (b *bureau) paper(f func(actor.Context)) *actor.PID {
	pid := tree.Spawn(b.sys.Root, "", tree.Spec{New: func() actor.Actor {
		return actor.ReceiveFunc(func(ctx actor.Context) {
			switch ctx.Message().(type) {
			case actor.AutoReceiveMessage, actor.SystemMessage:
			default:
				f(ctx)
			}
		})
	}})
	b.papers = append(b.papers, pid)
	return pid
}

// spawnStore starts the shelf. One that fails goes on.
func (b *bureau) spawnStore() *actor.PID {
	var store *actor.PID
	above := tree.Spawn(b.sys.Root, "", tree.Spec{Children: tree.Restart, New: func() actor.Actor {
		return actor.ReceiveFunc(func(ctx actor.Context) {
			if _, ok := ctx.Message().(*actor.Started); ok {
				store = tree.Spawn(ctx, "store", tree.Spec{Asked: true, New: func() actor.Actor { return b.shelf }})
			}
		})
	}})
	b.papers = append(b.papers, above)
	b.d.Settle()
	return store
}

// withSafe adds the real safe.
func (b *bureau) withSafe() {
	b.keys = b.paper(func(ctx actor.Context) {
		if m, ok := ctx.Message().(*vaultpb.DeriveRequest); ok {
			sum := sha256.Sum256(append([]byte(m.GetPassword()+"\x00"), m.GetSalt()...))
			ctx.Respond(&vaultpb.DeriveResponse{Serial: m.GetSerial(), Key: sum[:]})
		}
	})
	b.newSafe()
}

// newSafe begins a life of the safe.
func (b *bureau) newSafe() {
	if b.o.Safe != nil {
		b.sys.Root.Stop(b.o.Safe)
	}
	b.o.Safe = vault.SpawnSafe(b.sys.Root, "", vault.SafeSpec{Store: b.o.Store, Vault: b.keys, Cost: vault.Cost{Memory: 8, Passes: 1, Lanes: 1}})
	b.papers = append(b.papers, b.o.Safe)
}

// start begins a life of the node.
func (b *bureau) start() {
	b.lives++
	name := func(s string) string { return fmt.Sprint(s, b.lives) }
	pid := func(s string) *actor.PID { return actor.NewPID(b.sys.Address(), name(s)) }
	b.met = &meet{chronicle: pid(nameChronicle), outbox: pid(nameOutbox), frontends: pid(nameFrontends)}
	o := b.o
	b.chronicle = newChronicle(&o, b.met).(*chronicle)
	x := newOutbox(&o, b.met)
	b.actors = []*actor.PID{
		tree.Spawn(b.sys.Root, name(nameFrontends), tree.Spec{New: func() actor.Actor {
			return actor.ReceiveFunc(func(ctx actor.Context) {
				if m, ok := ctx.Message().(*told); ok {
					b.told = append(b.told, m.event)
				}
				if m, ok := ctx.Message().(*toldAll); ok {
					b.told = append(b.told, m.events.GetEvents()...)
					for _, n := range m.notes {
						ctx.Send(n.to, n.m)
					}
				}
			})
		}}),
		tree.Spawn(b.sys.Root, name(nameChronicle), tree.Spec{Asked: true, Refused: refuseAsked(b.sys), New: func() actor.Actor { return b.chronicle }}),
		tree.Spawn(b.sys.Root, name(nameOutbox), tree.Spec{Asked: true, New: func() actor.Actor { return x }}),
	}
}

// stop ends a life.
func (b *bureau) stop() {
	testkit.Ending(b.sys)
	for _, pid := range b.actors {
		b.sys.Root.Stop(pid)
	}
	b.d.Settle()
}

// kill ends a life as kill -9 does, and begins another.
func (b *bureau) kill() {
	b.stop()
	b.heard, b.told = nil, nil
	if b.keys != nil {
		b.newSafe()
	}
	b.start()
}

// say has friends say messages, the last of them with a note.
func (b *bureau) say(address string, own bool, texts ...string) {
	for i, text := range texts {
		e := &enclavepb.Entry{Own: own, Message: text, Timestamp: 7}
		if own {
			e.Id, e.Delivery = text, enclavepb.Delivery_DELIVERY_QUEUED
		}
		m := &said{address: address, name: "name of " + address, entry: e}
		if !own && i == len(texts)-1 {
			m.note = 1
		}
		b.sys.Root.RequestWithCustomSender(b.met.chronicle, m, b.friend)
	}
}

func (b *bureau) toOutbox(m any) { b.sys.Root.RequestWithCustomSender(b.met.outbox, m, b.friend) }

// history asks, and returns the answer that comes soon.
func (b *bureau) history(h *enclavepb.History) *enclavepb.Result {
	b.t.Helper()
	b.results = nil
	c := &enclavepb.Command{Id: "h", Member: 5, Body: &enclavepb.Command_History{History: h}}
	b.sys.Root.Send(b.met.chronicle, &asked{c, b.person})
	b.d.RunUntil(time.Minute, func() bool { return len(b.results) > 0 })
	if len(b.results) != 1 || b.results[0].GetId() != "h" || b.results[0].GetCmd() != "history" || b.results[0].GetOk() != (b.results[0].GetReason() == "") {
		b.t.Fatalf("%v is answered %v", h, b.results)
	}
	return b.results[0]
}

// wants fails the test unless the conversation's newest page is this one.
func (b *bureau) wants(address string, want ...string) {
	b.t.Helper()
	b.wantsPage(&enclavepb.History{With: address, Most: 1000}, false, want...)
}

func (b *bureau) wantsPage(h *enclavepb.History, more bool, want ...string) {
	b.t.Helper()
	r := b.history(h)
	if got := lines(r.GetEntries()); !slices.Equal(got, want) || r.GetMore() != more || r.GetReason() != "" {
		b.t.Errorf("of %v there are %.1000q, more %v, %q; want %.1000q, more %v", h, got, r.GetMore(), r.GetReason(), want, more)
	}
}

// lines is what entries say, those of our own with how far they have come.
func lines(all []*enclavepb.Entry) (out []string) {
	for i, e := range all {
		if i > 0 && all[i-1].GetSerial() >= e.GetSerial() {
			out = append(out, "out of order")
		}
		line := e.GetMessage()
		if e.GetOwn() {
			line += " " + strings.ToLower(strings.TrimPrefix(e.GetDelivery().String(), "DELIVERY_"))
		}
		out = append(out, line)
	}
	return out
}

// count makes texts with numbers.
func count(what string, from, to int) (out []string) {
	for i := from; i <= to; i++ {
		out = append(out, fmt.Sprint(what, i))
	}
	return out
}

// rekey sets or changes the database password.
func (b *bureau) rekey(old *string, fresh string) {
	b.t.Helper()
	b.rekeyed = nil
	b.sys.Root.RequestWithCustomSender(b.o.Safe, &vaultpb.RekeyRequest{Member: 1, OldPassword: old, NewPassword: fresh}, b.person)
	b.d.RunUntil(time.Minute, func() bool { return len(b.rekeyed) > 0 })
	if len(b.rekeyed) != 1 || b.rekeyed[0].GetOutcome() != vaultpb.RekeyResponse_OUTCOME_DONE {
		b.t.Fatalf("the password was not set: %v", b.rekeyed)
	}
}

// fail makes an actor of the bureau fail, as by a bug.
func (b *bureau) fail(pid *actor.PID) {
	p, ok := b.sys.ProcessRegistry.Get(pid)
	if !ok {
		b.t.Fatalf("no actor %s", pid.GetId())
	}
	p.SendSystemMessage(pid, &actor.SuspendMailbox{})
	p.SendSystemMessage(pid, &actor.Restart{})
}

// of is what the friend was told that has some type.
func of[T any](b *bureau) (out []T) {
	for _, m := range b.heard {
		if t, ok := m.(T); ok {
			out = append(out, t)
		}
	}
	return out
}

func with(address, password string) *enclavepb.History {
	return &enclavepb.History{With: address, Most: 1000, Password: proto.String(password)}
}
