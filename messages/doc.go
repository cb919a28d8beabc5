// Package messages holds what actors and gateways say to each other.
//
// The sub-packages (linkpb, relaypb, …) are generated from proto/ and committed.
// Written by hand are the few types that carry Go values and so cannot be
// protobuf: Shared, a message encoded once for many readers, and Multicast, its
// way to a fan-out shard.
//
// A message that was sent is frozen: neither the sender nor a receiver changes it.
package messages
