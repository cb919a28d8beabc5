package enclave

import (
	"log/slog"
	"strings"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/messages/enclavepb"
	"parley/messages/faultpb"
	"parley/messages/storepb"
	"parley/messages/vaultpb"
)

const (
	earlyMost    = 10_000   // messages that wait until it is known what there is
	ownWaitMost  = 8 << 20  // bytes on their way to the store, beyond which what is said here is not kept
	waitRowsMost = 64 << 20 // bytes on their way to the store, beyond which nothing is: peers are slowed down long before
)

type (
	// loadAgain says that what there is is to be asked for again.
	loadAgain struct{ serial uint64 }
	// resaid says what was stored for a friend that is of an earlier run of this
	// node. What chronicle lacks of it, it adds: a kill may have come between the two.
	// From outbox.
	resaid struct {
		address  string
		messages []*enclavepb.Kept
	}
)

// IgnoreDeadLetterLogging marks messages that may find chronicle stopped.
func (loadAgain) IgnoreDeadLetterLogging() {}

// chronicle is what was said. An entry has the next number of its conversation,
// so that a page of it is a range of keys. Messages of peers are told to people
// when they are stored, and acknowledged when those have them. What it knows
// outlives a failure.
//
//	parent    node
//	receives  said, saidAll, ours, progressed, resaid, asked, storepb.Written, storepb.ReadResponse, storepb.Compacted, vaultpb.StandingResponse, vaultpb.SealResponse, vaultpb.RevealResponse, faultpb.Failed (from store or safe), opened, writeAgain, loadAgain, standingDue, sweepDue, inquiryLate, gatherDue
//	sends     noted to friend; toldAll to frontends; enclavepb.Result to who asked; storepb.Write, storepb.ReadRequest, storepb.Compact to store; vaultpb.StandingRequest, vaultpb.SealRequest, vaultpb.RevealRequest to safe
//	stops     with the node
type chronicle struct {
	o   *Options // fixed at spawn, as all of this block
	met *meet

	lasts  map[string]uint64 // owned, as all that follows; serial of the last entry, by address
	loaded bool              // lasts is what the store has
	blind  bool              // that could not be read: nothing is kept until it can
	early  []early           // what came before either, oldest first

	writing   writing
	refusing  map[string]uint32 // epoch of a friend of which nothing is taken any more, by address
	serial    uint64            // of the last question to the store or the safe
	reads     map[uint64]func(ctx actor.Context, m *storepb.ReadResponse)
	again     *tree.Timer // of loading
	inquiries map[uint64]*inquiry
	sealing   sealing
}

// early is a message that has to wait.
type early struct {
	from *actor.PID
	m    any
}

func newChronicle(o *Options, met *meet) actor.Actor {
	return &chronicle{
		o: o, met: met, lasts: map[string]uint64{}, writing: newWriting(), refusing: map[string]uint32{},
		reads: map[uint64]func(actor.Context, *storepb.ReadResponse){}, inquiries: map[uint64]*inquiry{},
	}
}

func (c *chronicle) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		c.onStarted(ctx)
	case *actor.Stopping:
		c.onStopping(ctx)
		c.writeLast(ctx)
	case *actor.Restarting:
		c.onStopping(ctx)
	case *said, *saidAll, *ours, *progressed, *resaid, *asked:
		c.inTurn(ctx, ctx.Sender(), m)
	case *storepb.Written:
		c.onWritten(ctx, m)
	case *storepb.ReadResponse:
		c.onReadResponse(ctx, m)
	case *storepb.Compacted:
		c.onCompacted(ctx, m)
	case *opened:
		c.onOpened(ctx, m)
	case *vaultpb.StandingResponse:
		c.onStanding(ctx, m)
	case *vaultpb.SealResponse:
		c.onSealed(ctx, m)
	case *vaultpb.RevealResponse:
		c.onRevealed(ctx, m)
	case *faultpb.Failed:
		c.onLost(ctx, m.GetActor(), "it has failed")
	case *actor.DeadLetterResponse:
		c.onLost(ctx, m.GetTarget().GetId(), "it is not running")
	case writeAgain:
		c.onWriteAgain(ctx, m)
	case gatherDue:
		c.onGatherDue(ctx)
	case loadAgain:
		c.onLoadAgain(ctx, m)
	case standingDue:
		c.askStanding(ctx)
	case sweepDue:
		c.onSweepDue(ctx)
	case inquiryLate:
		c.onInquiryLate(ctx, m)
	}
}

// onStarted reads how far each conversation is, or goes on after a failure.
func (c *chronicle) onStarted(ctx actor.Context) {
	switch {
	case c.o.Store == nil:
		c.loaded = true
	case !c.loaded:
		c.load(ctx)
	default:
		c.askStanding(ctx)
		c.sweepLater(ctx, sweepPause)
	}
	c.rewrite(ctx)
}

func (c *chronicle) onStopping(ctx actor.Context) {
	c.again.Stop()
	c.writing.stop()
	c.sealing.stop()
	for _, q := range c.inquiries {
		c.end(ctx, q, refused(q.asked, reasonFailed))
	}
}

func (c *chronicle) load(ctx actor.Context) {
	serial := c.read(ctx, &storepb.ReadRequest{Prefix: chroniclePrefix}, c.onLoaded)
	c.again.Stop()
	c.again = tree.After(ctx, storeTimeout, loadAgain{serial})
}

// read asks the store, which answers to then.
func (c *chronicle) read(ctx actor.Context, m *storepb.ReadRequest, then func(actor.Context, *storepb.ReadResponse)) uint64 {
	c.serial++
	m.Serial = c.serial
	c.reads[m.Serial] = then
	ctx.Request(c.o.Store, m)
	return m.Serial
}

