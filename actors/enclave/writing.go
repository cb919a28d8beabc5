package enclave

import (
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/storepb"
)

const (
	rowsAtOnce  = 200       // rows in one Write: with all they can have fewer than its 1,000 records
	rowsBytes   = 128 << 10 // bytes in one Write, but for the first row
	writeTries  = 3
	writePause  = time.Second           // between them
	gatherTime  = 10 * time.Millisecond // from the beginning of one Write to that of the next, unless there is much
	gatherMost  = 512                   // rows that were put, which is much
	gatherSoon  = 3 * time.Millisecond  // likewise where people wait for some
	gatherFew   = 64                    // rows that were put, which are so few that people do not wait for more
	lossesEvery = time.Minute           // that the log tells of what was lost, at most
)

// writing is the way of rows to the store: one Write at a time, which takes with
// it what has come meanwhile.
type writing struct {
	queue  []*row          // oldest first
	bytes  int             // of queue and flight
	unsent map[string]*row // of queue, the row that tells how far a message has come, by its key
	flight *flight         // nil: none
	came   uint64          // rows, so far
	over   uint64          // of them, those that are stored, or never will be
	timer  *tree.Timer
	began  time.Time   // the last Write
	put    int         // rows since then
	urgent bool        // among them are such that people wait for
	took   int         // rows that it took
	gather *tree.Timer // until gatherDue; nil: it is not awaited
	soon   bool        // it comes as soon as people want

	lost   int // entries that the log has not told of
	silent time.Time
}

func newWriting() writing { return writing{unsent: map[string]*row{}} }

// flight is one Write.
type flight struct {
	rows   []*row
	write  *storepb.Write // frozen
	serial uint64         // of the last try
	tries  int
}

// writeAgain says that a Write is to be tried again, or has taken too long.
type writeAgain struct{ serial uint64 }

// gatherDue says that it is time for the next Write.
type gatherDue struct{}

// IgnoreDeadLetterLogging marks messages that may find chronicle stopped.
func (writeAgain) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find chronicle stopped.
func (gatherDue) IgnoreDeadLetterLogging() {}

func (w *writing) stop() {
	w.timer.Stop()
	w.gather.Stop()
	w.gather = nil
}

// put has a row written, behind all earlier ones.
func (c *chronicle) put(ctx actor.Context, r *row) {
	if c.o.Store == nil {
		if r.then != nil {
			r.then(ctx, false)
		}
		c.follow(ctx, []*row{r}, true)
		return
	}
	w := &c.writing
	w.put++
	w.urgent = w.urgent || len(r.follows) > 0
	if r.empty() {
		c.await(ctx, r)
		return
	}
	if n := len(w.queue); n > 0 && r.replaces(w.queue[n-1]) {
		last := w.queue[n-1]
		w.bytes += r.size() - last.size()
		last.others = r.others
		last.follows = append(last.follows, r.follows...)
		if r.then != nil {
			last.await(r.then)
		}
		c.send(ctx)
		return
	}
	w.came++
	w.queue = append(w.queue, r)
	w.bytes += r.size()
	if key := sentKey(r.address, r.id); key != "" {
		w.unsent[key] = r
	}
	c.send(ctx)
}

// await has what follows from a row with nothing in it done when all before it is
// stored.
func (c *chronicle) await(ctx actor.Context, r *row) {
	w := &c.writing
	switch {
	case len(w.queue) > 0:
		last := w.queue[len(w.queue)-1]
		last.follows = append(last.follows, r.follows...)
	case w.flight != nil:
		last := w.flight.rows[len(w.flight.rows)-1]
		last.follows = append(last.follows, r.follows...)
	default:
		c.follow(ctx, []*row{r}, true)
	}
}

// send makes a Write of what waits, unless one is under way, or the last one was a
// moment ago: each costs the disk as much as hundreds of rows.
func (c *chronicle) send(ctx actor.Context) {
	w := &c.writing
	if w.flight != nil || len(w.queue) == 0 {
		return
	}
	now := time.Now()
	if wait := w.pause() - now.Sub(w.began); wait > 0 && len(w.queue) < rowsAtOnce && w.put < gatherMost && w.bytes < rowsBytes {
		if w.urgent && !w.soon {
			w.gather.Stop()
			w.gather = nil
		}
		if w.gather == nil {
			w.gather = tree.After(ctx, wait, gatherDue{})
			w.soon = w.urgent
		}
		return
	}
	rows := w.next()
	if len(rows) == 0 {
		return // those that they are joined with are being put
	}
	w.flight = &flight{rows: rows, write: compose(rows, c.sealing.current())}
	c.try(ctx)
}

// pause is how long after the beginning of the last Write the next one begins.
func (w *writing) pause() time.Duration {
	switch {
	case !w.urgent:
		return gatherTime
	case w.took > gatherFew:
		return gatherSoon
	}
	return 0
}

func (c *chronicle) onGatherDue(ctx actor.Context) {
	c.writing.gather = nil
	c.writing.began = time.Time{}
	c.send(ctx)
}

