package enclave

import (
	"log/slog"
	"math"
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/messages/enclavepb"
	"parley/messages/storepb"
	"parley/messages/vaultpb"
)

const (
	pageUsual     = 100       // entries
	pageMost      = 1000      // entries
	pageBytes     = 512 << 10 // of entries, but for the newest
	stepUsual     = 128       // serials that are asked for at once
	stepGrowth    = 8         // times as many, where there were none
	inquiriesMost = 64
	inquiryTime   = 2 * time.Minute // longer than the safe lets anybody wait
)

type (
	// opened brings the entries of a page, read off the actor. From chronicle to
	// itself.
	opened struct {
		number  uint64
		entries []*enclavepb.Entry // oldest first
		closed  int                // entries that could not be read
	}
	// inquiryLate says that an answer has taken too long.
	inquiryLate struct{ number uint64 }
)

// IgnoreDeadLetterLogging marks messages that may find chronicle stopped.
func (*opened) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find chronicle stopped.
func (inquiryLate) IgnoreDeadLetterLogging() {}

// inquiry is a question about a conversation on its way to its answer: first the
// safe says whether its password is right, then entries are looked for, newest
// first, then they are opened, and at last comes how far those of our own have come.
type inquiry struct {
	number  uint64 // fixed, as all of this block; of its question to the safe
	asked   *asked
	address string
	most    int
	behind  uint64 // rows that it has to see
	timer   *tree.Timer

	state inquiryState
	pair  *pair // of sealed entries; nil: there is none
	upper uint64
	step  uint64
	found []*stored // oldest first
	bytes int       // of found
	more  bool      // there are older ones
	shut  int       // entries that could not be read
}

// inquiryState is what an inquiry waits for.
type inquiryState uint8

const (
	forSafe inquiryState = iota
	forWrites
	forStore
)

// onAsked begins an inquiry.
func (c *chronicle) onAsked(ctx actor.Context, m *asked) {
	h := m.command.GetHistory()
	address := canonical(h.GetWith())
	switch {
	case h == nil || address == "":
		answer(ctx, m, refused(m, noContact(h.GetWith())))
		return
	case c.o.Store == nil:
		answer(ctx, m, refused(m, "nothing that was said is kept: "+reasonNoStore))
		return
	case len(c.inquiries) == inquiriesMost:
		answer(ctx, m, refused(m, reasonBusy))
		return
	}
	c.serial++
	q := &inquiry{
		number: c.serial, asked: m, address: address, most: min(int(h.GetMost()), pageMost), behind: c.writing.came,
		upper: h.GetBefore(), step: stepUsual, timer: tree.After(ctx, inquiryTime, inquiryLate{c.serial}),
	}
	if q.most <= 0 {
		q.most = pageUsual
	}
	q.step = min(q.step, uint64(q.most)+1)
	if q.upper == 0 {
		q.upper = math.MaxUint64
	}
	c.inquiries[q.number] = q
	if c.o.Safe == nil {
		q.state = forWrites
		c.look(ctx, q)
		return
	}
	ctx.Request(c.o.Safe, &vaultpb.RevealRequest{
		Member: m.command.GetMember(), Password: h.Password, Names: []string{secretName}, Serial: q.number,
	})
}

// end answers an inquiry.
func (c *chronicle) end(ctx actor.Context, q *inquiry, r *enclavepb.Result) {
	q.timer.Stop()
	q.forget()
	delete(c.inquiries, q.number)
	answer(ctx, q.asked, r)
}

// forget wipes the key.
func (q *inquiry) forget() {
	if q.pair != nil {
		clear(q.pair.private[:])
	}
}

func (c *chronicle) onInquiryLate(ctx actor.Context, m inquiryLate) {
	if q := c.inquiries[m.number]; q != nil {
		c.end(ctx, q, refused(q.asked, "the history was not read within "+inquiryTime.String()+": try again"))
	}
}

