// Package star is the rendezvous of libp2p's WebSocketStar: clients register
// addresses, hear of each other, and dial each other through this node.
//
//	sessions    one session a socket
//	session     what one client has: its addresses, its dials
//	registry    who is online under which address
//	challenge   nonces and signatures: who asks for an address has its key
//	announcer   tells everybody of everybody, again and again
//	proxies     one proxy a dial
//	proxy       both streams of a dial
//
// A frame's way: gateways/star/codec.go, session.go, registry.go (dials) or
// proxy.go (streams), the other client's link. Source: gateways/star/PROTOCOL.md.
package star
