package messages

import "google.golang.org/protobuf/proto"

// chargeUnit is how many bytes of a frame weigh as much as one more message in
// a link's inbound credit: 64 messages of chat, or 1 MiB, are taken before a
// link stops reading.
const chargeUnit = 16 << 10

// ChargeAll is what a frame holds whose answer may be large: nothing more of its
// link is read before that is written or queued.
const ChargeAll = 64

// Charge is what an inbound frame of size bytes holds of its link's credit,
// until an answer, a Multicast or a linkpb.Settled gives it back.
func Charge(size int) uint32 { return 1 + uint32(size/chargeUnit) }

// Load is a message that weighs on the queue it waits in. A mailbox over its
// limit refuses such messages only; what has no Load is control and always gets in.
type Load interface {
	// Bytes is the memory that the queued message holds, roughly.
	Bytes() int
}

// multicastBytes is the weight of a Multicast without its payload.
const multicastBytes = 160

// Multicast asks a fan-out shard to write one frame to many links, and then to
// answer the link it came from. All of it is frozen.
type Multicast struct {
	Members []uint64      // links of this shard that must not miss the frame: a slow one is closed
	Lossy   []uint64      // links of this shard that agreed to lose the oldest queued frames instead
	Frame   *Shared       // nil: nothing but Answer
	Source  string        // what the frame came from, for linkpb.Dropped
	Size    int           // bytes of payload, for the queue's limit
	Count   int           // what Frame holds, as drops are counted; 0: one
	Origin  uint64        // the sender's link: gets Answer, never Frame; 0: none
	Answer  proto.Message // to Origin, behind all earlier frames; nil: none
	Charge  uint32        // inbound credit given back to Origin
	Written func()        // called when Answer is with Origin's link, or never will be; returns at once. nil: nobody asks
}

// Bytes implements Load.
func (m *Multicast) Bytes() int { return multicastBytes + m.Size }

// Frames is what drops of Frame are counted as, for each link.
func (m *Multicast) Frames() int { return max(1, m.Count) }
