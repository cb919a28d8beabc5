package gauge

import (
	"math"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"parley/testkit/leaks"
)

func TestMain(m *testing.M) { leaks.Main(m) }

// TestQuantiles compares with a sorted list: never below the true value, and over it by one bucket's width at most.
func TestQuantiles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		times := rapid.SliceOfN(rapid.Int64Range(0, 1<<38), 1, 300).Draw(t, "times")
		q := rapid.SampledFrom([]float64{0.001, 0.5, 0.9, 0.99, 0.999, 1}).Draw(t, "q")
		parts := [2]Histogram{}
		for i, n := range times {
			parts[i%2].Record(n)
		}
		h := &parts[0]
		h.Add(&parts[1])
		slices.Sort(times)
		want := times[max(int(math.Ceil(q*float64(len(times)))), 1)-1]
		got := int64(h.Quantile(q))
		if got < want || float64(got) > float64(want)*(1+1.0/subBuckets)+1 {
			t.Fatalf("quantile %v is %d, want %d", q, got, want)
		}
		if s := h.Summary(); s.Count != uint64(len(times)) || s.Max != float64(times[len(times)-1])/1e3 {
			t.Fatalf("summary %+v of %d times", s, len(times))
		}
	})
}

func TestHistogramEdges(t *testing.T) {
	h := &Histogram{}
	if h.Summary() != nil || h.Quantile(0.5) != 0 {
		t.Fatal("an empty histogram has a summary")
	}
	h.Record(-5)
	if got := h.Quantile(1); got != 0 {
		t.Fatalf("a negative time counts as %v", got)
	}
	h.Record(math.MaxInt64)
	if got := h.Quantile(1); got <= time.Duration(1)<<(maxBits-1) {
		t.Fatalf("a time beyond all buckets counts as %v", got)
	}
	for i := range buckets - 1 {
		if bucketOf(upperEdge(i)) != i || bucketOf(upperEdge(i)+1) != i+1 {
			t.Fatalf("bucket %d ends at %d", i, upperEdge(i))
		}
	}
}

func TestParseStat(t *testing.T) {
	rest := " S 1 4242 4242 0 -1 4194304 1000 0 0 0 150 25 0 0 20 0 9 0 100 1000000 500 1844"
	for _, c := range []struct {
		name, stat string
		want       time.Duration
		ok         bool
	}{
		{"plain", "4242 (parley)" + rest, 1750 * time.Millisecond, true},
		{"spaces and brackets", "4242 (a) b (c) 1 2)" + rest, 1750 * time.Millisecond, true},
		{"no name", "4242 parley S 1", 0, false},
		{"short", "4242 (parley) S 1 2 3", 0, false},
		{"no number", "4242 (parley) S 1 4242 4242 0 -1 4194304 1000 0 0 0 x 25", 0, false},
		{"empty", "", 0, false},
	} {
		got, err := parseStat([]byte(c.stat))
		if got != c.want || (err == nil) != c.ok {
			t.Errorf("%s: %v %v, want %v", c.name, got, err, c.want)
		}
	}
}

func TestParseStatus(t *testing.T) {
	for _, c := range []struct {
		name, status string
		want         Memory
		ok           bool
	}{
		{"plain", "Name:\tparley\nVmPeak:\t  99 kB\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\nThreads:\t9\n", Memory{1024, 2048}, true},
		{"kernel thread", "Name:\tkthreadd\nThreads:\t1\n", Memory{}, false},
		{"other unit", "VmHWM:\t2 MB\nVmRSS:\t1 MB\n", Memory{}, false},
		{"no number", "VmHWM:\tx kB\nVmRSS:\t1 kB\n", Memory{}, false},
	} {
		got, err := parseStatus([]byte(c.status))
		if (err == nil) != c.ok || (c.ok && got != c.want) {
			t.Errorf("%s: %+v %v, want %+v", c.name, got, err, c.want)
		}
	}
}

func TestProcesses(t *testing.T) {
	one := Processes{os.Getpid()}
	two := append(one, os.Getpid())
	m1, err := one.Memory()
	if err != nil || m1.Resident <= 0 || m1.Highest < m1.Resident {
		t.Fatalf("memory %+v %v", m1, err)
	}
	m2, err := two.Memory()
	if err != nil || m2.Resident <= m1.Resident {
		t.Fatalf("memory of two %+v %v, of one %+v", m2, err, m1)
	}
	if _, err := one.CPU(); err != nil {
		t.Fatal(err)
	}
	if d, err := (Processes{}).CPU(); d != 0 || err != nil {
		t.Fatalf("no processes used %v %v", d, err)
	}
	if SelfCPU() <= 0 {
		t.Fatal("this process used no time")
	}
	// A process that has ended and been waited for.
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	gone := Processes{cmd.Process.Pid}
	if _, err := gone.CPU(); err == nil {
		t.Fatal("an ended process has processor time")
	}
	if _, err := gone.Memory(); err == nil {
		t.Fatal("an ended process has memory")
	}
	if _, err := StartSampler(gone, time.Hour).Stop(); err == nil {
		t.Fatal("an ended process was sampled")
	}
}

func TestSampler(t *testing.T) {
	s := StartSampler(Processes{os.Getpid()}, time.Millisecond)
	for range 2 {
		got, err := s.Stop()
		if err != nil || len(got) < 2 || got[0].Resident <= 0 {
			t.Fatalf("%v %v", got, err)
		}
		if !slices.IsSortedFunc(got, func(a, b Sample) int { return int((a.At - b.At) * 1e9) }) {
			t.Fatalf("not in order of time: %v", got)
		}
	}
	if got, err := StartSampler(nil, time.Hour).Stop(); got != nil || err != nil {
		t.Fatalf("nothing to sample: %v %v", got, err)
	}
}
