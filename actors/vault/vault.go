package vault

import (
	"container/list"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/vaultpb"
)

// remembered is how many right passwords are known without hashing again.
const remembered = 1024

// Limits are the vault's settings.
type Limits struct {
	Workers int // hashes computed at once
	Queue   int // requests waiting; more are answered busy
}

// vault hashes channel passwords. A hash costs 16 ms of a core, and anybody may
// ask for one: few run at once, on threads that yield to all others, and what
// is too much is refused. Keys of database passwords have a line of their own,
// so that who guesses at channels is in nobody's way there.
//
//	parent    node
//	receives  vaultpb.HashRequest, vaultpb.Remember, hashed, vaultpb.DeriveRequest, derived, rested
//	sends     vaultpb.HashResponse, vaultpb.DeriveResponse to askers
//	stops     with the node
type vault struct {
	limits Limits // fixed at spawn
	hash   func(*vaultpb.HashRequest) []byte
	derive func(*vaultpb.DeriveRequest) []byte
	key    []byte // of the cache; random, never leaves

	running int // owned, as all that follows; hashes under way
	queue   []job
	known   map[digest]*list.Element // of entries in order
	order   *list.List               // newest first

	derivations []derivation // waiting, oldest first
	deriving    bool         // one is under way, or rests
}

type digest [sha256.Size]byte

// known passwords: nothing here can be turned back into one.
type entry struct {
	id   digest
	hash []byte
}

type job struct {
	asker *actor.PID
	m     *vaultpb.HashRequest
}

// hashed is the result of one job.
type hashed struct {
	job  job
	hash []byte
}

// IgnoreDeadLetterLogging marks messages that may find the vault stopped.
func (*hashed) IgnoreDeadLetterLogging() {}

// Spawn starts the vault.
func Spawn(ctx actor.SpawnerContext, l Limits) *actor.PID { return newVault(l).spawn(ctx) }

// spawn starts v. Hashes under way outlive a restart, and so does what knows them.
func (v *vault) spawn(ctx actor.SpawnerContext) *actor.PID {
	return tree.Spawn(ctx, "vault", tree.Spec{New: func() actor.Actor { return v }})
}

func newVault(l Limits) *vault {
	key := make([]byte, sha256.Size)
	_, _ = rand.Read(key) // it never fails: the process would end
	return &vault{limits: l, hash: politeHash, derive: derive, key: key, known: map[digest]*list.Element{}, order: list.New()}
}

func (v *vault) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *vaultpb.HashRequest:
		v.onHashRequest(ctx, m)
	case *hashed:
		v.onHashed(ctx, m)
	case *vaultpb.Remember:
		v.onRemember(m)
	case *vaultpb.DeriveRequest:
		v.onDeriveRequest(ctx, m)
	case *derived:
		v.onDerived(ctx, m)
	case rested:
		v.onRested(ctx)
	}
}

func (v *vault) onHashRequest(ctx actor.Context, m *vaultpb.HashRequest) {
	if e, ok := v.known[v.id(m.GetChannel(), m.GetPassword(), m.GetLong())]; ok {
		v.order.MoveToFront(e)
		ctx.Respond(&vaultpb.HashResponse{Hash: e.Value.(*entry).hash})
		return
	}
	if len(v.queue) >= v.limits.Queue {
		ctx.Respond(&vaultpb.HashResponse{Busy: true})
		return
	}
	v.queue = append(v.queue, job{ctx.Sender(), m})
	v.next(ctx)
}

func (v *vault) onHashed(ctx actor.Context, m *hashed) {
	v.running--
	ctx.Send(m.job.asker, &vaultpb.HashResponse{Hash: m.hash})
	v.next(ctx)
}

// next starts work as long as there is some and a worker is free.
func (v *vault) next(ctx actor.Context) {
	for len(v.queue) > 0 && v.running < v.limits.Workers {
		j := v.queue[0]
		v.queue[0] = job{}
		v.queue = v.queue[1:]
		v.running++
		sys, self, hash := ctx.ActorSystem(), ctx.Self(), v.hash
		tree.Go(sys, func() {
			sys.Root.Send(self, &hashed{j, hash(j.m)})
		})
	}
}

func (v *vault) onRemember(m *vaultpb.Remember) {
	id := v.id(m.GetChannel(), m.GetPassword(), m.GetLong())
	if e, ok := v.known[id]; ok {
		v.order.MoveToFront(e)
		return
	}
	v.known[id] = v.order.PushFront(&entry{id, m.GetHash()})
	if v.order.Len() > remembered {
		last := v.order.Remove(v.order.Back()).(*entry)
		delete(v.known, last.id)
	}
}

// id names a channel, a password and a kind of hash without saying them.
func (v *vault) id(channel, password string, long bool) (d digest) {
	mac := hmac.New(sha256.New, v.key)
	kind := byte(sha256.Size)
	if long {
		kind = sha512.Size
	}
	mac.Write([]byte{kind})
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(len(channel))))
	mac.Write([]byte(channel))
	mac.Write([]byte(password))
	mac.Sum(d[:0])
	return d
}
