// Package mesh runs many nodes under one driver, on fake time: the real actors
// of actors/mesh and actors/relay, with links that are simulated a message at a
// time. What is sent travels with latency, in order in each direction of a link
// and in any order between links; links are cut and stall, nodes die and come
// again with another clock.
//
//	Sim     the network: nodes, the links between them, what may go wrong
//	Node    one node: its own actor system, with all that its gateways would bring
//	Client  a client of a node's relay; all it hears is checked as it comes
//	Rogue   a node's peer that is no node: it says what a test makes it say
//	Random  a run drawn from a seed
//
// Everything happens on the goroutine that makes the driver's steps, so nothing
// here is locked. Source of what is checked: gateways/mesh/PROTOCOL.md.
package mesh
