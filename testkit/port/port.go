// Package port finds TCP ports for tests that need one before anybody listens on it.
package port

import (
	"fmt"
	"net"
	"os"
	"sync"
	"testing"
)

// The range ends where Linux begins to pick ports for those who name none: what
// is free here stays so until the test takes it.
const (
	first = 20_000
	last  = 32_767
)

var (
	mu   sync.Mutex
	next = first + os.Getpid()*61%(last-first) // processes of tests run side by side
)

// Free is a port of 127.0.0.1 that nobody listens on, and that no other test of
// this process was given.
func Free(t testing.TB) int {
	t.Helper()
	mu.Lock()
	defer mu.Unlock()
	for range last - first {
		if next++; next > last {
			next = first
		}
		l, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", next))
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		return next
	}
	t.Fatal("port: none is free")
	return 0
}
