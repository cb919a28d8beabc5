// Package starclient is the client side of WebSocketStar: a Wire is one
// Engine.IO connection frame by frame, for those who test what a server makes of
// them; a Client joins, dials and is dialled, as libp2p's own does; an Identity
// is the key that an address belongs to. Source: gateways/star/PROTOCOL.md.
package starclient
