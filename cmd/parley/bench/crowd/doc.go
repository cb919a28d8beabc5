//go:build linux

// Package crowd holds thousands of relay clients at little cost: raw sockets, one or a few loops that wait with epoll and
// read into one shared buffer, no goroutine a client. Sockets are kept out of Go's own poller, which would be woken for
// every packet as well.
package crowd