func (c *chronicle) onReadResponse(ctx actor.Context, m *storepb.ReadResponse) {
	if then := c.reads[m.GetSerial()]; then != nil {
		delete(c.reads, m.GetSerial())
		then(ctx, m)
	}
}

func (c *chronicle) onLoadAgain(ctx actor.Context, m loadAgain) {
	if c.loaded {
		return
	}
	if c.reads[m.serial] != nil {
		delete(c.reads, m.serial)
		c.unread(ctx, "the database did not answer within "+storeTimeout.String())
		return
	}
	c.load(ctx)
}

// unread goes on without history, and tries again later.
func (c *chronicle) unread(ctx actor.Context, why string) {
	tree.Log(ctx.ActorSystem()).Error("the history of conversations could not be read, and nothing is kept until it can",
		slog.String("reason", why), slog.Duration("again", readAgain))
	c.again.Stop()
	c.again = tree.After(ctx, readAgain, loadAgain{})
	c.blind = true
	c.catchUp(ctx)
}

func (c *chronicle) onLoaded(ctx actor.Context, m *storepb.ReadResponse) {
	if m.GetError() != "" {
		c.unread(ctx, m.GetError())
		return
	}
	log := tree.Log(ctx.ActorSystem())
	for _, key := range m.GetCorrupt() {
		log.Error("a record of the history of conversations is damaged", slog.String("record", key))
		switch address, ok := strings.CutPrefix(key, lastPrefix); {
		case ok:
			c.lasts[address] = c.beyond()
		case key == publicKey:
			c.sealing.damaged = true
		}
	}
	for _, r := range m.GetRecords() {
		if address, ok := strings.CutPrefix(r.GetKey(), lastPrefix); ok {
			e := &enclavepb.Entry{}
			if proto.Unmarshal(r.GetValue(), e) != nil || e.GetSerial() == 0 {
				e.Serial = c.beyond()
			}
			c.lasts[address] = e.GetSerial()
		}
		switch r.GetKey() {
		case publicKey:
			c.sealing.learn(r.GetValue())
		case sweptKey:
			c.sealing.swept = true
		}
	}
	c.loaded, c.blind = true, false
	c.again.Stop()
	c.beginSealing(ctx)
	c.catchUp(ctx)
}

// beyond is a serial that no conversation has reached: entries are counted, and
// nobody says one in each ms.
func (c *chronicle) beyond() uint64 { return uint64(c.o.Now().UnixMilli()) }

// catchUp does what has waited.
func (c *chronicle) catchUp(ctx actor.Context) {
	waited := c.early
	c.early = nil
	for _, w := range waited {
		c.inTurn(ctx, w.from, w.m)
	}
	c.goOn(ctx)
}

// inTurn takes what changes the history, and who asks for it, in order.
func (c *chronicle) inTurn(ctx actor.Context, from *actor.PID, m any) {
	if !c.loaded && !c.blind {
		c.early = append(c.early, early{from, m})
		if len(c.early) == earlyMost {
			c.blind = true
			c.catchUp(ctx)
		}
		return
	}
	switch m := m.(type) {
	case *said:
		c.onSaidAll(ctx, from, []*said{m})
	case *saidAll:
		c.onSaidAll(ctx, from, m.all)
	case *ours:
		c.onOurs(ctx, &m.said)
	case *progressed:
		c.onProgressed(ctx, m)
	case *resaid:
		c.onResaid(ctx, m)
	case *asked:
		attempt(ctx, m, func() { c.onAsked(ctx, m) })
	}
}

// onProgressed changes how far a message has come. It goes with its entry, if
// that has not gone yet.
func (c *chronicle) onProgressed(ctx actor.Context, m *progressed) {
	if r := c.writing.unsent[sentKey(m.address, m.id)]; r != nil {
		r.delivery = max(r.delivery, m.delivery)
		return
	}
	c.put(ctx, &row{address: m.address, id: m.id, delivery: m.delivery, expires: c.o.expiry()})
}

// onResaid looks for what a kill has kept from being stored here.
func (c *chronicle) onResaid(ctx actor.Context, m *resaid) {
	if !c.loaded || c.o.Store == nil || c.o.Retention < 0 {
		return
	}
	ids := make([]string, len(m.messages))
	for i, k := range m.messages {
		ids[i] = k.GetId()
	}
	c.deliveries(ctx, m.address, ids, func(ctx actor.Context, known map[string]enclavepb.Delivery, problem string) {
		if problem != "" {
			c.lose(ctx, 0, problem)
			return
		}
		for _, k := range m.messages {
			if _, ok := known[k.GetId()]; ok || sentKey(m.address, k.GetId()) == "" {
				continue
			}
			if keeps, _ := c.keeps(ctx, true); !keeps {
				continue
			}
			r := &row{address: m.address}
			c.enter(r, &enclavepb.Entry{
				Own: true, Message: k.GetMessage(), Timestamp: k.GetTimestamp(), Id: k.GetId(), Delivery: enclavepb.Delivery_DELIVERY_QUEUED,
			})
			c.put(ctx, r)
		}
	})
}

// onLost gives up what the store or the safe has, or tries it again.
func (c *chronicle) onLost(ctx actor.Context, who, why string) {
	if who == c.o.Safe.GetId() {
		c.onSafeLost(ctx, why)
		return
	}
	reads := c.reads
	c.reads = map[uint64]func(actor.Context, *storepb.ReadResponse){}
	for _, then := range sorted(reads) {
		then(ctx, &storepb.ReadResponse{Error: "the database gave no answer: " + why})
	}
	c.unwritten(ctx, why)
}
