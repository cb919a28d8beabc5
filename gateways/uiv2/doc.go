// Package uiv2 serves user interfaces: WebSockets of the subprotocol
// MASQNode-UIv2, on loopback. PROTOCOL.md in this folder is the wire; Codec
// translates it, Gateway decides who comes in.
package uiv2
