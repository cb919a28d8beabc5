package daemon

import (
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/actors/ui"
	"parley/messages/faultpb"
	"parley/messages/storepb"
	"parley/messages/uipb"
)

const (
	turnsMost    = 4 << 20 // bytes of requests that wait for their turn
	turnsEach    = 512     // bytes that one counts for beside its payload
	readingsMost = 3       // of files and environment in a row: one may name another file
)

// setup owns the Setup space. Requests have their turn one after the other, in
// the order they came: what one changes is stored before it is answered.
//
//	parent    daemon
//	receives  uipb.Ask, uipb.Reload, uipb.Answered, uipb.Announced, freeze, whereabouts, storepb.ReadResponse, storepb.Written, faultpb.Failed (from the store), reading, unconfirmed, onward
//	sends     uipb.SetupResponse, uipb.Done, uipb.Fault to askers; uipb.Announce to broadcasts; storepb.ReadRequest, storepb.Write to the store; frozen to launcher
//	stops     with the daemon
type setup struct {
	space      *Space // fixed at spawn, as all of this block
	store      *actor.PID
	broadcasts *actor.PID
	changed    func(values map[string]string)
	kept       *lasting

	now   *contents          // owned, as all that follows; nil: not loaded yet
	view  *view              // of now
	notes []*uipb.SetupError // told once, with the next answer
	at    *turn              // whose turn it is; nil: nobody's
	open  open               // what was said in the last turn and is not on its way yet
}

// lasting is what of setup outlives a restart: all else is loaded again.
type lasting struct {
	node    presence            // unknown: requests wait
	shown   *uipb.SetupResponse // what the Node was started with; nil: none is there
	secrets map[string]string   // that are set; they are in no store
	waiting []*turn             // oldest first
	size    int                 // bytes of waiting
	serial  uint64              // of the last question to the store or the world outside
	told    *view               // the last that user interfaces may know; nil: none
}

// turn is one thing to do with the Setup space. The zero turn loads it.
type turn struct {
	message any        // uipb.Ask, uipb.Reload or freeze; nil: load
	from    *actor.PID // who is answered
	direct  bool       // message is the one that the actor is handling
	size    int        // bytes

	revision
	places   [2]string // where file and environment were read: config-file, data-directory
	readings int
}

// reading is what was read from files and environment.
type reading struct {
	serial     uint64
	configured map[string]string
	problems   []Problem
}

// IgnoreDeadLetterLogging marks messages that may find setup stopped.
func (*reading) IgnoreDeadLetterLogging() {}

// SpawnSetup starts the owner of the Setup space. changed gets the values in
// effect, of all rows and empty for none, when they are loaded and whenever one
// is another; it must return at once. The map is its own.
func SpawnSetup(ctx actor.SpawnerContext, space Space, store, broadcasts *actor.PID, changed func(values map[string]string)) *actor.PID {
	space.Rows = slices.Clone(space.Rows)
	slices.SortFunc(space.Rows, func(a, b Row) int { return strings.Compare(a.Name, b.Name) })
	if changed == nil {
		changed = func(map[string]string) {}
	}
	kept := &lasting{}
	return tree.Spawn(ctx, "setup", tree.Spec{Asked: true, New: func() actor.Actor {
		return &setup{space: &space, store: store, broadcasts: broadcasts, changed: changed, kept: kept}
	}})
}

func (s *setup) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		s.load(ctx)
	case *actor.Restarting:
		s.onRestarting(ctx)
	case *uipb.Ask:
		s.onAsk(ctx, m)
	case *uipb.Reload, *freeze:
		s.line(&turn{message: m, from: ctx.Sender()}, 0)
	case *whereabouts:
		s.onWhereabouts(m)
	case *storepb.ReadResponse:
		s.onReadResponse(ctx, m)
	case *reading:
		s.onReading(ctx, m)
	case *storepb.Written:
		s.onWritten(ctx, m)
	case *faultpb.Failed:
		s.onStoreFailed(ctx)
	case *uipb.Answered:
		s.onAnswered(ctx.Sender())
		ctx.Send(ctx.Self(), onward{}) // should the next turn fail, it is not this sender's
		return
	case *actor.DeadLetterResponse: // an asker is gone
		s.onAnswered(m.Target)
	case *uipb.Announced:
		s.open.announced = false
	case unconfirmed:
		s.onUnconfirmed(m)
	case onward: // on to the next turn
	case *actor.Stopping:
		s.open.late.Stop()
	}
	s.next(ctx)
	if s.at != nil {
		s.at.direct = false
	}
}

