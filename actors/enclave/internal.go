package enclave

import (
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/enclavepb"
	"parley/messages/linkpb"
	"parley/messages/storepb"
)

// What the actors of this package say to each other. All of it is frozen.

// meet introduces the actors of this package to each other.
type meet struct {
	book, friends, strangers, outbox, chronicle, frontends *actor.PID

	gauges  gauges
	unnoted atomic.Int64 // bytes that friends have said to chronicle and that are not noted
	serials serials      // of messages to friends
}

// gauges are what goes on, for operators.
type gauges struct {
	friends, online *tree.Counter // of friends alone
	queued          *tree.Counter // each friend adds to it
}

func newGauges(sys *actor.ActorSystem) gauges {
	m := tree.Of(sys)
	return gauges{
		friends: m.Level("enclave_friends", "Contacts that are friends."),
		online:  m.Level("enclave_friends_online", "Friends that are online."),
		queued:  m.Level("enclave_queued", "Messages that friends have not got yet, as far as is known."),
	}
}

type (
	// introduced tells friends of a contact: at the start of all there are, later
	// when one is new or changed. From book.
	introduced struct{ contact *enclavepb.Contact }
	// introducedAll says that those were all that the database has. From book.
	introducedAll struct{}
	// parted tells friends that a contact is none any more. From book.
	parted struct{ address string }

	// knock hands a link of an unknown address over. The sender of opened stays its
	// link. From friends to strangers.
	knock struct {
		address string
		link    *actor.PID
		opened  *linkpb.Opened
	}
	// admitted hands a held link over to friends, with what it has said. From
	// strangers, when book has accepted its address; ignored: the links are closed.
	admitted struct {
		address string
		link    *actor.PID
		packets []*enclavepb.Packet
		torn    bool // the link is gone, or not all is in packets: then the sender ends it, and its peer says it all again
	}
	// decided tells strangers what was decided about an address. From book.
	decided struct {
		address string
		state   enclavepb.State
	}
	// asked is a command on its way, with who is to be answered by enclavepb.Result.
	// From frontends to who decides.
	asked struct {
		command *enclavepb.Command
		from    *actor.PID
	}
	// seen tells book what is worth keeping of a peer. From friend.
	seen struct {
		address  string
		presence *enclavepb.Presence // nil: unchanged
		at       uint64              // Unix s
	}

	// keep stores a message for a friend. From friend to outbox, which answers kept.
	keep struct {
		address string
		serial  uint64 // of the friend
		message *enclavepb.Kept
	}
	kept struct {
		serial uint64
		error  string // for people; empty: it survives kill -9 now
	}
	// release forgets messages that are where they belong. From friend to outbox.
	release struct {
		address string
		serials []uint64
	}
	// recall asks for what waits for a friend. From friend to outbox, which answers recalled.
	recall   struct{ address string }
	recalled struct {
		address  string
		serials  []uint64 // ascending
		messages []*enclavepb.Kept
		error    string // for people; empty: these are all
	}
	// discard forgets all that waits for an address. From friend to outbox.
	discard struct{ address string }

	// said keeps a line of a conversation. From friend to chronicle, which adds the
	// serial and, for what a peer said, tells frontends by received.
	said struct {
		address string
		name    string
		entry   *enclavepb.Entry
		extra   []byte
		// mark is stored together with the entry, in one write, so that both survive
		// a kill or none; also where no entry is kept. Of those of one key the last
		// counts. nil: there is none, or joined.
		mark *storepb.Record
		// joined says that the next of saidAll is stored in the same write: they have
		// their mark in common, which the last of them has.
		joined bool
		// note comes back in noted, which the sender gets when the entry and mark of
		// this and of all said before it survive a kill, and front ends have it; or
		// when that never will be. 0: no answer.
		note uint64
		// again says that it was stored before this node has started: it is not
		// another time, and told to who wants that.
		again bool
		epoch uint32 // of the sender's, see noted
	}
	// saidAll is what a peer said in one burst, oldest first.
	saidAll struct{ all []*said }
	// ours is said of a message of our own, which is kept if there is room.
	ours struct{ said }
	// noted answers said. From chronicle, by way of frontends, to friend.
	noted struct {
		note  uint64
		epoch uint32          // of said
		mark  *storepb.Record // of said
		// lost says that it was not stored, and that nobody was told: its sender says
		// it, and all that came after it, again in another epoch. What it still says
		// in this one is passed over.
		lost bool
	}
	// noting is noted with who is to get it.
	noting struct {
		to *actor.PID
		m  *noted
	}
	// progressed changes the delivery of a line. From friend to chronicle.
	progressed struct {
		address, id string
		delivery    enclavepb.Delivery
	}
	// told is what people are to hear. From any to frontends.
	told struct{ event *enclavepb.Event }
	// toldAll is told of several, oldest first. notes go on when front ends have them.
	toldAll struct {
		events *enclavepb.Events
		notes  []noting
	}
)

// IgnoreDeadLetterLogging marks messages that may find frontends stopped: what
// they tell is in the store.
func (*told) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find frontends stopped.
func (*toldAll) IgnoreDeadLetterLogging() {}
