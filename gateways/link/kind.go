package link

import (
	"log/slog"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/messages"
)

// A Codec translates between one wire protocol and messages. It keeps no
// state: one Codec serves every link of its gateway.
type Codec interface {
	// Protocol names the gateway, for logs and for linkpb.Opened.
	Protocol() string
	// Slot is the protocol's place in messages.Shared.
	Slot() messages.Slot
	// Decode turns a frame into the message for the server actor, and says what
	// it holds of the link's credit. A frame that is not understood becomes a
	// linkpb.Malformed. frame is reused after the call.
	Decode(frame []byte, binary bool) (m proto.Message, charge uint32)
	// Append encodes m behind dst. It returns ErrNotOnWire for messages that
	// this protocol has no frame for.
	Append(dst []byte, m proto.Message) ([]byte, error)
	// Charge is how much inbound credit an outgoing message gives back.
	Charge(m proto.Message) uint32
}

// Binary is what a Codec implements that sends binary frames beside text.
type Binary interface {
	// Binary reports whether m goes out in a binary frame.
	Binary(m proto.Message) bool
}

// Framed is what a Codec implements that needs several frames for some of its
// messages: they are one unit on the wire, nothing comes between.
type Framed interface {
	// AppendFrames appends all frames of m, whole, and is called instead of
	// Append. It returns ErrNotOnWire as Append does.
	AppendFrames(dst []byte, f Framing, m proto.Message) ([]byte, error)
}

// Parted is what a Framed implements some of whose messages hold large parts that
// go on the wire as they are: those are not copied.
type Parted interface {
	// AppendParts is AppendFrames, but leaves parts out and appends them to parts,
	// in order. They are frozen.
	AppendParts(dst []byte, parts []Part, f Framing, m proto.Message) ([]byte, []Part, error)
}

// Part belongs before the byte at index At of what AppendParts returns.
type Part struct {
	At   int
	Wire []byte
}

// Lender is what a Parted implements some of whose messages are in memory that is
// used again.
type Lender interface {
	// GiveBack is told of a message that came as messages.Paced: it is written, or
	// copied, and read no more. A message that is lost is not given back.
	GiveBack(m proto.Message)
}

// Framing puts payloads into the frames of a transport, in one direction.
type Framing interface {
	// Overhead is how many bytes AppendFrame and AppendBinary add at most.
	Overhead() int
	// AppendFrame appends one whole text frame.
	AppendFrame(dst, payload []byte) []byte
	// AppendBinary appends one whole binary frame.
	AppendBinary(dst, payload []byte) []byte
	// AppendClose appends a close frame; reason is cut at 123 bytes.
	AppendClose(dst []byte, code uint32, reason string) []byte
	// AppendPing appends a ping; data is at most 125 bytes.
	AppendPing(dst, data []byte) []byte
	// AppendPong appends the answer to a ping.
	AppendPong(dst, data []byte) []byte
}

// Kind is what all links of one gateway have in common. It is fixed once New
// returned.
type Kind struct {
	Codec         Codec
	Framing       Framing
	OutboundLimit int             // bytes of backlog a link may have when a frame comes; what is queued apart counts 128 more
	OutboundCount int             // frames of backlog a link may have when a frame comes; 0: any
	SlowCode      uint32          // WebSocket code for a link that is over its limits; 0: 1013
	WriteTimeout  time.Duration   // how long one write may block
	StallBytes    int             // backlog from which a link is behind
	StallAfter    time.Duration   // a link that is behind and of whose backlog nothing is taken for so long is closed; 0: WriteTimeout is enough
	Ping          time.Duration   // between our pings; 0: none
	Dead          time.Duration   // silence after which a link is closed; 0: never
	RoundTrips    bool            // servers are told how long pings take, the first of them right after the link's first second
	CloseCodes    []uint32        // of the protocol's own, to be counted by name
	MessageRate   float64         // messages a second that are read from a peer, at least 1, with a burst of as many; 0: any
	Inline        bool            // links may write on the goroutine of who sends to them: where most of that is streams, each from one peer to another
	Budget        *Budget         // node-wide ceiling
	Late          tree.DropReason // counts frames that come for a link that has ended; those being written then are counted, too. 0: nobody asks
	Shards        int             // fan-out shards; 0: half as many as processors, because the other half reads and decides

	binary  Binary // nil: all frames are text
	framed  Framed // nil: one frame a message
	parted  Parted // nil: no parts
	lender  Lender // nil: nothing is given back
	root    *actor.RootContext
	driver  func(func()) // runs a goroutine
	metrics *tree.Metrics
	log     *slog.Logger
	start   time.Time
	clock   atomic.Int64 // coarse seconds since start, kept by the shards' wheel
	behind  atomic.Int64 // links with more than StallBytes to be written
	unsaid  atomic.Int64 // links whose last words are not with the kernel yet
	links   *tree.Counter
	frames  *tree.Counter // in
	sent    *tree.Counter // deliveries
	written *tree.Counter // bytes of deliveries
	closes  map[uint32]*tree.Counter
}

