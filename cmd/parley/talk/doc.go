// Package talk is the user interface's side of MASQNode-UIv2, for command-line
// verbs: a Session asks questions and gets answers. That the Daemon answers some
// questions and the Node others, that a Node ends and comes back, and on which
// port it is, stays in here. Source: gateways/uiv2/PROTOCOL.md.
//
// Before a secret is sent, the kernel is asked who owns the server's socket:
// while the Daemon is not running, any local user could listen on its port.
package talk
