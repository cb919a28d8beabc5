package chat

// node is who the model asks.
type node interface {
	// Do hands on a request. It does not wait; an answer comes from Next.
	Do(request)
	// Next waits for news and answers. nil: there are no more.
	Next() []any
}

// Statuses of a person. Source: gateways/enclave/PROTOCOL.md.
const (
	offline uint32 = iota
	available
	away
	busy
)

// statuses are their names, for people.
var statuses = [...]string{offline: "offline", available: "available", away: "away", busy: "busy"}

// States of a contact. Source: gateways/uiv2/PROTOCOL.md, People.
const (
	stateFriend  = "friend"
	stateIgnored = "ignored"
	statePending = "pending"
)

// delivery is how far a message of our own has come.
type delivery int

// The deliveries, in this order. The last ones are of this program alone.
const (
	notOwn    delivery = iota
	queued             // stored by the node
	sent               // handed to TCP
	delivered          // the other node has acknowledged it
	sending            // not with the node yet
	unclear            // the connection ended before the node answered
	refused            // the node did not take it
)

// deliveries are their names, for people.
var deliveries = [...]string{notOwn: "", queued: "queued", sent: "sent", delivered: "delivered", sending: "...", unclear: "unclear", refused: "not sent"}

// presence is how somebody wants to be seen.
type presence struct {
	alias   string
	status  uint32
	message string
}

// contact is one line of the address book.
type contact struct {
	address  string
	name     string // given here; blank: none
	state    string
	presence presence
	held     int // messages of somebody who waits
}

// entry is one line of a conversation.
type entry struct {
	serial uint64 // grows with time; 0: nothing is kept
	own    bool
	text   string
	at     int64  // Unix s
	id     string // of the message; blank: none
	state  delivery
}

// request is one of the types below.
type request any

type (
	listAsk    struct{}
	historyAsk struct {
		with     string  // address
		before   uint64  // serial; 0: the newest
		password *string // of the database; nil: none
	}
	sendAsk struct {
		to   string // address
		text string
		n    uint64 // tells this program's messages apart
	}
	addAsk    struct{ address, name string }
	acceptAsk struct{ address, name string }
	ignoreAsk struct{ address string }
	removeAsk struct{ address string }
	statusAsk struct {
		status  uint32
		message string
	}
	aliasAsk struct{ alias string }
)

// answer comes once for each request.
type answer struct {
	to request
	// err is why it failed. *lockedError: the history needs a password. *lostError:
	// whether it was done is not known.
	err     error
	list    *list   // of listAsk
	entries []entry // of historyAsk, oldest first
	more    bool    // of historyAsk: there are older ones
	id      string  // of sendAsk: names the message
}

// list is the address book.
type list struct {
	own      presence
	contacts []contact
}

// News.
type (
	// connected says that there is a connection, and how things are.
	connected struct{ list list }
	// disconnected says why there is none.
	disconnected struct{ why string }
	// missed says that news came too fast, and some are gone.
	missed struct{}
	// changed is a contact as it is now, or somebody new who waits.
	changed struct{ contact contact }
	// gone says that an address is no contact any more.
	gone struct{ address string }
	// received is a message of a friend.
	received struct {
		from  string // address
		entry entry
	}
	// progress says how far a message of our own has come.
	progress struct {
		to    string // address
		id    string
		state delivery
	}
)

// lockedError says that the history is not shown without the database's password.
type lockedError struct{ wrong bool } // the one that was given is not it

func (e *lockedError) Error() string {
	if e.wrong {
		return "that is not the database's password"
	}
	return "the history is locked with the database's password"
}

// lostError says that the connection ended first.
type lostError struct{ error }

func (e *lostError) Unwrap() error { return e.error }