// onRestarting answers whose turn was under way. Who sent the very message that
// failed is answered by the actor's guard.
func (s *setup) onRestarting(ctx actor.Context) {
	s.open.late.Stop()
	if s.at != nil && s.at.from != nil && !s.at.direct {
		ctx.Send(s.at.from, &faultpb.Failed{Actor: ctx.Self().GetId()})
	}
}

func (s *setup) onAsk(ctx actor.Context, m *uipb.Ask) {
	size := turnsEach + len(m.GetRequest().GetPayload())
	if s.kept.size+size > turnsMost {
		ctx.Respond(ui.Fault(ui.CodeTooMany, "Too many requests to the Setup space are waiting; try again"))
		return
	}
	s.line(&turn{message: m, from: ctx.Sender()}, size)
}

// line puts t behind those that wait.
func (s *setup) line(t *turn, size int) {
	t.size = size
	s.kept.waiting, s.kept.size = append(s.kept.waiting, t), s.kept.size+size
}

// free reports whether it is nobody's turn, and the next one may come.
func (s *setup) free() bool {
	return s.at == nil && s.kept.node != unknown && s.open.asker == nil && !s.open.announced
}

// next gives those that wait their turns, until one takes its time.
func (s *setup) next(ctx actor.Context) {
	for s.free() {
		s.follow(ctx)
		if !s.free() || len(s.kept.waiting) == 0 {
			return
		}
		t := s.kept.waiting[0]
		s.kept.waiting[0] = nil
		s.kept.waiting = s.kept.waiting[1:]
		s.kept.size -= t.size
		s.at = t
		t.direct = t.message == ctx.Message()
		s.take(ctx, t)
	}
}

func (s *setup) take(ctx actor.Context, t *turn) {
	switch m := t.message.(type) {
	case *uipb.Ask:
		s.takeAsk(ctx, t, m)
	case *uipb.Reload:
		t.draft = s.now.clone()
		s.read(ctx, t)
	case *freeze:
		f := s.space.settings(s.view)
		f.problem = s.now.lost()
		s.kept.node = present
		s.follow(ctx)
		f.shown = s.kept.shown
		s.answer(ctx, t, f)
	}
}

func (s *setup) takeAsk(ctx actor.Context, t *turn, m *uipb.Ask) {
	changes := m.GetRequest().GetSetup().GetChanges()
	switch {
	case len(changes) > 0 && !m.GetAsker().GetChanges():
		s.answer(ctx, t, ui.NotPermitted(m.GetAsker()))
		return
	case len(changes) == 0 || s.kept.node == present:
		s.answer(ctx, t, s.dump(nil))
		return
	}
	t.revision = *s.space.revise(s.now, m.GetAsker().GetOwner(), changes)
	switch {
	case len(t.bad) > 0:
		s.answer(ctx, t, s.dump(t.bad))
	case len(t.names) == 0:
		s.answer(ctx, t, s.dump(nil))
	case s.space.places(t.draft) != s.space.places(s.now):
		s.read(ctx, t)
	default:
		s.write(ctx, t)
	}
}

// dump is the answer to who asked, with what is told once.
func (s *setup) dump(bad []*uipb.SetupError) *uipb.SetupResponse {
	more := slices.Concat(bad, s.notes)
	s.notes = nil
	if s.kept.shown != nil {
		return withErrors(s.kept.shown, more)
	}
	return s.space.dump(s.view, false, more)
}

// answer ends a turn. A user interface's answer must be on its way before the
// next turn: see open.
func (s *setup) answer(ctx actor.Context, t *turn, m any) {
	s.at = nil
	if t.from == nil {
		return
	}
	if _, ok := t.message.(*uipb.Ask); !ok {
		ctx.Send(t.from, m)
		return
	}
	ctx.Request(t.from, m)
	s.open.asker = t.from
	s.confirm(ctx)
}

// load begins again with what is stored.
func (s *setup) load(ctx actor.Context) {
	s.at = &turn{}
	s.kept.serial++
	ctx.Request(s.store, &storepb.ReadRequest{Prefix: recordPrefix, Serial: s.kept.serial})
}

// awaits reports whether that is the answer to the question that is open.
func (s *setup) awaits(serial uint64) bool { return s.at != nil && serial == s.kept.serial }

