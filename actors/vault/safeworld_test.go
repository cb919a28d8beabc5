package vault

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/messages/faultpb"
	"parley/messages/storepb"
	"parley/messages/vaultpb"
	"parley/testkit"
)

// paperStore keeps records, and answers as the test wants.
type paperStore struct {
	records map[string][]byte
	corrupt []string
	refuse  string // its answer to writes
	blind   string // its answer to reads
	mute    bool   // it does not answer
	writes  []*storepb.Write
	reads   int
	before  func(*storepb.Write) // a write is carried out
}

func (p *paperStore) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *storepb.Write:
		p.onWrite(ctx, m)
	case *storepb.ReadRequest:
		p.reads++
		r := &storepb.ReadResponse{Serial: m.GetSerial(), Error: p.blind}
		if p.blind == "" {
			for key, value := range p.records {
				if strings.HasPrefix(key, m.GetPrefix()) {
					r.Records = append(r.Records, &storepb.Record{Key: key, Value: slices.Clone(value)})
				}
			}
			slices.SortFunc(r.Records, func(a, b *storepb.Record) int { return strings.Compare(a.GetKey(), b.GetKey()) })
			for _, key := range p.corrupt {
				if strings.HasPrefix(key, m.GetPrefix()) {
					r.Corrupt = append(r.Corrupt, key)
				}
			}
		}
		if !p.mute {
			ctx.Respond(r)
		}
	}
}

func (p *paperStore) onWrite(ctx actor.Context, m *storepb.Write) {
	if p.before != nil {
		p.before(m)
	}
	p.writes = append(p.writes, m)
	if p.refuse == "" {
		for _, r := range m.GetPuts() {
			p.records[r.GetKey()] = r.GetValue()
		}
	}
	if !p.mute {
		ctx.Respond(&storepb.Written{Serial: m.GetSerial(), Error: p.refuse})
	}
}

// paperVault derives at once, unless it is told to be busy.
type paperVault struct {
	busy  int // answers to come
	takes time.Duration
	asked int
	now   int
	most  int // at once
}

type paperKey struct {
	asker *actor.PID
	m     *vaultpb.DeriveResponse
}

func (p *paperVault) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *vaultpb.DeriveRequest:
		if p.busy > 0 {
			p.busy--
			ctx.Respond(&vaultpb.DeriveResponse{Serial: m.GetSerial(), Busy: true})
			return
		}
		p.asked++
		p.now++
		p.most = max(p.most, p.now)
		sum := sha256.Sum256(append([]byte(m.GetPassword()+"\x00"), m.GetSalt()...))
		k := &paperKey{ctx.Sender(), &vaultpb.DeriveResponse{Serial: m.GetSerial(), Key: sum[:]}}
		tree.After(ctx, p.takes, k)
	case *paperKey:
		p.now--
		ctx.Send(m.asker, m.m)
	}
}

// ear hears answers, by serial.
type ear struct {
	pid   *actor.PID
	heard map[uint64]string
	order []uint64
	got   map[uint64]proto.Message
	then  func() // called with each answer; nil: nothing
}

func (e *ear) Receive(ctx actor.Context) {
	note := func(serial uint64, text string) {
		e.heard[serial] += text
		e.order = append(e.order, serial)
		e.got[serial], _ = ctx.Message().(proto.Message)
		if e.then != nil {
			e.then()
		}
	}
	switch m := ctx.Message().(type) {
	case *vaultpb.CheckResponse:
		note(m.GetSerial(), fmt.Sprint(m.GetMatches(), reason(m.GetError())))
	case *vaultpb.RekeyResponse:
		text := strings.ToLower(strings.TrimPrefix(m.GetOutcome().String(), "OUTCOME_"))
		if (m.GetReason() == "") != (m.GetOutcome() == vaultpb.RekeyResponse_OUTCOME_DONE) {
			text += " without a reason"
		}
		note(m.GetSerial(), text)
	case *vaultpb.RevealResponse:
		text := fmt.Sprint(m.GetMatches())
		for _, s := range m.GetSecrets() {
			text += fmt.Sprint(" ", s.GetName(), "=", string(s.GetValue()))
		}
		for _, name := range m.GetCorrupt() {
			text += fmt.Sprint(" !", name)
		}
		note(m.GetSerial(), text+reason(m.GetError()))
	case *vaultpb.SealResponse:
		note(m.GetSerial(), fmt.Sprint(m.GetStored(), reason(m.GetError())))
	case *vaultpb.StandingResponse:
		text := ""
		for _, f := range []struct {
			is   bool
			name string
		}{{m.GetPasswordSet(), " set"}, {m.GetUnlocked(), " unlocked"}, {m.GetWrong(), " wrong"}} {
			if f.is {
				text += f.name
			}
		}
		note(0, strings.TrimSpace(text+reason(m.GetError())))
	case *faultpb.Failed:
		note(0, "failed")
	}
}

