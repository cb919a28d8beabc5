package enclave

import (
	"log/slog"
	"math"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/storepb"
	"parley/messages/vaultpb"
)

const (
	secretName    = "enclave/history-key"  // in the safe: what opens entries
	standingEvery = 10 * time.Second       // that the safe is asked whether there is a password
	sweepPause    = 100 * time.Millisecond // between steps
	sweepAgain    = time.Minute            // after one that failed, or that has taken too long
	sweepStep     = 32                     // serials
	compactTime   = 10 * time.Minute       // that the store has to write all records anew
)

type (
	// standingDue says that the safe is to be asked how it stands.
	standingDue struct{}
	// sweepDue says that the next entries are to be sealed.
	sweepDue struct{}
)

// IgnoreDeadLetterLogging marks messages that may find chronicle stopped.
func (standingDue) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find chronicle stopped.
func (sweepDue) IgnoreDeadLetterLogging() {}

// sealing is what keeps entries from who does not know the database password.
// They are sealed to a public key; the private one is a secret of the safe. The
// public one is stored when the safe has stored the private one: no entry is ever
// sealed to a key that could get lost.
type sealing struct {
	public  *[keySize]byte // nil: entries are in the clear
	sealer  *sealer        // nil: none was needed yet
	damaged bool           // the record of the public key is: another one would leave what is sealed behind
	draft   *pair          // on its way to safe and store; nil: there is none
	asked   uint64         // serial of its SealRequest; 0: it is not asked
	refused string         // why it failed the last time
	due     *tree.Timer    // of standingDue

	swept  bool // all entries are sealed
	sweep  *sweep
	resume *tree.Timer // of sweepDue

	compacting uint64 // serial of the last storepb.Compact
}

// sweep seals what was said before there was a key: few entries at a time, oldest
// first.
type sweep struct {
	addresses []string // left
	upTo      uint64   // last serial of the first of them
	at, step  uint64
	behind    uint64 // rows that have to be stored before the next step
	waiting   bool   // for the store's answer, or for its time
	failed    bool   // a row of the last step was not stored
}

// current is what seals now; nil: nothing does.
func (s *sealing) current() *sealer {
	if s.public != nil && (s.sealer == nil || s.sealer.spent()) {
		s.sealer = newSealer(s.public)
	}
	return s.sealer
}

// learn takes the record of the public key.
func (s *sealing) learn(value []byte) {
	if len(value) != keySize {
		s.damaged = true
		return
	}
	s.public = (*[keySize]byte)(slices.Clone(value))
}

func (s *sealing) stop() {
	s.due.Stop()
	s.resume.Stop()
	if s.sweep != nil {
		s.sweep.waiting = true // until onStarted begins anew
	}
}

// beginSealing goes on with what the store has: a key, or none yet.
func (c *chronicle) beginSealing(ctx actor.Context) {
	s := &c.sealing
	if s.damaged {
		tree.Log(ctx.ActorSystem()).Error("the public key of the history is damaged, and what is said now is not sealed: ask for a history once, with the database password, to bring the key back")
	}
	if s.public != nil && !s.swept {
		c.beginSweep(ctx)
	}
	c.askStanding(ctx)
}

// askStanding asks whether there is a password, until there is a key.
func (c *chronicle) askStanding(ctx actor.Context) {
	s := &c.sealing
	if c.o.Safe == nil || !c.loaded || s.public != nil || s.damaged || c.o.Store == nil {
		return
	}
	ctx.Request(c.o.Safe, &vaultpb.StandingRequest{})
	s.due.Stop()
	s.due = tree.After(ctx, standingEvery, standingDue{})
}

// onStanding makes a key once the safe can keep it.
func (c *chronicle) onStanding(ctx actor.Context, m *vaultpb.StandingResponse) {
	s := &c.sealing
	if s.public != nil || s.damaged || !m.GetPasswordSet() || !m.GetUnlocked() {
		return
	}
	if s.draft == nil {
		s.draft = newPair()
	}
	c.serial++
	s.asked = c.serial
	ctx.Request(c.o.Safe, &vaultpb.SealRequest{
		Secret: &vaultpb.Secret{Name: secretName, Value: slices.Clone(s.draft.private[:])}, Serial: s.asked,
	})
}

// onSealed stores the public key when the private one is safe.
func (c *chronicle) onSealed(ctx actor.Context, m *vaultpb.SealResponse) {
	s := &c.sealing
	if m.GetSerial() != s.asked || s.draft == nil || s.public != nil {
		return
	}
	s.asked = 0
	if m.GetError() != "" || !m.GetStored() {
		if s.refused == m.GetError() && s.refused != "" {
			return // the log has it
		}
		s.refused = m.GetError()
		tree.Log(ctx.ActorSystem()).Warn("the key of the history could not be kept, and what is said is not sealed yet", slog.String("reason", m.GetError()))
		return
	}
	c.publish(ctx, s.draft)
}

// mend brings a damaged public key back.
func (c *chronicle) mend(ctx actor.Context, found *pair) {
	c.publish(ctx, &pair{public: found.public})
}

