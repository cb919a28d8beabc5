// Package star serves clients of the WebSocketStar rendezvous: socket.io over
// WebSocket. PROTOCOL.md in this folder is the wire; Codec translates it, Socket
// puts a packet and its attachments together, Gateway listens.
package star
