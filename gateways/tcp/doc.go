// Package tcp carries messages over plain TCP: each is a packet, four bytes of
// length in network order and so many bytes of payload.
//
//	Framing    puts lengths before payloads
//	Socket     reads packets, of any segmentation, for a link
//	Listener   lets in, through a guard.Door
//	Dialler    connects, from the address that this node listens on
//
// A length is looked at before anything is allocated for it, memory grows with
// the bytes that came, and a packet that has begun must be whole in 10 s. An
// idle connection holds no buffer.
package tcp