// publish stores a public key, and seals to it from then on.
func (c *chronicle) publish(ctx actor.Context, p *pair) {
	s := &c.sealing
	c.put(ctx, &row{
		others: []*storepb.Record{{Key: publicKey, Value: slices.Clone(p.public[:])}},
		then: func(ctx actor.Context, stored bool) {
			if !stored || s.public != nil {
				return
			}
			s.public, s.damaged = &p.public, false
			clear(p.private[:])
			s.draft = nil
			s.due.Stop()
			tree.Log(ctx.ActorSystem()).Info("what is said is sealed from now on, and what was said is being sealed")
			c.beginSweep(ctx)
		},
	})
}

// beginSweep seals all there is so far.
func (c *chronicle) beginSweep(ctx actor.Context) {
	var all []string
	for address := range c.lasts {
		all = append(all, address)
	}
	slices.Sort(all)
	c.sealing.sweep = &sweep{addresses: all, behind: c.writing.came}
	c.nextAddress()
	c.sweep(ctx)
}

// nextAddress begins with the first conversation that is left.
func (c *chronicle) nextAddress() {
	s := c.sealing.sweep
	s.at, s.step = 1, sweepStep
	if len(s.addresses) > 0 {
		s.upTo = c.lasts[s.addresses[0]]
	}
}

// sweepLater goes on with the sweep after a pause.
func (c *chronicle) sweepLater(ctx actor.Context, pause time.Duration) {
	s := &c.sealing
	if s.sweep == nil {
		return
	}
	s.sweep.waiting = true
	s.resume.Stop()
	s.resume = tree.After(ctx, pause, sweepDue{})
}

func (c *chronicle) onSweepDue(ctx actor.Context) {
	if c.sealing.sweep != nil {
		c.sealing.sweep.waiting = false
		c.sweep(ctx)
	}
}

// sweep makes the next step, if it is time.
func (c *chronicle) sweep(ctx actor.Context) {
	s := c.sealing.sweep
	if s == nil || s.waiting || c.writing.over < s.behind {
		return
	}
	if s.failed {
		c.beginSweepAgain(ctx)
		return
	}
	if len(s.addresses) > 0 && s.at > s.upTo {
		s.addresses = s.addresses[1:]
		c.nextAddress()
	}
	if len(s.addresses) == 0 {
		c.compact(ctx)
		return
	}
	address, from, to := s.addresses[0], s.at, s.at+min(s.step, s.upTo-s.at+1)
	c.sweepLater(ctx, sweepAgain) // in case that nothing comes
	c.read(ctx, conversation(address, from, to), func(ctx actor.Context, m *storepb.ReadResponse) {
		if c.sealing.sweep == s && s.at == from && len(s.addresses) > 0 && s.addresses[0] == address {
			c.onSweepRead(ctx, s, to, m)
		}
	})
}

// compact ends the sweep: what it has written over is still in the database's files.
func (c *chronicle) compact(ctx actor.Context) {
	c.serial++
	c.sealing.compacting = c.serial
	ctx.Request(c.o.Store, &storepb.Compact{Serial: c.serial})
	c.sweepLater(ctx, compactTime) // in case that nothing comes
}

// onCompacted notes that nothing is left to read.
func (c *chronicle) onCompacted(ctx actor.Context, m *storepb.Compacted) {
	s := &c.sealing
	if s.sweep == nil || m.GetSerial() != s.compacting {
		return
	}
	log := tree.Log(ctx.ActorSystem())
	if m.GetError() != "" {
		log.Error("what was said is sealed, and there may be copies left that are not", slog.String("reason", m.GetError()), slog.Duration("again", sweepAgain))
		c.sweepLater(ctx, sweepAgain)
		return
	}
	s.sweep = nil
	s.resume.Stop()
	c.put(ctx, &row{others: []*storepb.Record{{Key: sweptKey, Value: []byte{1}}}})
	log.Info("all that was said is sealed, and nothing is left that is not")
}

// beginSweepAgain starts over later: some entry could not be stored.
func (c *chronicle) beginSweepAgain(ctx actor.Context) {
	s := c.sealing.sweep
	s.failed = false
	s.at = 1
	c.sweepLater(ctx, sweepAgain)
}

// onSweepRead has entries written again, sealed.
func (c *chronicle) onSweepRead(ctx actor.Context, s *sweep, to uint64, m *storepb.ReadResponse) {
	if m.GetError() != "" {
		if s.step > 1 {
			s.step = max(1, s.step/stepGrowth)
			c.sweepLater(ctx, sweepPause)
		} // else it is tried again after sweepAgain
		return
	}
	address := s.addresses[0]
	c.tellCorrupt(ctx, m.GetCorrupt())
	all := joinParts(m.GetRecords(), saidPrefix+address+"/")
	for _, one := range all {
		if sealedIn(one.value) != nil {
			continue
		}
		if e, ok := one.open(nil); ok {
			c.put(ctx, &row{address: address, entry: e, expires: one.expires, then: func(_ actor.Context, stored bool) {
				s.failed = s.failed || !stored
			}})
		}
	}
	s.at, s.behind = to, c.writing.came
	switch {
	case len(all) > 0:
		s.step = sweepStep
	case s.step <= math.MaxUint64/stepGrowth:
		s.step *= stepGrowth
	}
	c.sweepLater(ctx, sweepPause)
}