// reason marks that there is one.
func reason(text string) string {
	if text == "" {
		return ""
	}
	return " why"
}

// room is a safe with all that is around it.
type room struct {
	t      testing.TB
	d      *testkit.Driver
	sys    *actor.ActorSystem
	store  *paperStore
	vault  *paperVault
	s      *safe
	safe   *actor.PID
	ear    *ear
	pids   []*actor.PID
	serial uint64
}

// newRoom makes a safe; its store may have something already, and initial may be nil.
func newRoom(t testing.TB, d *testkit.Driver, store *paperStore, initial *string, opts ...testkit.SystemOption) *room {
	if store == nil {
		store = &paperStore{records: map[string][]byte{}}
	}
	r := &room{t: t, d: d, store: store, vault: &paperVault{}, ear: &ear{heard: map[uint64]string{}, got: map[uint64]proto.Message{}}}
	r.sys = testkit.System(t, append(opts, testkit.Under(d))...)
	spawn := func(a actor.Actor) *actor.PID {
		pid := tree.Spawn(r.sys.Root, "", tree.Spec{New: func() actor.Actor { return a }})
		r.pids = append(r.pids, pid)
		return pid
	}
	r.ear.pid = spawn(r.ear)
	spec := SafeSpec{Store: spawn(r.store), Vault: spawn(r.vault), Cost: Cost{8, 1, 1}}
	if initial != nil {
		s, err := NewSecret([]byte(*initial))
		if err != nil {
			t.Fatal(err)
		}
		spec.Initial = s
	}
	r.s = newSafe(spec)
	r.safe = r.s.spawn(r.sys.Root, "safe")
	r.pids = append(r.pids, r.safe)
	return r
}

// opened is newRoom in a bubble of its own.
func opened(t *testing.T, store *paperStore, initial *string, test func(t *testing.T, r *room)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(t, testkit.NewDriver(1), store, initial)
		r.d.Settle()
		test(t, r)
		r.stop()
	})
}

func (r *room) stop() { testkit.Stop(r.t, r.sys, r.pids...) }

// ask sends a request; its answer is heard by the serial that comes back.
func (r *room) ask(m proto.Message) uint64 {
	r.serial++
	switch m := m.(type) {
	case *vaultpb.CheckRequest:
		m.Serial = r.serial
	case *vaultpb.RekeyRequest:
		m.Serial = r.serial
	case *vaultpb.RevealRequest:
		m.Serial = r.serial
	case *vaultpb.SealRequest:
		m.Serial = r.serial
	}
	r.sys.Root.RequestWithCustomSender(r.safe, m, r.ear.pid)
	return r.serial
}

// hear asks, and waits for an answer that takes no more than a time.
func (r *room) hear(most time.Duration, m proto.Message) string {
	r.t.Helper()
	serial := r.ask(m)
	r.d.RunUntil(most, func() bool { return r.ear.heard[serial] != "" })
	return r.ear.heard[serial]
}

// soon is how long an answer takes that nobody slows down.
const soon = time.Millisecond

// expect fails the test unless an answer comes at once, and is this one.
func (r *room) expect(want string, m proto.Message) {
	r.t.Helper()
	if got := r.hear(soon, m); got != want {
		r.t.Errorf("%T: heard %q, want %q", m, got, want)
	}
}

func (r *room) standing() string {
	r.ear.heard[0] = ""
	r.sys.Root.RequestWithCustomSender(r.safe, &vaultpb.StandingRequest{}, r.ear.pid)
	r.d.RunUntil(soon, func() bool { return len(r.ear.heard[0]) > 0 })
	return r.ear.heard[0]
}

// pw is a password that is given.
func pw(text string) *string { return &text }

func check(member uint64, password *string) *vaultpb.CheckRequest {
	return &vaultpb.CheckRequest{Member: member, Password: password}
}

func rekey(member uint64, old *string, fresh string) *vaultpb.RekeyRequest {
	return &vaultpb.RekeyRequest{Member: member, OldPassword: old, NewPassword: fresh}
}

func reveal(member uint64, password *string, names ...string) *vaultpb.RevealRequest {
	return &vaultpb.RevealRequest{Member: member, Password: password, Names: names}
}

func keep(name, value string) *vaultpb.SealRequest {
	return &vaultpb.SealRequest{Secret: &vaultpb.Secret{Name: name, Value: []byte(value)}}
}
