package star

import "github.com/asynkron/protoactor-go/actor"

// What the actors of this package say to each other. All of it is frozen.

// caller is a client as others know it.
type caller struct {
	session *actor.PID
	link    *actor.PID
	version Version
	member  uint64 // of its link
}

// --- joining

type (
	// prove asks for the next step of a challenge. From session to challenge,
	// which answers proven.
	prove struct {
		turn    uint64 // of the session's joins; comes back, as in all that follows
		address string
		data    string // of the join: a public key or a signature, in hex
	}
	// proven answers prove. Exactly one of nonce and reason is set, or neither:
	// then the client has the address's key.
	proven struct {
		turn   uint64
		nonce  string
		reason string
	}
	// forget says that a session is over, or has left, or an address of it: its
	// nonces are void. From session to challenge.
	forget struct {
		session *actor.PID
		address string // empty: all
	}

	// enlist registers an address. From session to registry, which answers
	// enlisted, when all others have been told.
	enlist struct {
		turn    uint64
		address string
		who     caller
		proven  bool // it passed the challenge
	}
	// enlisted answers enlist.
	enlisted struct {
		turn   uint64
		reason string   // empty: it is registered
		others []string // that are online; shared
		own    []string // of others, to be left out
	}
	// rival asks whether an address is given up for another socket. From registry
	// to the session that has it, which answers yielded.
	rival struct {
		address string
		turn    uint64 // under which it was registered
	}
	// yielded answers rival.
	yielded struct {
		address string
		turn    uint64 // of rival
		ok      bool
	}
	// ousted tells a session that an address is another's now. From registry.
	ousted struct {
		address string
		turn    uint64 // under which it was registered
	}
	// delist ends registrations, and what is under way. From session to registry.
	delist struct{ addresses []string }

	// appeared and vanished tell announcer who is online. From registry.
	appeared struct {
		address   string
		who       caller
		announced bool // others may be told of it
	}
	vanished struct {
		address string
		who     caller
	}
)

// --- dialling

type (
	// dial connects two clients. From session, which has checked from and id, to proxies.
	dial struct {
		from, to string
		id       string
		who      caller
		ack      *uint64
	}
	// find asks who has an address. From proxies to registry, which answers found.
	find struct {
		address string
		dial    uint64 // of proxies
	}
	found struct {
		dial uint64
		who  *caller // nil: nobody is online
	}
	// offer asks a session to take part in a dial. From proxy to both, who dialled
	// first; the one that is dialled gets ss-incomming. Both answer with taken.
	offer struct {
		id       string
		from, to string     // addresses
		by       *actor.PID // session that dialled
		dialling bool       // it is the one that dialled
	}
	// taken answers offer. From session to proxy.
	taken struct {
		dialling bool
		reason   string // what the session says against it; empty: nothing
		error    []byte // what the client says against it, raw JSON; empty: nothing
	}
	// gone tells a proxy that a session is over, or has left, or lost the address
	// that the dial is about. From session.
	gone struct {
		session *actor.PID
		cut     bool // it is there, and waits for the end
	}
	// closed tells a session that a dial is over. From proxy, or from proxies where
	// it never came to one. What has not reached the proxy, or was not done by it,
	// is the session's to settle and to end.
	closed struct {
		id      string
		proxy   *actor.PID  // nil: there was none
		settled uint64      // charges of the session's client that were given back to its link, in sum
		ended   [flows]bool // streams whose end the reader has been told
	}
)

// IgnoreDeadLetterLogging marks messages that may find a session stopped.
func (*offer) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find a proxy stopped.
func (*taken) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find a proxy stopped.
func (*gone) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find a session stopped.
func (*closed) IgnoreDeadLetterLogging() {}
