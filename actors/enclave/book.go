package enclave

import (
	"log/slog"
	"maps"
	"slices"
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
	contactPrefix = "contact/"       // of the store's records: address → Contact
	contactsMost  = 10_000           // in the book
	changesMost   = 256              // commands that wait for the store
	storeTimeout  = 10 * time.Second // for the store's answer
	readAgain     = 5 * time.Second  // after the book could not be read
	saveEvery     = 10 * time.Second // that what was seen of peers is written at most
	savedAtOnce   = 256              // contacts
)

type (
	// storeLate says that the store has not answered.
	storeLate struct{ serial uint64 }
	// readNow says that the book is to be read again.
	readNow struct{}
	// saveNow says that what was seen is to be written.
	saveNow struct{}
)

// IgnoreDeadLetterLogging marks messages that may find book stopped.
func (storeLate) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find book stopped.
func (readNow) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find book stopped.
func (saveNow) IgnoreDeadLetterLogging() {}

// book is the address book. What is asked of it is done one after the other, and
// answered when the store has it.
//
//	parent    node
//	receives  asked, seen, storepb.ReadResponse, storepb.Written, faultpb.Failed (from store), storeLate, readNow, saveNow
//	sends     introduced, introducedAll, parted, listing to friends; decided to strangers; enclavepb.Result to who asked; storepb.ReadRequest, storepb.Write to store
//	stops     with the node
type book struct {
	o   *Options // fixed at spawn, as all of this block
	met *meet

	contacts map[string]*enclavepb.Contact // owned, as all that follows; by address, each of them frozen
	loaded   bool
	again    *tree.Timer // reading
	waiting  []*asked    // oldest first
	pending  *edit       // that the store is at work on; nil: none
	serial   uint64      // of the last question to the store
	late     *tree.Timer // until the store has answered
	dirty    map[string]bool
	saving   *tree.Timer // until dirty contacts are due to be written; nil: not running
	due      bool        // they are
}

// edit is a change of the book that the store is asked for.
type edit struct {
	ask     *asked             // nil: nobody asked, peers were seen
	address string             // of the contact
	contact *enclavepb.Contact // as it will be; nil: it goes
}

func newBook(o *Options, met *meet) actor.Actor {
	return &book{o: o, met: met, contacts: map[string]*enclavepb.Contact{}, dirty: map[string]bool{}}
}

func (b *book) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		b.onStarted(ctx)
	case *actor.Stopping, *actor.Restarting:
		b.onStopping()
	case *asked:
		b.onAsked(ctx, m)
	case *seen:
		b.onSeen(ctx, m)
	case *storepb.ReadResponse:
		b.onReadResponse(ctx, m)
	case *storepb.Written:
		b.onWritten(ctx, m)
	case *faultpb.Failed:
		b.onStoreLost(ctx, "it failed")
	case *actor.DeadLetterResponse:
		b.onStoreLost(ctx, "it is not running")
	case storeLate:
		if m.serial == b.serial {
			b.onStoreLost(ctx, "it did not answer within "+storeTimeout.String())
		}
	case readNow:
		b.read(ctx)
	case saveNow:
		b.saving, b.due = nil, true
		b.next(ctx)
	}
}

// onStarted reads the book; after a restart it gives up what the store was asked
// for before.
func (b *book) onStarted(ctx actor.Context) {
	if !b.loaded {
		b.read(ctx)
		return
	}
	b.due = len(b.dirty) > 0
	b.onStoreLost(ctx, "the address book has failed")
	b.next(ctx)
}

func (b *book) onStopping() {
	b.again.Stop()
	b.late.Stop()
	b.saving.Stop()
	b.saving = nil
}

func (b *book) read(ctx actor.Context) {
	if b.o.Store == nil {
		b.ready(ctx)
		return
	}
	ctx.Request(b.o.Store, &storepb.ReadRequest{Prefix: contactPrefix, Serial: b.begin(ctx)})
}

// begin makes the number of a question to the store.
func (b *book) begin(ctx actor.Context) uint64 {
	b.serial++
	b.late.Stop()
	b.late = tree.After(ctx, storeTimeout, storeLate{b.serial})
	return b.serial
}

// over notes an answer of the store; false: nobody waits for it.
func (b *book) over(serial uint64) bool {
	if b.late == nil || serial != b.serial {
		return false
	}
	b.late.Stop()
	b.late = nil
	return true
}

func (b *book) onReadResponse(ctx actor.Context, m *storepb.ReadResponse) {
	if !b.over(m.GetSerial()) {
		return
	}
	if m.GetError() != "" {
		b.unread(ctx, m.GetError())
		return
	}
	log := tree.Log(ctx.ActorSystem())
	for _, key := range m.GetCorrupt() {
		log.Error("a contact in the database is damaged and was left out: add it again", slog.String("address", strings.TrimPrefix(key, contactPrefix)))
	}
	for _, r := range m.GetRecords() {
		c := &enclavepb.Contact{}
		address := strings.TrimPrefix(r.GetKey(), contactPrefix)
		err := proto.Unmarshal(r.GetValue(), c)
		if err != nil || c.GetAddress() != address || canonical(address) != address || !decidedOn(c.GetState()) {
			log.Error("a contact in the database makes no sense and was left out: add it again", slog.String("address", address))
			continue
		}
		b.contacts[address] = c
	}
	b.ready(ctx)
}

