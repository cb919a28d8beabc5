package relay

import (
	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"
)

// What the actors of this package say to each other.
type (
	// subscribe asks channels to let a client in.
	subscribe struct {
		name        string
		hasPassword bool
		hash        []byte // of the password; nil: not computed yet
		lossy       bool
		member      uint64
		client      *actor.PID
		nonce       []byte

		channel *actor.PID // set by channels, for itself: where the join went; nil: nowhere
		again   bool       // set by channels, for itself: the join was lost once
	}
	// again asks for a subscribe once more, if its join went to a channel that failed.
	again struct {
		sub  *subscribe
		lost *actor.PID
	}
	// needHash asks the client to have its password hashed and to subscribe again.
	needHash struct {
		name string
		long bool // as vaultpb.HashRequest says
	}
	// refused ends a subscribe.
	refused struct{ name, reason string }
	// join makes a client's link a member of a channel.
	join struct{ sub *subscribe }
	// joined ends a subscribe; the channel has sent the answer.
	joined struct {
		name    string
		channel *actor.PID
	}
	// leave ends a membership.
	leave struct {
		member uint64
		lossy  bool
		client *actor.PID // asked for it and waits for the answer; nil: nobody
		nonce  []byte
	}
	// left tells a client that its leave was answered.
	left struct{ channel *actor.PID }
	// abandon is leave for a client that failed while it subscribed.
	abandon struct {
		name  string
		leave leave
	}
	// publish is one message for a channel's members.
	publish struct {
		message, nonce []byte
		silent         bool
		charge         uint32
		member         uint64
		link           *actor.PID
	}
	// emptied tells channels that the last member left.
	emptied struct {
		name  string
		joins uint64 // processed so far: more are under way if channels has sent more
		past  *ring
	}
	// lost tells clients that a channel's actor failed.
	lost struct {
		name    string
		channel *actor.PID
	}
	// lastWord asks channels to tell a member something behind all that a failed
	// channel had sent to it.
	lastWord struct {
		member uint64
		word   proto.Message
	}
	// list asks channels for their names, for one client.
	list struct {
		subscribed []string
		link       *actor.PID
		nonce      []byte
	}
	// count asks each channel for its traffic.
	count struct{ round uint64 }
	// counting tells stats how many channels will answer.
	counting struct {
		round    uint64
		channels int
	}
	// counted answers count.
	counted struct {
		round       uint64
		channel     *actor.PID
		name        string
		subscribers int
		ring        *ring // a copy
	}
	// closed tells stats what a closed channel had counted.
	closed struct {
		channel *actor.PID
		past    *ring
	}
)

// publishBytes is the weight of a queued publish without its payload.
const publishBytes = 160

// Bytes implements messages.Load.
func (p *publish) Bytes() int { return publishBytes + len(p.message) + len(p.nonce) }

// IgnoreDeadLetterLogging marks messages that may find a client stopped.
func (*joined) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find a client stopped.
func (*refused) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find a client stopped.
func (*needHash) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find a channel failed.
func (*publish) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find a channel failed.
func (*leave) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find a channel failed.
func (*join) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find a client stopped.
func (*left) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find a channel stopped.
func (*count) IgnoreDeadLetterLogging() {}
