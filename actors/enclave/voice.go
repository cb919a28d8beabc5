package enclave

import (
	"github.com/asynkron/protoactor-go/actor"

	"parley/messages"
	"parley/messages/enclavepb"
	"parley/messages/linkpb"
)

// keepLetters is how many messages' room is kept when none waits.
const keepLetters = 16

// tune has messages go over the newest link whose peer has said who it is.
func (f *friend) tune(ctx actor.Context) {
	var best *line
	for _, l := range f.lines {
		if l.greeted {
			best = l
		}
	}
	old := f.voice
	if best == old {
		return
	}
	f.voice = best
	// What the old one has not taken, or its peer not acknowledged, goes over the new
	// one, in order: who acknowledges drops what it has.
	f.sending.next = 0
	if best == nil {
		for i := range f.sending.letters {
			if l := &f.sending.letters[i]; l.ready {
				f.accept(ctx, l)
			}
		}
		return
	}
	f.confirm(ctx)
	f.soon(ctx)
}

// transmit hands letters to the voice. Until it has taken them, more wait, and go
// together then.
func (f *friend) transmit(ctx actor.Context) {
	s, l := &f.sending, f.voice
	if l == nil || l.busy || f.state != working || s.next >= len(s.letters) || !s.letters[s.next].ready {
		return
	}
	most := batchMost
	if l.kin { // who says more than the peer takes is slowed, not refused
		most = min(most, windowMost-s.next)
	}
	var batch []*enclavepb.Packet
	size := 0
	for ; s.next < len(s.letters) && len(batch) < most; s.next++ {
		t := &s.letters[s.next]
		if !t.ready || len(batch) > 0 && size+len(t.kept.GetMessage()) > batchBytes {
			break
		}
		size += len(t.kept.GetMessage())
		batch = append(batch, packet(t.kept))
		t.reply(ctx)
	}
	if len(batch) == 0 {
		return
	}
	l.busy = true
	m := &messages.Paced{Message: batch[0], Charge: l.number, Size: size}
	if len(batch) > 1 {
		m.Message = &enclavepb.Packets{Packets: batch}
	}
	ctx.Request(l.link, m)
}

// packet is a message as it goes over a link. It shares what is frozen.
func packet(k *enclavepb.Kept) *enclavepb.Packet {
	return &enclavepb.Packet{Message: &k.Message, Timestamp: &k.Timestamp, Id: k.GetId()}
}

// onTaken goes on when a link has taken letters.
func (f *friend) onTaken(ctx actor.Context, m *linkpb.Taken) {
	l := f.find(m.GetCharge())
	if l == nil {
		return
	}
	if _, there := ctx.ActorSystem().ProcessRegistry.Get(l.link); !there {
		return // a link that ends answers for what nobody will take, too
	}
	l.busy = false
	if l != f.voice {
		return
	}
	s := &f.sending
	if l.kin {
		for i := range s.letters[:s.next] {
			f.tellSent(ctx, &s.letters[i])
		}
	} else {
		f.drop(ctx, s.next, enclavepb.Delivery_DELIVERY_SENT)
	}
	f.transmit(ctx)
}

// tellSent says that a message is with TCP, once.
func (f *friend) tellSent(ctx actor.Context, l *letter) {
	if !l.sent {
		l.sent = true
		f.tellProgress(ctx, l, enclavepb.Delivery_DELIVERY_SENT)
	}
}

// acked drops what the peer has. The number in an id is the letter's serial.
func (f *friend) acked(ctx actor.Context, id string) {
	if id == "" {
		return
	}
	s := &f.sending
	_, serial, _ := splitID(id)
	i, ok := s.find(serial)
	if !ok || i >= s.next || s.letters[i].kept.GetId() != id {
		return
	}
	f.drop(ctx, i+1, enclavepb.Delivery_DELIVERY_DELIVERED)
	f.soon(ctx)
}

// drop forgets the first n letters: they came as far as they ever will.
func (f *friend) drop(ctx actor.Context, n int, d enclavepb.Delivery) {
	if n == 0 {
		return
	}
	s := &f.sending
	var serials []uint64
	for i := range s.letters[:n] {
		l := &s.letters[i]
		l.reply(ctx)
		f.tellSent(ctx, l)
		if d != enclavepb.Delivery_DELIVERY_SENT {
			f.tellProgress(ctx, l, d)
		}
		s.bytes -= len(l.kept.GetMessage())
		serials = append(serials, l.serial)
	}
	if rest := len(s.letters) - n; rest <= n { // the room is used again
		copy(s.letters, s.letters[n:])
		clear(s.letters[rest:])
		s.letters = s.letters[:rest]
		if rest == 0 && cap(s.letters) > keepLetters {
			s.letters = nil
		}
	} else {
		clear(s.letters[:n])
		s.letters = s.letters[n:]
	}
	s.next -= min(n, s.next)
	f.count()
	if f.o.Outbox {
		ctx.Send(f.met.outbox, &release{f.address, serials})
	}
}
