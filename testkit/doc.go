// Package testkit runs gateways and actors in one process on fake time: real
// HTTP and WebSocket gateways over an in-memory network, clients that play
// transcripts, and checks that no test can forget.
//
//	System, Stop   an actor system that fails its test on dead letters, failed actors and leaked actors
//	Driver, Seeds  runs actors, timers and slow work one at a time, in an order drawn from a seed
//	Network        listeners and connections with latency, full buffers, partitions and cuts
//	Tell           plays a story: a transcript of what clients say and hear
//	WS             a WebSocket client that can also write what no client should
//	rules          the house rules as checks over the source
//
// Everything but rules is used inside a testing/synctest bubble.
package testkit
