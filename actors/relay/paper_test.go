package relay

import (
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/messages"
	"parley/messages/linkpb"
	"parley/messages/relaypb"
	"parley/messages/vaultpb"
)

// peer is a client's end of a link: what it says and hears.
type peer struct {
	w      *world
	member uint64
	link   *actor.PID
	server *actor.PID      // set by Accepted
	script []act           // what it will do
	late   []proto.Message // what its reader still says when the link has stopped

	gone    bool // its link has stopped
	doomed  bool // its server was made fail
	code    uint32
	reason  string          // it was closed with
	held    int64           // charges taken, and not given back
	excess  bool            // more was given back than taken
	forgave bool            // all charges were given back at once
	waits   bool            // for answers, before it goes on
	open    map[string]bool // by nonce: not answered yet
	heard   []string        // in the order it was written
	onHear  func(heard)     // sees all of it
}

// heard is one frame that was written to a peer.
type heard struct {
	message *relaypb.Message
	answer  *relaypb.Answer
	placed  bool // the answer kept its place among messages
	err     *relaypb.Error
}

// act is one thing a peer does. It returns how long it does nothing afterwards.
type act func(p *peer, ctx actor.Context) time.Duration

// connect opens links for peers; they are served when the actors have settled.
func (w *world) connect(scripts ...[]act) []*peer {
	fresh := make([]*peer, len(scripts))
	for i, script := range scripts {
		p := &peer{w: w, member: uint64(len(w.peers) + 1), script: script, open: map[string]bool{}}
		w.peers = append(w.peers, p)
		fresh[i] = p
		w.sys.Root.Send(w.links, func(ctx actor.Context) {
			p.link = tree.Spawn(ctx, "", tree.Spec{New: func() actor.Actor { return &paperLink{p} }})
		})
	}
	return fresh
}

// client connects one peer and waits until it is served.
func (w *world) client() *peer {
	w.t.Helper()
	p := w.connect(nil)[0]
	w.d.Settle()
	if p.server == nil {
		w.t.Fatal("a link was not served")
	}
	return p
}

// paperLink stands for a gateway's link and its reader.
type paperLink struct{ *peer }

type step struct{}

// IgnoreDeadLetterLogging marks messages that may find the link stopped.
func (step) IgnoreDeadLetterLogging() {}

type hangUp struct{}

// IgnoreDeadLetterLogging marks messages that may find the link stopped.
func (hangUp) IgnoreDeadLetterLogging() {}

func (l *paperLink) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		ctx.Request(l.w.clients, &linkpb.Opened{Protocol: "relay", Remote: "paper", Member: l.member})
	case *linkpb.Accepted:
		l.server = ctx.Sender()
		ctx.Send(ctx.Self(), step{})
	case *relaypb.Answer:
		l.hearAnswer(m, false)
		l.give(m.GetCharge())
	case *relaypb.Error:
		l.hearError(m)
		l.give(m.GetCharge())
	case *linkpb.Settled:
		if m.GetAll() {
			l.held, l.forgave = 0, true
		} else {
			l.give(m.GetCharge())
		}
	case *linkpb.Close:
		l.code, l.reason = m.GetCode(), m.GetReason()
		ctx.Stop(ctx.Self())
	case hangUp:
		ctx.Stop(ctx.Self())
	case step:
		l.onStep(ctx)
	case *actor.Stopped:
		l.gone = true
		if l.server != nil {
			ctx.Send(l.server, &linkpb.Closed{})
		}
		for _, m := range l.late {
			l.w.sys.Root.RequestWithCustomSender(l.server, m, l.link)
		}
	}
}

func (l *paperLink) onStep(ctx actor.Context) {
	if l.waits && len(l.open) > 0 {
		return // the last answer takes another step
	}
	l.waits = false
	if len(l.script) == 0 {
		return
	}
	next := l.script[0]
	l.script = l.script[1:]
	if pause := next(l.peer, ctx); pause > 0 {
		tree.After(ctx, pause, step{})
	} else {
		ctx.Send(ctx.Self(), step{})
	}
}

