package enclave

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/messages/enclavepb"
	"parley/messages/faultpb"
	"parley/messages/storepb"
)

const (
	outboxPrefix  = "outbox/" // of the store's records: address and serial → Kept
	chargesMost   = 4 << 20   // bytes on their way to the store: half of what it lets wait
	readsAtOnce   = 64        // questions on their way to the store
	waitingMost   = 64 << 20  // bytes that wait here; each friend's own limit is far below
	chargeBytes   = 640       // of a message on its way, besides its text
	deletesAtOnce = 512       // records in one Write
	reasonNoStore = "this node has no database"
	reasonLagging = "the database is slower than what is asked of it: try again in a moment"
)

// errandsLate says that the store may have forgotten something.
type errandsLate struct{}

// IgnoreDeadLetterLogging marks messages that may find outbox stopped.
func (errandsLate) IgnoreDeadLetterLogging() {}

// outbox keeps what waits for friends in the store. What was asked is done in
// order; messages go to the store without waiting for each other, and it writes
// together what came together.
//
//	parent    node
//	receives  keep, release, recall, discard, storepb.Written, storepb.ReadResponse, faultpb.Failed (from store), errandsLate
//	sends     kept, recalled to friend; resaid to chronicle; storepb.Write, storepb.ReadRequest to store
//	stops     with the node
type outbox struct {
	o   *Options // fixed at spawn, as all of this block
	met *meet

	waiting []*errand          // owned, as all that follows; oldest first
	queued  int                // bytes of waiting
	flying  map[uint64]*errand // with the store, by serial
	bytes   int                // of flying
	reads   int                // of flying
	busy    map[string]*busy   // addresses that flying is about
	serial  uint64             // last one
	late    *tree.Timer        // nil: nothing is flying
}

// busy is what is with the store of one address.
type busy struct {
	writes int
	whole  bool // a question or a deletion about all of it
}

// errand is one thing to be done: exactly one of the pointers behind from is set.
type errand struct {
	from    *actor.PID
	keep    *keep
	release *release
	recall  *recall
	discard *discard
	reading bool      // the store is asked a question
	since   time.Time // that it is with the store
}

func newOutbox(o *Options, met *meet) actor.Actor {
	return &outbox{o: o, met: met, flying: map[uint64]*errand{}, busy: map[string]*busy{}}
}

func (x *outbox) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		x.watch(ctx)
		x.next(ctx)
	case *actor.Stopping, *actor.Restarting:
		x.late.Stop()
		x.late = nil
	case *keep:
		x.onKeep(ctx, m)
	case *release:
		x.queue(ctx, &errand{release: m})
	case *recall:
		x.onRecall(ctx, m)
	case *discard:
		x.queue(ctx, &errand{discard: m})
	case *storepb.Written:
		x.onWritten(ctx, m)
	case *storepb.ReadResponse:
		x.onReadResponse(ctx, m)
	case *faultpb.Failed:
		x.onStoreLost(ctx, "it has failed")
	case *actor.DeadLetterResponse:
		x.onStoreLost(ctx, "it is not running")
	case errandsLate:
		x.onLate(ctx)
	}
}

func (x *outbox) onKeep(ctx actor.Context, m *keep) {
	e := &errand{from: ctx.Sender(), keep: m}
	size := chargeBytes + len(m.message.GetMessage())
	switch {
	case x.o.Store == nil:
		ctx.Send(e.from, &kept{m.serial, reasonNoStore})
		return
	case x.queued+size > waitingMost:
		ctx.Send(e.from, &kept{m.serial, reasonLagging})
		return
	}
	x.queue(ctx, e)
}

func (x *outbox) onRecall(ctx actor.Context, m *recall) {
	if x.o.Store == nil {
		ctx.Respond(&recalled{address: m.address})
		return
	}
	x.queue(ctx, &errand{from: ctx.Sender(), recall: m})
}

func (x *outbox) queue(ctx actor.Context, e *errand) {
	if x.o.Store == nil {
		return
	}
	x.waiting = append(x.waiting, e)
	x.queued += e.size()
	x.next(ctx)
}

