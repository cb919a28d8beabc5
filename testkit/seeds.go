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

// Replaying reports whether one seed was asked for: a test may say more then.
func Replaying() bool { return *seedFlag != 0 || os.Getenv(seedEnv) != "" }

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
	first, last := wantedSeeds(t, n)
	for seed := first; seed <= last; seed++ {
		bubble(t, t.Name(), seed, test)
	}
}

// SeedsApart is Seeds that makes each seed a subtest, and runs as many at once as
// -parallel says: a failure shows what that seed logged, and the others go on.
func SeedsApart(t *testing.T, n uint64, test func(t *testing.T, d *Driver)) {
	t.Helper()
	first, last := wantedSeeds(t, n)
	for seed := first; seed <= last; seed++ {
		t.Run(strconv.FormatUint(seed, 10), func(sub *testing.T) {
			sub.Parallel()
			bubble(sub, t.Name(), seed, test)
		})
	}
}

// wantedSeeds are the seeds to run, where a test wants n.
func wantedSeeds(t *testing.T, n uint64) (first, last uint64) {
	t.Helper()
	if *seedsFlag != 0 {
		n = *seedsFlag
	}
	if seed := wantedSeed(t); seed != 0 {
		return seed, seed
	}
	return 1, n
}

// bubble runs one seed of the test called name.
func bubble(t *testing.T, name string, seed uint64, test func(t *testing.T, d *Driver)) {
	t.Helper()
	ok := false
	synctest.Test(t, func(t *testing.T) {
		defer func() { // also after a panic or a Fatal
			if !ok || t.Failed() {
				t.Logf("testkit: seed %d; replay: go test -run '^%s$' -seed=%d", seed, name, seed)
			}
		}()
		test(t, NewDriver(seed))
		ok = true
	})
}
