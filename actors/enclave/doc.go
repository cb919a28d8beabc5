// Package enclave is a node's part in Enclave: people who talk to people, each
// node a peer.
//
//	book        the address book, in the database
//	friends     one friend a contact, how this node is seen, who is let in
//	friend      what there is with one contact: links, dialling, what waits
//	strangers   unknown callers, held until somebody decides
//	outbox      messages that wait, in the database
//	chronicle   what was said, in the database
//	frontends   commands of people, and what they are told
//
// A message's way in: gateways/tcp has its bytes, gateways/enclave/codec.go makes an
// enclavepb.Packet of them, and gateways/link gives that to its friend (hearing.go),
// which tells it from what came before. It goes on as said, in bursts, to chronicle,
// which has it stored and tells it to frontends, and so to the front ends that listen
// there; when noted comes back, friend acknowledges it. Its way out: a front end,
// frontends, friends, friend (sending.go), to outbox and back, and its link
// (voice.go). Of that chronicle hears by ours and progressed.
//
// Source: gateways/enclave/PROTOCOL.md.
package enclave
