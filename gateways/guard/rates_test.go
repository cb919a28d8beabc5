package guard

import (
	"net/netip"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"golang.org/x/time/rate"
	"pgregory.net/rapid"
)

func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRates(10, 3)
		a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
		allowed := func(ip netip.Addr, tries int) (n int) {
			for range tries {
				if r.Allow(ip) {
					n++
				}
			}
			return n
		}
		if n := allowed(a, 100); n != 3 {
			t.Errorf("burst: %d, want 3", n)
		}
		if n := allowed(b, 1); n != 1 {
			t.Error("another address pays for the first")
		}
		time.Sleep(99 * time.Millisecond)
		if n := allowed(a, 1); n != 0 {
			t.Error("a token before its time")
		}
		time.Sleep(time.Millisecond)
		if n := allowed(a, 5); n != 1 {
			t.Errorf("after 100 ms: %d, want 1: refused tries must cost nothing", n)
		}
		time.Sleep(time.Hour)
		if n := allowed(a, 100); n != 3 {
			t.Errorf("after an hour: %d, want the burst and no more", n)
		}
	})
}

func TestRateKeys(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"192.0.2.1", "192.0.2.2", false},
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"2001:db8:0:1::1", "2001:db8:0:1:ffff::2", true},
		{"2001:db8:0:1::1", "2001:db8:0:2::1", false},
		{"fe80::1%eth0", "fe80::2%eth1", true},
	} {
		if same := keyOf(netip.MustParseAddr(c.a)) == keyOf(netip.MustParseAddr(c.b)); same != c.same {
			t.Errorf("%s and %s: same bucket %v, want %v", c.a, c.b, same, c.same)
		}
	}
	if keyOf(netip.Addr{}) != 0 {
		t.Error("no address is not 0")
	}
}

// The bucket decides as golang.org/x/time/rate does.
func TestRateLikeLibrary(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		perSecond := rapid.IntRange(1, 1000).Draw(rt, "perSecond")
		burst := rapid.IntRange(1, 20).Draw(rt, "burst")
		pauses := rapid.SliceOfN(rapid.Int64Range(0, int64(3*time.Second)/int64(perSecond)), 1, 200).Draw(rt, "pauses")
		// A period of whole nanoseconds, so that both round alike.
		interval := time.Second / time.Duration(perSecond)
		var diff []int
		synctest.Test(t, func(*testing.T) {
			ours := NewRates(float64(time.Second)/float64(interval), burst)
			theirs := rate.NewLimiter(rate.Every(interval), burst)
			ip := netip.MustParseAddr("192.0.2.1")
			for i, pause := range pauses {
				time.Sleep(time.Duration(pause))
				// The library counts in floats: ask it a hair later and earlier.
				now := time.Now()
				lo, hi := theirs.TokensAt(now.Add(-time.Microsecond)), theirs.TokensAt(now.Add(time.Microsecond))
				got := ours.Allow(ip)
				if (lo >= 1) == (hi >= 1) && got != (lo >= 1) {
					diff = append(diff, i)
				}
				if got {
					theirs.ReserveN(now, 1)
				}
			}
		})
		if len(diff) > 0 {
			rt.Fatalf("decisions %v differ", diff)
		}
	})
}

func TestRateTableBounded(t *testing.T) {
	const limitBytes = 8 << 20
	if size := unsafe.Sizeof(Rates{}); size > limitBytes {
		t.Fatalf("table has %d bytes", size)
	}
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	r := NewRates(1, 1)
	for i := range 1_000_000 {
		r.Allow(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}))
	}
	if after := heap(); after > before+limitBytes {
		t.Errorf("heap grew by %d bytes", after-before)
	}
	runtime.KeepAlive(r)
	if n := testing.AllocsPerRun(100, func() { r.Allow(netip.IPv6LinkLocalAllNodes()) }); n != 0 {
		t.Errorf("%v allocations a try", n)
	}
}

// A flood of fresh addresses does not give somebody who has used up his burst a
// new one, however long it is.
func TestFloodForgivesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const burst = 5
		r := NewRates(1, burst)
		hot := netip.MustParseAddr("192.0.2.1")
		for range burst {
			r.Allow(hot)
		}
		for i := range 500_000 {
			r.Allow(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}))
			if i%1000 == 0 && r.Allow(hot) {
				t.Fatalf("a fresh bucket after %d other addresses", i)
			}
		}
	})
}

func BenchmarkAllow(b *testing.B) {
	r := NewRates(1000, 10)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		r.Allow(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}))
	}
}
