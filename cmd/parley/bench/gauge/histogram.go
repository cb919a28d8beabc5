// Package gauge measures for the bench: percentiles of times, and a process's processor time and memory.
package gauge

import (
	"math/bits"
	"time"
)

const (
	// subBits says how fine a power of two is cut: 128 buckets, so a bucket is at most 0.8 % wide.
	subBits    = 7
	subBuckets = 1 << subBits
	// maxBits bounds what is told apart: 2^40 ns is 18 minutes.
	maxBits = 40
	buckets = (maxBits - subBits + 1) * subBuckets
)

// Histogram counts times in buckets that grow with them. The zero value is empty and ready. Not for concurrent use.
type Histogram struct {
	counts [buckets]uint64
	n      uint64
	sum    float64 // ns
	max    int64   // ns
}

// Record counts one time, nanoseconds; less than zero counts as zero.
func (h *Histogram) Record(nanos int64) {
	nanos = max(nanos, 0)
	h.counts[bucketOf(nanos)]++
	h.n++
	h.sum += float64(nanos)
	h.max = max(h.max, nanos)
}

// Add counts everything that other has counted.
func (h *Histogram) Add(other *Histogram) {
	for i, c := range other.counts {
		h.counts[i] += c
	}
	h.n += other.n
	h.sum += other.sum
	h.max = max(h.max, other.max)
}

// Count is how many times were recorded.
func (h *Histogram) Count() uint64 { return h.n }

// Quantile is the time that the share q (0 to 1) of all times does not exceed, to within a bucket's width; 0 when empty.
func (h *Histogram) Quantile(q float64) time.Duration {
	if h.n == 0 {
		return 0
	}
	rank := uint64(q * float64(h.n))
	if float64(rank) < q*float64(h.n) || rank == 0 {
		rank++ // the smallest rank that covers the share
	}
	var seen uint64
	for i, c := range h.counts {
		if seen += c; seen >= rank {
			return time.Duration(min(upperEdge(i), h.max))
		}
	}
	return time.Duration(h.max)
}

// bucketOf maps a time to its bucket: exact below subBuckets, then subBuckets of them for each power of two.
func bucketOf(nanos int64) int {
	v := uint64(nanos)
	if v < subBuckets {
		return int(v)
	}
	shift := bits.Len64(v) - subBits - 1
	i := (shift+1)*subBuckets + int(v>>shift) - subBuckets
	return min(i, buckets-1)
}

// upperEdge is the largest time in a bucket.
func upperEdge(i int) int64 {
	if i < subBuckets {
		return int64(i)
	}
	shift := i/subBuckets - 1
	return int64(i%subBuckets+subBuckets+1)<<shift - 1
}

// Percentiles is a histogram's summary, microseconds.
type Percentiles struct {
	Count uint64  `json:"count"`
	Mean  float64 `json:"mean_us"`
	P50   float64 `json:"p50_us"`
	P90   float64 `json:"p90_us"`
	P99   float64 `json:"p99_us"`
	P999  float64 `json:"p999_us"`
	Max   float64 `json:"max_us"`
}

// Summary is nil for an empty histogram.
func (h *Histogram) Summary() *Percentiles {
	if h.n == 0 {
		return nil
	}
	us := func(q float64) float64 { return Micros(h.Quantile(q)) }
	return &Percentiles{
		Count: h.n, Mean: h.sum / float64(h.n) / 1e3,
		P50: us(0.5), P90: us(0.9), P99: us(0.99), P999: us(0.999), Max: Micros(time.Duration(h.max)),
	}
}

// Micros is a duration in microseconds.
func Micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