// onRevealed goes on when the password is right.
func (c *chronicle) onRevealed(ctx actor.Context, m *vaultpb.RevealResponse) {
	q := c.inquiries[m.GetSerial()]
	var found *pair
	for _, s := range m.GetSecrets() {
		if s.GetName() == secretName {
			found = pairOf(s.GetValue())
		}
		clear(s.GetValue()) // nobody else has it
	}
	if found != nil && c.sealing.damaged {
		c.mend(ctx, found)
	}
	if q == nil || q.state != forSafe {
		return
	}
	switch {
	case m.GetError() != "":
		c.end(ctx, q, refused(q.asked, m.GetError()))
	case !m.GetMatches():
		r := refused(q.asked, "the history is protected by the database password: give it")
		if q.asked.command.GetHistory().Password != nil {
			r.Reason = "this is not the database password"
		}
		r.Locked = true
		c.end(ctx, q, r)
	default:
		q.pair = found
		q.state = forWrites
		c.askStanding(ctx) // it may know the password only now
		c.look(ctx, q)
	}
}

// onSafeLost ends what the safe was asked.
func (c *chronicle) onSafeLost(ctx actor.Context, why string) {
	for _, q := range sorted(c.inquiries) {
		if q.state == forSafe {
			c.end(ctx, q, refused(q.asked, "the password could not be checked, its keeper gave no answer: "+why+"; try again"))
		}
	}
}

// look asks for entries, once all is stored that was said before the inquiry.
func (c *chronicle) look(ctx actor.Context, q *inquiry) {
	if q.state != forWrites || c.writing.over < q.behind {
		return
	}
	if c.blind {
		c.end(ctx, q, refused(q.asked, "the history could not be read: look at the log, and try again"))
		return
	}
	q.state = forStore
	q.upper = min(q.upper, c.lasts[q.address]+1)
	c.page(ctx, q)
}

// page asks for the next entries before upper.
func (c *chronicle) page(ctx actor.Context, q *inquiry) {
	if q.upper <= 1 {
		c.found(ctx, q, false)
		return
	}
	from := q.upper - min(q.step, q.upper-1)
	number := q.number
	c.read(ctx, conversation(q.address, from, q.upper), func(ctx actor.Context, m *storepb.ReadResponse) {
		if q := c.inquiries[number]; q != nil {
			c.onPage(ctx, q, from, m)
		}
	})
}

// conversation asks for the entries of a range of serials.
func conversation(address string, from, to uint64) *storepb.ReadRequest {
	return &storepb.ReadRequest{Prefix: saidPrefix + address + "/", Expiring: true, From: saidKey(address, from), To: saidKey(address, to)}
}

// onPage goes on until there is enough. Where there was nothing, entries have
// expired, or serials were left out: the step grows. Where there was more than the
// store shows at once it shrinks.
func (c *chronicle) onPage(ctx actor.Context, q *inquiry, from uint64, m *storepb.ReadResponse) {
	if m.GetError() != "" {
		if q.step == 1 {
			c.end(ctx, q, refused(q.asked, "the history could not be read: "+m.GetError()))
			return
		}
		q.step = max(1, q.step/stepGrowth)
		c.page(ctx, q)
		return
	}
	c.tellCorrupt(ctx, m.GetCorrupt())
	all := joinParts(m.GetRecords(), saidPrefix+q.address+"/")
	for _, s := range all {
		q.bytes += len(s.value)
	}
	q.found = append(all, q.found...)
	switch {
	case len(all) == 0 && q.step <= math.MaxUint64/stepGrowth:
		q.step *= stepGrowth
	case len(all) > 0:
		q.step = min(q.step, stepUsual)
	}
	q.upper = from
	if len(q.found) > q.most || q.bytes > pageBytes {
		c.found(ctx, q, q.upper > 1)
		return
	}
	c.page(ctx, q)
}

func (c *chronicle) tellCorrupt(ctx actor.Context, keys []string) {
	if len(keys) > 0 {
		tree.Log(ctx.ActorSystem()).Error("entries of conversations are damaged and were left out", slog.Int("entries", len(keys)), slog.String("first", keys[0]))
	}
}

