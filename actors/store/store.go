package store

import (
	"log/slog"
	"slices"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/storepb"
)

const (
	// DefaultQueue is how many bytes of writes may wait unless Options say
	// otherwise.
	DefaultQueue = 8 << 20
	// writeCost is what a waiting write holds besides what it writes; bytes.
	writeCost = 512
	// readsMost is how many questions may wait.
	readsMost = 1024
)

// Options are the store's settings.
type Options struct {
	DB    *DB // open; who opened it closes it, when the store has stopped
	Queue int // bytes of writes that may wait; 0: DefaultQueue
}

// disk is what the store needs of a DB.
type disk interface {
	commit([]write) (errs []error, syncs int)
	read(prefix string) (records []*storepb.Record, corrupt []string, err error)
	readBrief(prefix, from, to string) (records []*storepb.Record, corrupt []string, err error)
	compact() error
}

// store is the one writer of the database. While a commit is on its way to the
// disk, writes queue up and go together with the next one.
//
//	parent    node, daemon
//	receives  storepb.Write, storepb.ReadRequest, storepb.Compact, committed, seen, compacted
//	sends     storepb.Written, storepb.ReadResponse, storepb.Compacted to askers
//	stops     with the process; what waits is refused, what is under way is done
type store struct {
	disk  disk // fixed at spawn, as all of this block
	limit int

	queue      []pending // owned, as all that follows; of writes, oldest first
	queued     int       // bytes in queue
	committing bool
	questions  []question // oldest first
	reading    bool
	compacting bool

	counters counters // set by Started
}

type counters struct{ writes, syncs, corrupt *tree.Counter }

type (
	pending struct {
		asker *actor.PID
		write
	}
	question struct {
		asker *actor.PID
		m     *storepb.ReadRequest
	}
	// committed tells that a commit is over; its askers know.
	committed struct{}
	// seen tells that a question is answered.
	seen struct{}
)

// IgnoreDeadLetterLogging marks messages that may find the store stopped.
func (committed) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find the store stopped.
func (seen) IgnoreDeadLetterLogging() {}

// Spawn starts the actor that all others write and read through.
func Spawn(ctx actor.SpawnerContext, name string, o Options) *actor.PID {
	if o.Queue == 0 {
		o.Queue = DefaultQueue
	}
	return spawn(ctx, name, &store{disk: o.DB, limit: o.Queue})
}

// spawn starts s. What waits and what is under way outlives a restart, and so
// does what knows of it.
func spawn(ctx actor.SpawnerContext, name string, s *store) *actor.PID {
	return tree.Spawn(ctx, name, tree.Spec{New: func() actor.Actor { return s }, Asked: true})
}

func (s *store) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		s.onStarted(ctx)
	case *actor.Stopping:
		s.onStopping(ctx)
	case *storepb.Write:
		s.onWrite(ctx, m)
	case committed:
		s.onCommitted(ctx)
	case *storepb.ReadRequest:
		s.onReadRequest(ctx, m)
	case seen:
		s.onSeen(ctx)
	case *storepb.Compact:
		s.onCompact(ctx, m)
	case compacted:
		s.compacting = false
	}
}

func (s *store) onStarted(ctx actor.Context) {
	m := tree.Of(ctx.ActorSystem())
	s.counters = counters{
		m.Counter("store_writes_total", "Writes that the database took.", "", ""),
		m.Counter("store_syncs_total", "Times the database went to the disk.", "", ""),
		m.Counter("store_corrupt_total", "Damaged records that were met.", "", ""),
	}
}

func (s *store) onStopping(ctx actor.Context) {
	const stopping = "store: it is being stopped"
	for _, p := range s.queue {
		tell(ctx.ActorSystem(), ctx.Self(), p.asker, &storepb.Written{Serial: p.m.GetSerial(), Error: stopping})
	}
	for _, q := range s.questions {
		tell(ctx.ActorSystem(), ctx.Self(), q.asker, &storepb.ReadResponse{Serial: q.m.GetSerial(), Error: stopping})
	}
	s.queue, s.queued, s.questions = nil, 0, nil
}

