package mesh

import (
	"github.com/asynkron/protoactor-go/actor"

	"parley/messages/meshpb"
)

// What the actors of this package say to each other.
type (
	// linked says that a link may carry packets: both handshakes are done. From
	// peers to router, hello, commands, reservations and scout, in this order.
	linked struct{ neighbor }
	// unlinked says that it may no more. From peers, to the same.
	unlinked struct {
		name   string
		side   Side
		member uint64
	}
	// measured is a new median of a peer's round trips. From peers to hello.
	measured struct {
		name string
		ms   float64
	}
	// arrived is packets that came over a link. From peer to router.
	arrived struct {
		from    string // peer
		link    *actor.PID
		packets []*meshpb.Packet
		charge  uint32 // inbound credit held; the router settles it
	}
	// post asks the router to send a command or a response of this node. It is
	// answered with posted, if there is a sender.
	post struct {
		ticket      uint64 // comes back in posted
		destination string
		command     *meshpb.Command
		response    *meshpb.Response
		to          *meshpb.Packet // that response answers: its nonce is taken
		only        string         // peer that it goes to, and to no other; empty: as routed
	}
	// posted answers post.
	posted struct {
		ticket    uint64
		boot, seq uint64   // the nonce
		asked     []string // nodes that may answer: all that are known to live for "*"; none: it could not be sent
	}
	// received is a command or response for this node. From router to commands.
	received struct {
		packet *meshpb.Packet // without its raw form
		from   string         // peer that it came over
		loan   uint64         // comes back in dealt; 0: nothing was lent
	}
	// inquiry is a command for this node. From commands to who answers it, with a
	// post to the router.
	inquiry struct {
		packet *meshpb.Packet
		from   string
		loan   uint64 // likewise
	}
	// heard is what a hello says of a node's record. From router to reservations.
	heard struct {
		node      string
		boot, ver uint64
		foreign   bool // no hello: it was named by a peer of it
	}
	// gone says that a node has not been heard for too long, or cannot be reached
	// any more. From router to reservations and commands.
	gone struct{ node string }
	// holds says who has a channel open, this node left out. From reservations to
	// router, once a change.
	holds struct {
		node, channel string
		now           bool
	}
	// doubtful says whether there are holders that reservations does not know: trees
	// are not to be trusted then. From reservations to router.
	doubtful struct{ now bool }
	// surveyed is the nodes that are there as link state tells, this one left out.
	// From router to reservations, when it has changed, and ahead of records.
	surveyed struct{ nodes map[string]bool }
	// version is what hello tells of this node's record. From reservations to hello.
	version struct{ ver uint64 }
	// synced says that a peer has told what it knows. From reservations to peers.
	synced struct{ name string }
)

// neighbor is a peer as all actors know it.
type neighbor struct {
	name    string
	boot    uint64 // 0: foreign
	side    Side
	member  uint64
	link    *actor.PID
	pb      bool // it takes meshpb.Frame
	foreign bool // it speaks nothing but the seed's keys
	host    string
}

// Names of commands, as on the wire. Source: gateways/mesh/PROTOCOL.md, Commands.
const (
	cmdConnection   = "get-node-connection"
	cmdToken        = "get-connection-token"
	cmdNodes        = "list-nodes"
	cmdChannels     = "list-channels"
	cmdReserved     = "list-reserved-channels"
	cmdReserve      = "reserve-channel"
	cmdUnreserve    = "unreserve-channel"
	cmdNodeStats    = "node-stats"
	cmdHostStats    = "host-stats"
	cmdLatency      = "get-latency"
	cmdHello        = "hello"
	cmdSync         = "sync"
	everyone        = "*"
	reasonReturned  = "return to sender"
	reasonUnknown   = "unknown command"
	reasonOneOnly   = "invalid destination"
	reasonUnlinked  = "target not connected"
	reasonReserved  = "channel already reserved"
	reasonStillOpen = "channel still open"
)
