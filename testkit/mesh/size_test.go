//go:build !race

package mesh_test

// How much is simulated: all of it.
const (
	randomRuns = 200
	crowd      = 100 // nodes
	manyNames  = 10_000
)
