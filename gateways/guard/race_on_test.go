//go:build race

package guard

// raceEnabled: the race detector allocates, and makes sync.Pool forget.
const raceEnabled = true
