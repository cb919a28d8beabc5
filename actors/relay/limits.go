package relay

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
)

// Limits are the settings of a relay node.
type Limits struct {
	ChannelsPerClient int
	Channels          int // open on this node
}

// Fanout is how a gateway's links are reached: member m belongs to shard
// m mod len(Shards).
type Fanout struct {
	Shards []*actor.PID
	Gauges []*tree.Gauge // bytes queued for each
}

func (f Fanout) shardOf(member uint64) int { return int(member % uint64(len(f.Shards))) }

// Reasons of failed commands. Source: gateways/relay/PROTOCOL.md, Commands.
const (
	reasonPassword = "invalid password"
	reasonLimit    = "channel limit reached"
	reasonBusy     = "busy"
	reasonUnknown  = "channel does not exist"
	reasonMessage  = "message key must be present"
	reasonChannel  = "channel key must be present"
	reasonSlowDown = "slow down"
	reasonLost     = "channel lost"
)

const (
	// slowDownAt is how many bytes may wait for a fan-out shard before channels
	// refuse to publish: half of what the shard itself would refuse.
	slowDownAt = 32 << 20

	errorsAllowed = 20               // errors in window close a connection
	wrongAllowed  = 5                // wrong passwords in window close a connection
	busyAllowed   = 20               // busy answers in a row close a connection: at one a second they take longer than window
	window        = 10 * time.Second // in which the others are counted

	// busyPause is how long "busy" is held back: who guesses passwords faster
	// than they can be hashed is slowed to one try a second.
	busyPause = time.Second

	longHash   = 64 // bytes of a hash that another program made
	hashRounds = 3  // hashes of one subscribe: a name can change hands while one is made

	closePolicy   = 1008
	closeInternal = 1011
)

// tally counts events in a sliding window; nothing is kept while there are none.
type tally struct{ times []time.Time }

// add notes an event and reports how many the window holds.
func (t *tally) add(now time.Time) int {
	keep := 0
	for _, at := range t.times {
		if now.Sub(at) < window {
			t.times[keep] = at
			keep++
		}
	}
	t.times = append(t.times[:keep], now)
	return len(t.times)
}
