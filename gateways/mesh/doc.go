// Package mesh connects nodes: WS /node, accepted and dialled. PROTOCOL.md in
// this folder is the wire; Codec translates it, Gateway lets in, Dialler goes
// out.
package mesh
