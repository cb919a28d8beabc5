// Package pipe is the oldest front end of Enclave: two named pipes in a folder of
// the node, JSON Lines in each. Programs write commands to one and read events
// from the other.
//
//	in    front end → inlet → Pipe's actor → actors/enclave/frontends.go
//	out   front end ← outlet ← Pipe's actor ← actors/enclave/frontends.go
//
// Source: gateways/enclave/PROTOCOL.md, Front ends. Both pipes are read and
// written beside the actors, which never wait for them: a program that comes and
// goes, or never does, costs what is kept for it, and no more.
package pipe
