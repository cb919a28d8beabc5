//go:build race

package ui

// raceFactor is how much more memory the race detector may take.
const raceFactor = 2
