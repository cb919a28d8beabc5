// Package wire has the parts of the client wire (WebSocket, RFC 6455, and the relay's JSON on it) that a load generator
// needs, made to cost little: frames are appended to buffers, read by a scanner that copies nothing, and their JSON is
// searched, never decoded.
package wire