func (s *setup) onReadResponse(ctx actor.Context, m *storepb.ReadResponse) {
	if !s.awaits(m.GetSerial()) {
		return
	}
	log := tree.Log(ctx.ActorSystem())
	if m.GetError() != "" {
		log.Error("the Setup space could not be read", slog.String("error", m.GetError()))
	}
	s.at.draft, s.notes = s.space.restore(m, s.kept.secrets)
	for _, n := range s.notes {
		log.Warn("a stored parameter is not used", slog.String("name", n.GetName()), slog.String("reason", n.GetText()))
	}
	s.read(ctx, s.at)
}

// places is what decides where configured values are read.
func (s *Space) places(c *contents) (p [2]string) {
	for i, name := range []string{paramConfigFile, paramDataDirectory} {
		if r := s.row(name); r != nil {
			p[i], _ = c.value(r)
		}
	}
	return p
}

// read asks files and environment what they say, given t's draft.
func (s *setup) read(ctx actor.Context, t *turn) {
	t.readings++
	t.places = s.space.places(t.draft)
	s.kept.serial++
	sys, self, serial, configured := ctx.ActorSystem(), ctx.Self(), s.kept.serial, s.space.Configured
	values := s.space.values(t.draft)
	tree.Go(sys, func() {
		r := &reading{serial: serial}
		r.configured, r.problems = configured(values)
		sys.Root.Send(self, r)
	})
}

func (s *setup) onReading(ctx actor.Context, m *reading) {
	if !s.awaits(m.serial) {
		return
	}
	t := s.at
	s.space.configure(t.draft, m.configured, m.problems)
	if t.readings < readingsMost && s.space.places(t.draft) != t.places {
		s.read(ctx, t)
		return
	}
	s.write(ctx, t)
}

// write stores what t changes; what is stored survives all that follows.
func (s *setup) write(ctx actor.Context, t *turn) {
	if len(t.puts) == 0 && len(t.deletes) == 0 {
		s.commit(ctx, t)
		return
	}
	s.kept.serial++
	ctx.Request(s.store, &storepb.Write{Puts: t.puts, Deletes: t.deletes, Serial: s.kept.serial})
}

func (s *setup) onWritten(ctx actor.Context, m *storepb.Written) {
	if !s.awaits(m.GetSerial()) {
		return
	}
	if m.GetError() != "" {
		tree.Log(ctx.ActorSystem()).Error("the Setup space could not be stored", slog.String("error", m.GetError()))
		s.answer(ctx, s.at, ui.Fault(ui.CodeSetup, "Could not store the Setup space, nothing was changed: "+m.GetError()))
		return
	}
	s.commit(ctx, s.at)
}

// onStoreFailed asks again what the store holds: a change may be stored, or not.
func (s *setup) onStoreFailed(ctx actor.Context) {
	t := s.at
	switch {
	case t == nil:
		return
	case t.message != nil:
		s.answer(ctx, t, ui.Fault(ui.CodeSetup, "Could not store the Setup space; look what it is now, and try again"))
	}
	s.load(ctx)
}

// commit puts t's draft into effect.
func (s *setup) commit(ctx actor.Context, t *turn) {
	s.now, s.view = t.draft, s.space.look(t.draft)
	s.kept.secrets = s.space.secrets(s.now)
	before := s.kept.told
	differs := before == nil || !before.same(s.view)
	if differs {
		s.changed(maps.Clone(s.view.values))
	}
	s.kept.told = s.view
	var except uint64
	switch m := t.message.(type) {
	case *uipb.Ask:
		except = m.GetAsker().GetMember()
		tree.Log(ctx.ActorSystem()).Info("setup changed", slog.Any("names", t.names), slog.Uint64("uid", uint64(m.GetAsker().GetUid())))
		s.answer(ctx, t, s.dump(nil))
	case *uipb.Reload:
		s.complain(ctx)
		s.answer(ctx, t, &uipb.Done{})
	default:
		s.complain(ctx)
		s.at = nil
	}
	switch {
	case !differs || before == nil:
	case s.kept.shown != nil:
		tree.Log(ctx.ActorSystem()).Info("the config file says something else now: it is for the next Node")
	default:
		s.announce(ctx, except)
	}
}

// complain logs what is wrong with file and environment: who reads no dump learns
// of it before a Node does.
func (s *setup) complain(ctx actor.Context) {
	for _, p := range s.now.outside {
		tree.Log(ctx.ActorSystem()).Warn("a Node will not start with what is configured", slog.String("name", p.Name), slog.String("reason", p.Text))
	}
}