// next takes the rows of one Write off the queue; none: all are joined with one that
// is not there yet.
func (w *writing) next() []*row {
	n, size := 0, 0
	for i, r := range w.queue {
		if size += r.size(); n > 0 && (i >= rowsAtOnce || size > rowsBytes) {
			break
		}
		if !r.joined {
			n = i + 1
		}
	}
	if n == 0 {
		return nil
	}
	rows := slices.Clone(w.queue[:n])
	clear(w.queue[:n])
	if w.queue = w.queue[n:]; len(w.queue) == 0 {
		w.queue = nil
	}
	for _, r := range rows {
		if key := sentKey(r.address, r.id); w.unsent[key] == r {
			delete(w.unsent, key)
		}
	}
	w.took, w.put, w.urgent, w.began = w.put, 0, len(w.queue) > 0 && w.urgent, time.Now()
	w.gather.Stop()
	w.gather = nil
	return rows
}

// writeLast hands over what was only gathered so far: nobody waits for an answer.
func (c *chronicle) writeLast(ctx actor.Context) {
	w := &c.writing
	if !c.loaded || c.o.Store == nil || w.flight != nil {
		return
	}
	if _, there := ctx.ActorSystem().ProcessRegistry.Get(c.o.Store); !there {
		return
	}
	w.whole()
	for len(w.queue) > 0 {
		ctx.Send(c.o.Store, compose(w.next(), c.sealing.current()))
	}
}

// whole says that what was put last is joined with nothing that is to come.
func (w *writing) whole() {
	if n := len(w.queue); n > 0 {
		w.queue[n-1].joined = false
	}
}

// try hands the flight to the store. To do so twice does no harm.
func (c *chronicle) try(ctx actor.Context) {
	f := c.writing.flight
	c.serial++
	f.serial = c.serial
	f.tries++
	ctx.Request(c.o.Store, &storepb.Write{Serial: f.serial, Puts: f.write.GetPuts()})
	c.writing.timer.Stop()
	c.writing.timer = tree.After(ctx, storeTimeout, writeAgain{f.serial})
}

// rewrite goes on after a failure of the actor.
func (c *chronicle) rewrite(ctx actor.Context) {
	if f := c.writing.flight; f != nil {
		f.tries = 0
		c.try(ctx)
		return
	}
	c.send(ctx)
}

func (c *chronicle) onWritten(ctx actor.Context, m *storepb.Written) {
	f := c.writing.flight
	switch {
	case f == nil || f.serial != m.GetSerial():
	case m.GetError() != "":
		c.unwritten(ctx, m.GetError())
	default:
		c.settle(ctx, "")
	}
}

// unwritten tries again after a pause, if not too often.
func (c *chronicle) unwritten(ctx actor.Context, why string) {
	f := c.writing.flight
	if f == nil {
		return
	}
	if f.tries == writeTries {
		c.settle(ctx, why)
		return
	}
	c.serial++
	f.serial = c.serial // what answers the last try is too late
	c.writing.timer.Stop()
	c.writing.timer = tree.After(ctx, writePause, writeAgain{f.serial})
}

func (c *chronicle) onWriteAgain(ctx actor.Context, m writeAgain) {
	f := c.writing.flight
	switch {
	case f == nil || f.serial != m.serial:
	case f.tries == writeTries:
		c.settle(ctx, "the database did not answer within "+storeTimeout.String())
	default:
		c.try(ctx)
	}
}

// settle ends the flight.
func (c *chronicle) settle(ctx actor.Context, problem string) {
	w := &c.writing
	w.timer.Stop()
	f := w.flight
	w.flight = nil
	entries := 0
	for _, r := range f.rows {
		w.bytes -= r.size()
		if r.fresh && !r.vital() {
			entries++
		}
	}
	w.over += uint64(len(f.rows))
	if problem != "" {
		c.lose(ctx, entries, problem)
	}
	for _, r := range f.rows {
		if r.then != nil {
			r.then(ctx, problem == "")
		}
	}
	c.follow(ctx, f.rows, problem == "")
	c.goOn(ctx)
}

// goOn does what has waited for a Write.
func (c *chronicle) goOn(ctx actor.Context) {
	c.send(ctx)
	for _, q := range sorted(c.inquiries) {
		c.look(ctx, q)
	}
	c.sweep(ctx)
}

// lose tells of entries that are not kept, not too often.
func (c *chronicle) lose(ctx actor.Context, entries int, why string) {
	w := &c.writing
	historyLost(tree.Of(ctx.ActorSystem())).Add(int64(entries))
	w.lost += entries
	if now := time.Now(); now.Sub(w.silent) >= lossesEvery {
		w.silent = now
		tree.Log(ctx.ActorSystem()).Error("the history of conversations was not kept", slog.Int("entries", w.lost), slog.String("reason", why))
		w.lost = 0
	}
}

// sorted is a map's values, in the order of their keys.
func sorted[T any](m map[uint64]T) []T {
	out := make([]T, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, m[k])
	}
	return out
}
