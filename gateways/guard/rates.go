package guard

import (
	"hash/maphash"
	"math"
	"net/netip"
	"sync"
	"time"
)

const (
	rateShards  = 64 // locks: listeners with several accept loops rarely meet on one
	rateSets    = 16 // sets a shard
	rateWays    = 16 // buckets a set: places that one address may take
	rateBuckets = rateShards * rateSets * rateWays
)

// Rates is a token bucket for each peer address, in a table of fixed size
// (16,384 buckets of 16 bytes); see the package comment for what happens when
// there are more addresses. Safe for use by several goroutines.
type Rates struct {
	// fixed at creation
	interval int64 // ns a token takes to grow
	depth    int64 // ns a whole empty bucket takes to fill: burst × interval
	seed     maphash.Seed
	start    time.Time

	shards [rateShards]rateShard
}

type rateShard struct {
	mu      sync.Mutex
	buckets [rateSets * rateWays]bucket
}

// bucket holds depth − (full − now) ns worth of tokens while full > now, else
// it is full. The zero bucket is full, so no bucket is ever "unused".
type bucket struct {
	key  peerKey
	full int64 // ns since Rates.start
}

// NewRates makes a table that lets each address have burst at once (at least 1)
// and then perSecond (> 0, at most 10^9) in the long run. All buckets are full.
func NewRates(perSecond float64, burst int) *Rates {
	interval := int64(max(1, math.Round(float64(time.Second)/perSecond)))
	return &Rates{
		interval: interval,
		depth:    interval * int64(max(burst, 1)),
		seed:     maphash.MakeSeed(),
		start:    time.Now(),
	}
}

// Allow takes a token from the bucket of ip, and tells whether there was one. A
// refused try costs no token.
func (r *Rates) Allow(ip netip.Addr) bool { return r.allow(keyOf(ip)) }

func (r *Rates) allow(key peerKey) bool {
	hash := maphash.Comparable(r.seed, key)
	shard := &r.shards[hash%rateShards]
	first := hash / rateShards % rateSets * rateWays

	shard.mu.Lock()
	defer shard.mu.Unlock()
	now := int64(time.Since(r.start))
	set := shard.buckets[first : first+rateWays]
	b := &set[0]
	for i := range set {
		if set[i].key == key {
			b = &set[i]
			break
		}
		if set[i].full < b.full {
			b = &set[i]
		}
	}
	if b.key != key {
		*b = bucket{key: key}
	}
	full := max(b.full, now) + r.interval
	if full-now > r.depth {
		return false
	}
	b.full = full
	return true
}
