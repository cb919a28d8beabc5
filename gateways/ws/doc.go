// Package ws makes WebSocket connections into link sockets.
//
// The gorilla library does the handshake, dials, and reads; all writing is the
// link's. What the library does not check is checked here, on the bytes before
// it sees them or on the message after: fragments and control frames are
// bounded, a message must be whole in time, text must be UTF-8. Compression is
// never negotiated: 260 kB on the wire became 572 MiB of heap under a 1 MiB
// read limit (measured).
package ws