// decidedOn reports whether a state is one that the book keeps.
func decidedOn(s enclavepb.State) bool {
	return s == enclavepb.State_STATE_FRIEND || s == enclavepb.State_STATE_IGNORED
}

// ready tells friends of all contacts, in the order of their addresses.
func (b *book) ready(ctx actor.Context) {
	b.loaded = true
	for _, address := range slices.Sorted(maps.Keys(b.contacts)) {
		ctx.Send(b.met.friends, &introduced{b.contacts[address]})
	}
	ctx.Send(b.met.friends, &introducedAll{})
	b.next(ctx)
}

// unread tells who waits that it is in vain, and tries again.
func (b *book) unread(ctx actor.Context, why string) {
	tree.Log(ctx.ActorSystem()).Error("the address book could not be read", slog.String("error", why), slog.Duration("again", readAgain))
	for _, a := range b.waiting {
		answer(ctx, a, refused(a, "the address book could not be read: "+why+"; try again later"))
	}
	b.waiting = nil
	b.again = tree.After(ctx, readAgain, readNow{})
}

// onStoreLost gives up what the store was asked for.
func (b *book) onStoreLost(ctx actor.Context, why string) {
	if !b.over(b.serial) {
		return
	}
	if !b.loaded {
		b.unread(ctx, why)
		return
	}
	b.settle(ctx, "it is not known whether that was stored, the database gave no answer: "+why+"; look at the contacts, and try again")
}

func (b *book) onWritten(ctx actor.Context, m *storepb.Written) {
	if !b.over(m.GetSerial()) {
		return
	}
	problem := m.GetError()
	if problem != "" {
		problem = "that could not be stored: " + problem
	}
	b.settle(ctx, problem)
}

// settle ends the change that is under way.
func (b *book) settle(ctx actor.Context, problem string) {
	e := b.pending
	b.pending = nil
	switch {
	case e == nil:
	case e.ask != nil && problem != "":
		answer(ctx, e.ask, refused(e.ask, problem))
	case e.ask != nil:
		attempt(ctx, e.ask, func() { b.apply(ctx, e) })
	case problem != "":
		tree.Log(ctx.ActorSystem()).Warn("when friends were last seen could not be stored", slog.String("reason", problem))
	}
	b.next(ctx)
}

// next begins the oldest command, or writes what was seen.
func (b *book) next(ctx actor.Context) {
	for b.loaded && b.pending == nil && len(b.waiting) > 0 {
		a := b.waiting[0]
		b.waiting[0] = nil
		if b.waiting = b.waiting[1:]; len(b.waiting) == 0 {
			b.waiting = nil
		}
		attempt(ctx, a, func() { b.carryOut(ctx, a) })
	}
	if b.loaded && b.pending == nil && b.due {
		b.save(ctx)
	}
}

// carryOut does what is asked, as far as that goes without the store.
func (b *book) carryOut(ctx actor.Context, a *asked) {
	if _, is := a.command.GetBody().(*enclavepb.Command_List); is {
		b.list(ctx, a)
		return
	}
	e, problem := b.decide(a.command)
	if problem != "" {
		answer(ctx, a, refused(a, problem))
		return
	}
	e.ask = a
	if b.o.Store == nil {
		b.apply(ctx, e)
		return
	}
	b.write(ctx, e)
}

// write has a change stored.
func (b *book) write(ctx actor.Context, e *edit) {
	w := &storepb.Write{Serial: b.begin(ctx)}
	if e.contact == nil {
		w.Deletes = []string{contactPrefix + e.address}
	} else {
		w.Puts = []*storepb.Record{record(e.contact)}
	}
	b.pending = e
	ctx.Request(b.o.Store, w)
}

// record is a contact as it is stored: of its presence only what it calls itself.
func record(c *enclavepb.Contact) *storepb.Record {
	c = proto.CloneOf(c)
	c.Held = 0
	if p := c.GetPresence(); p != nil {
		c.Presence = &enclavepb.Presence{Alias: p.GetAlias()}
	}
	value, err := proto.Marshal(c)
	if err != nil {
		panic("enclave: contact " + c.GetAddress() + ": " + err.Error())
	}
	return &storepb.Record{Key: contactPrefix + c.GetAddress(), Value: value}
}

// onSeen keeps what a peer calls itself and when it was last there.
func (b *book) onSeen(ctx actor.Context, m *seen) {
	old := b.contacts[m.address]
	if old == nil {
		return
	}
	c := proto.CloneOf(old)
	c.LastSeen = max(c.GetLastSeen(), m.at)
	if m.presence != nil {
		c.Presence = &enclavepb.Presence{Alias: m.presence.GetAlias()}
	}
	b.contacts[m.address] = c
	if b.o.Store == nil {
		return
	}
	b.dirty[m.address] = true
	if b.saving == nil && !b.due {
		b.saving = tree.After(ctx, saveEvery, saveNow{})
	}
}

// save writes what was seen, some contacts at a time.
func (b *book) save(ctx actor.Context) {
	w := &storepb.Write{}
	for _, address := range slices.Sorted(maps.Keys(b.dirty)) {
		if len(w.Puts) == savedAtOnce {
			break
		}
		delete(b.dirty, address)
		if c := b.contacts[address]; c != nil {
			w.Puts = append(w.Puts, record(c))
		}
	}
	b.due = len(b.dirty) > 0
	if len(w.Puts) == 0 {
		return
	}
	w.Serial = b.begin(ctx)
	b.pending = &edit{}
	ctx.Request(b.o.Store, w)
}
