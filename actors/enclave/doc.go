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
// A message's way: gateways/link, gateways/enclave/codec.go, friend.go,
// frontends.go, a front end. Source: gateways/enclave/PROTOCOL.md.
package enclave
