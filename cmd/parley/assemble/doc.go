// Package assemble puts gateways and actors together into a running node. It is
// the one place that knows both sides; the tests run the very same assembly on
// an in-memory network.
package assemble
