// Package guard decides, at the door of a listener, who may come in.
//
// A connection passes three checks, the cheapest first:
//
//	Accept    Door: connections in all, half-open ones of one address, new ones a second, half-open ones in all
//	header    Server: 5 s and 8 KiB for the first header, no HTTP/2, no keep-alive without end
//	request   Rules: Host, then Origin; Subprotocol where the wire demands one
//
// Whoever is turned away is counted under one of Reasons, never under an
// address: a label that a stranger chooses grows for ever.
//
// # Door
//
// A Door is a net.Listener that returns the connections of the one below as
// they are, because the link layer needs the *net.TCPConn for its non-blocking
// writes. It keeps a ticket for each connection instead, and learns of its
// fate by ConnState (the hook of http.Server), Opened and Closed:
//
//	half open  from Accept until http.StateHijacked or http.StateIdle, or Opened
//	open       until http.StateClosed, or Closed
//
// net/http says no word about a connection after its hijacking, so who hijacks
// calls Closed; best in the Close of the connection wrapper through which
// gorilla and crypto/tls write, because it is passed on every path. Wrappers
// are seen through by their method NetConn() net.Conn, as *tls.Conn has it. A
// TCP connection of which Closed was forgotten is found when a limit is hit.
//
// Over a limit:
//
//	MaxConns, HalfOpenPerAddress, Rate  the newcomer is reset
//	HalfOpenTotal                       the newcomer comes in and the oldest half-open connection is reset
//
// The last because an honest handshake takes milliseconds and a malicious one
// as long as it may: to keep honest clients out, an attacker with many
// addresses must renew all of HalfOpenTotal within one honest handshake, not
// within the header time-out.
//
// # Rates
//
// One bucket for an IPv4 address (mapped ones included) or an IPv6 /64, in a
// table of fixed size (256 KiB). A bucket is one number: the instant at which
// it is full again. A full bucket says no more than none at all, so the place
// taken by a new address is the one, of 16, that is full soonest. A flood of
// fresh addresses therefore pushes out its own buckets, not those of somebody
// who has used up his: for that, every one of the 16 neighbours (chosen by a
// hash with a random key) would have to be overdrawn as far as his.
//
// # Rules
//
// Host: with LoopbackOnly it must be localhost, 127.0.0.0/8 in four decimal
// parts, or [::1], without a port or with that of the listener; or it is one of
// Hosts. Names lose one trailing dot and upper case, addresses neither: octal,
// hexadecimal, short and IPv4-mapped forms are refused, also 0.0.0.0. This stops
// DNS rebinding, where the page's own name points at 127.0.0.1: its Origin and
// its Host agree, so no comparison of the two can see it. Without LoopbackOnly
// and Hosts any Host will do.
//
// Origin: absent is allowed, as programs send none. Else it must be one of
// Origins, byte for byte, or AnyOrigin is set; null, file:// and loopback
// origins are no exception. Two Origin headers are always refused.
package guard
