// Package relay serves the clients of a relay node: WS /connect. PROTOCOL.md in
// this folder is the wire; Codec translates it, Gateway listens.
package relay
