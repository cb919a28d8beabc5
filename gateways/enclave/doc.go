// Package enclave speaks Enclave with other people's nodes: JSON objects in
// length-prefixed packets over TCP. PROTOCOL.md in this folder is the wire; Codec
// translates it, Gateway listens, Dialler connects.
package enclave
