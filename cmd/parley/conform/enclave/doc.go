// Package enclave has the cases of Enclave: "wire" is what the notes that describe it say, so that every peer must do it; "rules"
// is what gateways/enclave/PROTOCOL.md says besides.
//
// A peer is told apart by the address it calls from, so a tester needs addresses that the tested one knows: a friend's, one that
// it ignores, and one that it has never heard of. On loopback every address of 127.0.0.0/8 is there.
package enclave
