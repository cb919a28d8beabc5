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

// Main is TestMain of packages whose goroutines may end a little later than who
// stopped them: it looks more than once. Others use goleak.VerifyTestMain.
func Main(m *testing.M) {
	code := m.Run()
	var leak error
	for range looks {
		if leak = goleak.Find(); leak == nil {
			os.Exit(code)
		}
	}
	fmt.Fprintln(os.Stderr, leak)
	os.Exit(max(code, 1))
}
