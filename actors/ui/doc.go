// Package ui is what a Daemon and a Node have in common towards user
// interfaces: one client a connection, one conversation a context id, and the
// broadcasts.
//
// A request goes link → client → conversation → the actor that the Desk names
// for its opcode, and its answer goes back conversation → link. The client
// decides whose turn it is: a conversation has one request at a time, others of
// the same context id wait in the client, so the next message in a conversation
// is always the answer to the last request.
//
// Who answers gets a uipb.Ask and responds with the body of a uipb.Response, or
// with a uipb.Fault. An answer that comes too late finds its conversation gone.
package ui
