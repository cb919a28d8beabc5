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
	writePause  = time.Second // between them
	lossesEvery = time.Minute // that the log tells of what was lost, at most
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

// IgnoreDeadLetterLogging marks messages that may find chronicle stopped.
func (writeAgain) IgnoreDeadLetterLogging() {}

// put has a row written, behind all earlier ones.
func (c *chronicle) put(ctx actor.Context, r *row) {
	if c.o.Store == nil {
		if r.then != nil {
			r.then(ctx, false)
		}
		return
	}
	w := &c.writing
	if r.entry == nil && r.id == "" && len(r.others) == 0 && r.then == nil {
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

// send makes a Write of what waits, unless one is under way.
func (c *chronicle) send(ctx actor.Context) {
	w := &c.writing
	if w.flight != nil || len(w.queue) == 0 {
		return
	}
	n, size := 0, 0
	for ; n < len(w.queue) && n < rowsAtOnce; n++ {
		if size += w.queue[n].size(); n > 0 && size > rowsBytes {
			break
		}
		if key := sentKey(w.queue[n].address, w.queue[n].id); w.unsent[key] == w.queue[n] {
			delete(w.unsent, key)
		}
	}
	rows := slices.Clone(w.queue[:n])
	clear(w.queue[:n])
	if w.queue = w.queue[n:]; len(w.queue) == 0 {
		w.queue = nil
	}
	w.flight = &flight{rows: rows, write: compose(rows, c.sealing.current())}
	c.try(ctx)
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
		if r.fresh {
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
	tree.Of(ctx.ActorSystem()).Counter("enclave_history_lost_total", "Entries of conversations that were not kept.", "", "").Add(int64(entries))
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