func (e *errand) size() int {
	switch {
	case e.keep != nil:
		return chargeBytes + len(e.keep.message.GetMessage())
	case e.release != nil:
		return chargeBytes + len(e.release.serials)*len(outboxKey(e.release.address, 0))
	}
	return chargeBytes
}

func (e *errand) address() string {
	switch {
	case e.keep != nil:
		return e.keep.address
	case e.release != nil:
		return e.release.address
	case e.recall != nil:
		return e.recall.address
	}
	return e.discard.address
}

// whole reports whether an errand is about all that waits for its friend: it
// must not overtake, nor be overtaken.
func (e *errand) whole() bool { return e.recall != nil || e.discard != nil }

// next hands to the store what it may have.
func (x *outbox) next(ctx actor.Context) {
	for len(x.waiting) > 0 {
		e := x.waiting[0]
		b := x.busy[e.address()]
		switch {
		case b != nil && (b.whole || e.whole()),
			e.whole() && x.reads == readsAtOnce,
			x.bytes > 0 && x.bytes+e.size() > chargesMost:
			return
		}
		x.waiting[0] = nil
		if x.waiting = x.waiting[1:]; len(x.waiting) == 0 {
			x.waiting = nil
		}
		x.queued -= e.size()
		x.begin(ctx, e)
	}
}

// begin hands an errand to the store.
func (x *outbox) begin(ctx actor.Context, e *errand) {
	address := e.address()
	switch {
	case e.whole():
		x.reads++
		e.reading = true
		ctx.Request(x.o.Store, &storepb.ReadRequest{Prefix: outboxPrefix + address + "/", Serial: x.fly(ctx, e)})
	case e.keep != nil:
		value, err := proto.Marshal(e.keep.message)
		if err != nil {
			panic("enclave: a message to " + address + ": " + err.Error())
		}
		ctx.Request(x.o.Store, &storepb.Write{
			Serial: x.fly(ctx, e), Puts: []*storepb.Record{{Key: outboxKey(address, e.keep.serial), Value: value}},
		})
	default:
		keys := make([]string, len(e.release.serials))
		for i, serial := range e.release.serials {
			keys[i] = outboxKey(address, serial)
		}
		x.remove(ctx, e, keys)
	}
}

// remove has the store delete keys; the last Write of it answers for e.
func (x *outbox) remove(ctx actor.Context, e *errand, keys []string) {
	for len(keys) > deletesAtOnce {
		ctx.Send(x.o.Store, &storepb.Write{Deletes: keys[:deletesAtOnce]})
		keys = keys[deletesAtOnce:]
	}
	ctx.Request(x.o.Store, &storepb.Write{Serial: x.fly(ctx, e), Deletes: keys})
}

// fly notes an errand that goes to the store, and returns its serial.
func (x *outbox) fly(ctx actor.Context, e *errand) uint64 {
	x.serial++
	e.since = time.Now()
	x.flying[x.serial] = e
	x.bytes += e.size()
	b := x.busy[e.address()]
	if b == nil {
		b = &busy{}
		x.busy[e.address()] = b
	}
	if e.whole() {
		b.whole = true
	} else {
		b.writes++
	}
	x.watch(ctx)
	return x.serial
}

// land takes an errand that the store has answered; nil: nobody waits for it.
func (x *outbox) land(serial uint64) *errand {
	e := x.flying[serial]
	if e == nil {
		return nil
	}
	delete(x.flying, serial)
	x.bytes -= e.size()
	if e.reading {
		x.reads--
		e.reading = false
	}
	b := x.busy[e.address()]
	if e.whole() {
		b.whole = false
	} else {
		b.writes--
	}
	if !b.whole && b.writes == 0 {
		delete(x.busy, e.address())
	}
	return e
}

func (x *outbox) onWritten(ctx actor.Context, m *storepb.Written) {
	e := x.land(m.GetSerial())
	switch {
	case e == nil:
		return
	case e.keep != nil:
		ctx.Send(e.from, &kept{e.keep.serial, m.GetError()})
	case m.GetError() != "":
		x.undeleted(ctx, e, m.GetError())
	}
	x.next(ctx)
}

