// Package enclave is `parley bench enclave`: a Node of this program that friends call, all of them from addresses of loopback, and
// whose people use its named pipes. The yardstick is a bare loop over the same sockets.
package enclave