// found opens what makes the page, off the actor.
func (c *chronicle) found(ctx actor.Context, q *inquiry, more bool) {
	n, size := 0, 0
	for ; n < len(q.found) && n < q.most; n++ {
		if size += len(q.found[len(q.found)-1-n].value); n > 0 && size > pageBytes {
			break
		}
	}
	q.more = more || n < len(q.found)
	page := q.found[len(q.found)-n:]
	q.found, q.bytes = nil, 0
	if n > 0 {
		q.upper = page[0].serial
	}
	for _, s := range page {
		if q.pair == nil && sealedIn(s.value) != nil {
			c.end(ctx, q, refused(q.asked, "the history is sealed, and its key is missing or damaged: bring back a copy of the data-directory"))
			return
		}
	}
	key := newOpener(q.pair) // the inquiry may be over before they are open
	root, self, number := ctx.ActorSystem().Root, ctx.Self(), q.number
	tree.Go(ctx.ActorSystem(), func() {
		m := &opened{number: number}
		for _, s := range page {
			if e, ok := s.open(key); ok {
				m.entries = append(m.entries, e)
			} else {
				m.closed++
			}
		}
		key.close()
		root.Send(self, m)
	})
}

// onOpened asks how far messages of our own have come. A page of which nothing can
// be read is passed over: who asks goes on from the oldest entry.
func (c *chronicle) onOpened(ctx actor.Context, m *opened) {
	q := c.inquiries[m.number]
	if q == nil {
		return
	}
	q.shut += m.closed
	if len(m.entries) == 0 && q.more {
		c.page(ctx, q)
		return
	}
	if q.shut > 0 {
		tree.Log(ctx.ActorSystem()).Error("entries of a conversation cannot be read and were left out", slog.String("address", q.address), slog.Int("entries", q.shut))
	}
	var ids []string
	for _, e := range m.entries {
		if e.GetOwn() {
			ids = append(ids, e.GetId())
		}
	}
	c.deliveries(ctx, q.address, ids, func(ctx actor.Context, known map[string]enclavepb.Delivery, problem string) {
		if q = c.inquiries[m.number]; q == nil {
			return
		}
		if problem != "" {
			c.end(ctx, q, refused(q.asked, "the history could not be read: "+problem))
			return
		}
		for _, e := range m.entries {
			if e.GetOwn() {
				e.Delivery = max(e.GetDelivery(), known[e.GetId()])
			}
		}
		r := done(q.asked)
		r.Entries, r.More = m.entries, q.more
		c.end(ctx, q, r)
	})
}

// deliveries asks how far messages of our own have come: those of each run of
// this node are a range of records. problem is empty when known has all there are.
func (c *chronicle) deliveries(ctx actor.Context, address string, ids []string, then func(ctx actor.Context, known map[string]enclavepb.Delivery, problem string)) {
	type span struct{ from, to uint64 }
	var runs []string
	spans := map[string]*span{}
	for _, id := range ids {
		run, n, ok := splitID(id)
		if !ok {
			continue
		}
		s := spans[run]
		if s == nil {
			s = &span{n, n}
			spans[run] = s
			runs = append(runs, run)
		}
		s.from, s.to = min(s.from, n), max(s.to, n)
	}
	known, problem := map[string]enclavepb.Delivery{}, ""
	left := len(runs)
	if left == 0 {
		then(ctx, known, "")
		return
	}
	for _, run := range runs {
		prefix := sentRun(address, run)
		m := &storepb.ReadRequest{Prefix: prefix, Expiring: true, From: prefix + serialKey(spans[run].from), To: prefix + serialKey(spans[run].to) + "/"}
		c.read(ctx, m, func(ctx actor.Context, m *storepb.ReadResponse) {
			if m.GetError() != "" {
				problem = m.GetError()
			}
			for _, r := range m.GetRecords() {
				e := &enclavepb.Entry{}
				if n, err := serialOf(r.GetKey(), prefix); err == nil && proto.Unmarshal(r.GetValue(), e) == nil {
					known[run+"-"+strconv.FormatUint(n, idBase)] = e.GetDelivery()
				}
			}
			if left--; left == 0 {
				then(ctx, known, problem)
			}
		})
	}
}
