// Package mesh is a node's part in the relay mesh: who its peers are, which way
// packets go, and who has which channel. Source: gateways/mesh/PROTOCOL.md.
//
//	peers ── peer …   one a link: handshake, malformed packets, latency
//	scout             finds more nodes to be linked with
//	router            what has been seen, where packets go, what this node's channels get
//	hello             tells all that this node lives, and its links
//	commands          asks other nodes, collects their answers, and passes on what others ask
//	reservations      who has which channel, and whose it is when two opened it
//	master            watches over the mesh, where that is wanted
//
// A packet goes link → peer → router → channel or shards. All of it is spawned
// by Spawn, and gets to know its surroundings by Meet.
package mesh