// undeleted tells that what is where it belongs is still in the database.
func (x *outbox) undeleted(ctx actor.Context, e *errand, why string) {
	tree.Log(ctx.ActorSystem()).Warn("messages that were sent are still in the database, and may be sent again after a restart",
		slog.String("address", e.address()), slog.String("reason", why))
}

func (x *outbox) onReadResponse(ctx actor.Context, m *storepb.ReadResponse) {
	e := x.land(m.GetSerial())
	if e == nil {
		return
	}
	switch {
	case e.recall != nil:
		x.tellRecalled(ctx, e, m)
	case m.GetError() != "":
		x.undeleted(ctx, e, m.GetError())
	default:
		keys := m.GetCorrupt()
		for _, r := range m.GetRecords() {
			keys = append(keys, r.GetKey())
		}
		if len(keys) > 0 {
			x.remove(ctx, e, keys)
		}
	}
	x.next(ctx)
}

// tellRecalled tells a friend what waits for it, and chronicle, which may lack
// what was stored just before a kill.
func (x *outbox) tellRecalled(ctx actor.Context, e *errand, m *storepb.ReadResponse) {
	address := e.address()
	r := &recalled{address: address, error: m.GetError()}
	log := tree.Log(ctx.ActorSystem()).With(slog.String("address", address))
	for _, key := range m.GetCorrupt() {
		log.Error("a message that waits for a friend is damaged and was left out", slog.String("record", key))
	}
	for _, record := range m.GetRecords() {
		k := &enclavepb.Kept{}
		serial, err := serialOf(record.GetKey(), outboxPrefix+address+"/")
		if err == nil {
			err = proto.Unmarshal(record.GetValue(), k)
		}
		if err != nil {
			log.Error("a message that waits for a friend makes no sense and was left out", slog.String("record", record.GetKey()))
			continue
		}
		r.serials, r.messages = append(r.serials, serial), append(r.messages, k)
	}
	ctx.Send(e.from, r)
	if len(r.messages) > 0 && x.o.Retention >= 0 {
		ctx.Send(x.met.chronicle, &resaid{address, r.messages})
	}
}

// watch has an eye on the store, as long as it has something to answer.
func (x *outbox) watch(ctx actor.Context) {
	if x.late == nil && len(x.flying) > 0 {
		x.late = tree.After(ctx, storeTimeout, errandsLate{})
	}
}

// onLate gives up what the store had for too long.
func (x *outbox) onLate(ctx actor.Context) {
	x.late = nil
	now := time.Now()
	x.giveUp(ctx, "it did not answer within "+storeTimeout.String(), func(e *errand) bool { return now.Sub(e.since) >= storeTimeout })
	x.watch(ctx)
	x.next(ctx)
}

// onStoreLost gives up all that the store has.
func (x *outbox) onStoreLost(ctx actor.Context, why string) {
	x.giveUp(ctx, why, func(*errand) bool { return true })
	x.next(ctx)
}

// giveUp answers for errands that the store has not answered. What it may write
// all the same it is to delete: who asked will be told that it was not taken.
func (x *outbox) giveUp(ctx actor.Context, why string, which func(*errand) bool) {
	for _, serial := range slices.Sorted(maps.Keys(x.flying)) {
		e := x.flying[serial]
		if !which(e) {
			continue
		}
		x.land(serial)
		switch {
		case e.keep != nil:
			ctx.Send(x.o.Store, &storepb.Write{Deletes: []string{outboxKey(e.keep.address, e.keep.serial)}})
			ctx.Send(e.from, &kept{e.keep.serial, "the database gave no answer: " + why + "; try again"})
		case e.recall != nil:
			ctx.Send(e.from, &recalled{address: e.address(), error: "the database gave no answer: " + why})
		default:
			x.undeleted(ctx, e, why)
		}
	}
}

// outboxKey sorts as the serial does.
func outboxKey(address string, serial uint64) string {
	return outboxPrefix + address + "/" + serialKey(serial)
}

// serialKey sorts as the number does.
func serialKey(n uint64) string { return fmt.Sprintf("%016x", n) }

// serialOf is the number that a key has behind a prefix.
func serialOf(key, prefix string) (uint64, error) {
	return strconv.ParseUint(strings.TrimPrefix(key, prefix), 16, 64)
}