func (s *store) onWrite(ctx actor.Context, m *storepb.Write) {
	size, err := checkWrite(m)
	switch {
	case err != nil:
		respond(ctx, &storepb.Written{Serial: m.GetSerial(), Error: err.Error()})
	case s.queued+size+writeCost > s.limit:
		respond(ctx, &storepb.Written{Serial: m.GetSerial(), Error: "store: too much waits to be written: try again"})
	default:
		s.queue = append(s.queue, pending{ctx.Sender(), write{m, size}})
		s.queued += size + writeCost
		s.commit(ctx)
	}
}

// respond answers who wants an answer.
func respond(ctx actor.Context, m any) {
	if ctx.Sender() != nil {
		ctx.Respond(m)
	}
}

func (s *store) onCommitted(ctx actor.Context) {
	s.committing = false
	s.commit(ctx)
}

// commit sends all that waits to the disk, unless something is on its way.
func (s *store) commit(ctx actor.Context) {
	if s.committing || len(s.queue) == 0 {
		return
	}
	batch := s.queue
	s.queue, s.queued, s.committing = nil, 0, true
	sys, self, disk, count := ctx.ActorSystem(), ctx.Self(), s.disk, s.counters
	tree.Go(sys, func() {
		writes := make([]write, len(batch))
		for i, p := range batch {
			writes[i] = p.write
		}
		errs, syncs := disk.commit(writes)
		count.syncs.Add(int64(syncs))
		// From here, not by the actor: it may have stopped meanwhile, and this is done.
		for i, p := range batch {
			answer := &storepb.Written{Serial: p.m.GetSerial()}
			if errs[i] != nil {
				answer.Error = errs[i].Error()
				tree.Log(sys).Warn("not written", slog.Any("error", errs[i]))
			} else {
				count.writes.Add(1)
			}
			tell(sys, self, p.asker, answer)
		}
		sys.Root.Send(self, committed{})
	})
}

// tell sends an answer in the store's name.
func tell(sys *actor.ActorSystem, self, asker *actor.PID, m any) {
	if asker != nil {
		sys.Root.RequestWithCustomSender(asker, m, self)
	}
}

func (s *store) onReadRequest(ctx actor.Context, m *storepb.ReadRequest) {
	if ctx.Sender() == nil {
		return
	}
	if len(s.questions) >= readsMost || max(len(m.GetPrefix()), len(m.GetFrom()), len(m.GetTo())) > keyMost {
		respond(ctx, &storepb.ReadResponse{Serial: m.GetSerial(), Error: "store: too many questions wait, or this one is too long: try again"})
		return
	}
	s.questions = append(s.questions, question{ctx.Sender(), m})
	s.read(ctx)
}

func (s *store) onSeen(ctx actor.Context) {
	s.reading = false
	s.read(ctx)
}

// read answers the oldest question, unless another is being answered.
func (s *store) read(ctx actor.Context) {
	if s.reading || len(s.questions) == 0 {
		return
	}
	q := s.questions[0]
	s.questions = slices.Delete(s.questions, 0, 1)
	s.reading = true
	sys, self, disk, count := ctx.ActorSystem(), ctx.Self(), s.disk, s.counters
	tree.Go(sys, func() {
		records, corrupt, err := ask(disk, q.m)
		answer := &storepb.ReadResponse{Serial: q.m.GetSerial(), Records: records, Corrupt: corrupt}
		if err != nil {
			answer.Error = err.Error()
		}
		count.corrupt.Add(int64(len(corrupt)))
		tell(sys, self, q.asker, answer)
		sys.Root.Send(self, seen{})
	})
}

func ask(d disk, m *storepb.ReadRequest) (records []*storepb.Record, corrupt []string, err error) {
	if m.GetExpiring() {
		return d.readBrief(m.GetPrefix(), m.GetFrom(), m.GetTo())
	}
	return d.read(m.GetPrefix())
}
