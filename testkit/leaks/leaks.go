// Package leaks looks for goroutines that the tests of a package leave behind.
package leaks

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// looks is how often Main looks, half a second each: the actor library keeps a
// goroutine for a second when its own Stop finds an actor stopped, and links
// linger for their goodbyes.
const looks = 30

// Main is TestMain of all packages. It looks more than once, since goroutines may
// end a little later than who stopped them, and cleans up before the process ends.
func Main(m *testing.M, cleanup ...func()) {
	code := m.Run()
	var leak error
	for range looks {
		if leak = goleak.Find(); leak == nil {
			break
		}
	}
	if leak != nil {
		fmt.Fprintln(os.Stderr, leak)
		code = max(code, 1)
	}
	for _, f := range cleanup {
		f()
	}
	os.Exit(code)
}
