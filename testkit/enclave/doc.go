// Package enclave has what tests of Enclave need besides the node itself: a Peer of another make, which was written from the notes
// that describe Enclave and knows nothing else, and a House, a node of ours in this process.
package enclave
