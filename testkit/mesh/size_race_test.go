//go:build race

package mesh_test

// How much is simulated where the race detector makes it ten times as slow. The
// driver runs one thing at a time, so the detector finds little here; make
// sim-smoke runs all of it.
const (
	randomRuns = 20
	crowd      = 30 // nodes
	manyNames  = 2_000
)
