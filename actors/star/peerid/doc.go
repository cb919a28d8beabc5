// Package peerid knows the addresses, ids and public keys of libp2p as far as a
// rendezvous needs them: whether an address is one, whether others may be told of
// it, and whether who asks for it has the key that its id was made from. Nothing
// here rewrites an address. Source: gateways/star/PROTOCOL.md, Addresses and
// Challenge.
package peerid
