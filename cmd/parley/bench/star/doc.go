// Package star is `parley bench star`: clients of a WebSocketStar rendezvous server, ours or the one that others wrote, that
// join, hear of each other, dial, and send streams.
//
// Clients that only join and listen are raw sockets (package crowd), those that dial are starclient's. All of them have
// addresses of one key that differ in the port, so the index of who is announced is read from the port.
package star