// say sends a command to the server that serves the peer, as a reader does.
func (p *peer) say(m proto.Message) {
	charge := uint32(1)
	nonce := ""
	switch m := m.(type) {
	case *relaypb.Send:
		charge, nonce = m.GetCharge(), string(m.GetNonce())
	case *linkpb.Malformed:
		charge, nonce = m.GetCharge(), string(m.GetNonce())
	case interface{ GetNonce() []byte }:
		nonce = string(m.GetNonce())
	}
	if _, ok := m.(*relaypb.List); ok {
		charge = messages.ChargeAll
	}
	p.held += int64(charge)
	if s, ok := m.(*relaypb.Send); !ok || !s.GetSilent() {
		p.open[nonce] = true
	}
	p.w.sys.Root.RequestWithCustomSender(p.server, m, p.link)
}

func (p *peer) hangUp() { p.w.sys.Root.Send(p.link, hangUp{}) }

func (p *peer) give(charge uint32) {
	p.held -= int64(charge)
	if p.held < 0 {
		p.excess = p.excess || !p.forgave
		p.held = 0
	}
}

func (p *peer) hear(m proto.Message) {
	msg := m.(*relaypb.Message)
	p.note(heard{message: msg}, fmt.Sprintf("%s: %s", msg.GetChannel(), msg.GetMessage()))
}

func (p *peer) hearAnswer(a *relaypb.Answer, placed bool) {
	text := "ok"
	if !a.GetOk() {
		text = a.GetReason()
	}
	if l := a.GetList(); l != nil {
		text = fmt.Sprint(l.GetOpen(), l.GetSubscribed())
	}
	p.note(heard{answer: a, placed: placed}, fmt.Sprintf("%s %s", a.GetNonce(), text))
	p.answered(string(a.GetNonce()))
}

func (p *peer) hearError(e *relaypb.Error) {
	p.note(heard{err: e}, fmt.Sprintf("error %s%s %s", e.GetNonce(), e.GetChannel(), e.GetReason()))
	p.answered(string(e.GetNonce()))
}

func (p *peer) note(h heard, text string) {
	if p.gone {
		return // nobody reads
	}
	p.heard = append(p.heard, text)
	if p.onHear != nil {
		p.onHear(h)
	}
}

func (p *peer) answered(nonce string) {
	delete(p.open, nonce)
	if p.waits && len(p.open) == 0 {
		p.w.sys.Root.Send(p.link, step{})
	}
}

// paperVault hashes at no cost, after a while, or not at all.
type paperVault struct {
	w          *world
	takes      func(m *vaultpb.HashRequest) (after time.Duration, busy bool) // nil: at once
	work       map[*actor.PID]int                                            // requests of each asker under way
	requests   int
	remembered []string
}

type paperHash struct {
	asker *actor.PID
	m     *vaultpb.HashResponse
}

// paperSum stands for the hash of a password.
func paperSum(channel, password string) []byte {
	h := sha256.Sum256([]byte(channel + "\x00" + password))
	return h[:]
}

func sumOf(channel, password string, long bool) []byte {
	if long {
		return longSum(channel, password)
	}
	return paperSum(channel, password)
}

func (v *paperVault) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *vaultpb.HashRequest:
		v.onHashRequest(ctx, m)
	case *paperHash:
		v.work[m.asker]--
		ctx.Send(m.asker, m.m)
	case *vaultpb.Remember:
		if string(sumOf(m.GetChannel(), m.GetPassword(), m.GetLong())) != string(m.GetHash()) {
			v.w.t.Errorf("the vault is to remember a wrong hash for %q", m.GetChannel())
		}
		v.remembered = append(v.remembered, m.GetChannel()+" "+m.GetPassword())
	}
}

func (v *paperVault) onHashRequest(ctx actor.Context, m *vaultpb.HashRequest) {
	v.requests++
	asker := ctx.Sender()
	if v.work[asker]++; v.work[asker] > 1 {
		v.w.t.Errorf("%d passwords of one connection are hashed at once", v.work[asker])
	}
	h := &paperHash{asker, &vaultpb.HashResponse{Hash: sumOf(m.GetChannel(), m.GetPassword(), m.GetLong())}}
	after, busy := time.Duration(0), false
	if v.takes != nil {
		after, busy = v.takes(m)
	}
	if busy {
		h.m = &vaultpb.HashResponse{Busy: true}
	}
	if after > 0 {
		tree.After(ctx, after, h)
	} else {
		ctx.Send(ctx.Self(), h)
	}
}
