package testkit

import (
	"flag"
	"os"
	"strconv"
	"testing"
	"testing/synctest"
)

// seedFlag and seedEnv replay one seed. The variable serves runs over many
// packages: not all of them know the flag. seedsFlag is for long searches.
var (
	seedFlag  = flag.Uint64("seed", 0, "run seeded tests with this seed only; 0: all of them")
	seedsFlag = flag.Uint64("seeds", 0, "run seeded tests with this many seeds; 0: as many as each wants")
)

const seedEnv = "TESTKIT_SEED"

// wantedSeed is the seed to replay, 0 when there is none.
func wantedSeed(t testing.TB) uint64 {
	if *seedFlag != 0 {
		return *seedFlag
	}
	text := os.Getenv(seedEnv)
	if text == "" {
		return 0
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("testkit: %s: not a seed: %q", seedEnv, text)
	}
	return seed
}

// Seeds runs a test in n bubbles of fake time, each with the driver of another
// seed, 1 to n. A failure prints its seed; -seed or TESTKIT_SEED then runs that
// one alone.
func Seeds(t *testing.T, n uint64, test func(t *testing.T, d *Driver)) {
	t.Helper()
	if *seedsFlag != 0 {
		n = *seedsFlag
	}
	first, last := uint64(1), n
	if seed := wantedSeed(t); seed != 0 {
		first, last = seed, seed
	}
	for seed := first; seed <= last; seed++ {
		ok := false
		synctest.Test(t, func(t *testing.T) {
			defer func() { // also after a panic or a Fatal
				if !ok || t.Failed() {
					t.Logf("testkit: seed %d; replay: go test -run '^%s$' -seed=%d", seed, t.Name(), seed)
				}
			}()
			test(t, NewDriver(seed))
			ok = true
		})
	}
}