// closeCodes are the codes that are counted by name; others count as "other".
var closeCodes = []uint32{0, 1000, 1001, 1002, 1003, 1007, 1008, 1009, 1011, 1013}

// New completes k for a system. It must be called before anything else sees k.
func New(sys *actor.ActorSystem, k *Kind) *Kind {
	k.root = sys.Root
	k.start = time.Now()
	k.driver = func(f func()) { go f() }
	k.metrics = tree.Of(sys)
	k.log = tree.Log(sys)
	k.binary, _ = k.Codec.(Binary)
	k.framed, _ = k.Codec.(Framed)
	k.parted, _ = k.Codec.(Parted)
	k.lender, _ = k.Codec.(Lender)
	if k.SlowCode == 0 {
		k.SlowCode = closeSlow
	}
	if k.Shards == 0 {
		k.Shards = max(1, runtime.GOMAXPROCS(0)/2)
	}
	p := k.Codec.Protocol()
	if k.Budget == nil {
		k.Budget = NewBudget(0)
	}
	k.links = k.metrics.Level(p+"_links", "Open connections.")
	k.frames = k.metrics.Counter(p+"_frames_in_total", "Messages read from peers.", "", "")
	k.sent = k.metrics.Counter(p+"_deliveries_total", "Frames fanned out to members.", "", "")
	k.written = k.metrics.Counter(p+"_delivery_bytes_total", "Bytes of frames fanned out.", "", "")
	k.closes = map[uint32]*tree.Counter{}
	for _, c := range slices.Concat(closeCodes, k.CloseCodes, []uint32{otherCode}) {
		k.closes[c] = k.metrics.Counter(p+"_closes_total", "Connections that this side closed, by WebSocket code; 0: without one.", "code", codeName(c))
	}
	return k
}

const otherCode = ^uint32(0)

func codeName(c uint32) string {
	if c == otherCode {
		return "other"
	}
	return strconv.FormatUint(uint64(c), 10)
}

func (k *Kind) closed(code uint32) {
	c, ok := k.closes[code]
	if !ok {
		c = k.closes[otherCode]
	}
	c.Add(1)
}

// Frames is how many messages were read from peers.
func (k *Kind) Frames() int64 { return k.frames.Load() }

// seconds since start. All shards of a gateway must agree on them.
func (k *Kind) seconds() int64 { return seconds(time.Since(k.start)) }

// Behind is how many links have more than StallBytes to be written, if StallAfter
// is set.
func (k *Kind) Behind() int64 { return k.behind.Load() }

// Links is how many links are open now.
func (k *Kind) Links() int64 { return k.links.Load() }

// encodeBuffers hold payloads while they are put into frames.
var encodeBuffers = sync.Pool{New: func() any { b := make([]byte, 0, startBuffer); return &b }}

// frame encodes m whole, in memory of its own.
func (k *Kind) frame(m proto.Message) ([]byte, error) {
	buf := encodeBuffers.Get().(*[]byte)
	defer encodeBuffers.Put(buf)
	b, from, err := k.appendWire((*buf)[:0], m)
	if err != nil {
		return nil, err
	}
	if cap(b) <= keepBuffer {
		*buf = b[:0]
	}
	return append(make([]byte, 0, len(b)-from), b[from:]...), nil
}

// appendWire appends m as it goes on the wire, behind scratch of its own: the
// wire is what it returns from index from on. On an error b is dst.
func (k *Kind) appendWire(dst []byte, m proto.Message) (b []byte, from int, err error) {
	start := len(dst)
	if k.framed != nil {
		if b, err = k.framed.AppendFrames(dst, k.Framing, m); err != nil {
			return dst, start, err
		}
		return b, start, nil
	}
	if b, err = k.Codec.Append(dst, m); err != nil {
		return dst, start, err
	}
	from = len(b)
	return k.appendFrame(b, b[start:from], m), from, nil
}

// appendFrame appends payload, which is m encoded, as a frame of the right type.
func (k *Kind) appendFrame(dst, payload []byte, m proto.Message) []byte {
	if k.binary != nil && k.binary.Binary(m) {
		return k.Framing.AppendBinary(dst, payload)
	}
	return k.Framing.AppendFrame(dst, payload)
}

// shared is frame for messages.Shared: a message without a frame is a bug of
// the sender, and panics.
func (k *Kind) shared(m proto.Message) []byte {
	wire, err := k.frame(m)
	if err != nil {
		panic(err)
	}
	return wire
}
