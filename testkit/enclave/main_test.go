package enclave

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain looks for leaked goroutines more than once: links linger for their goodbyes.
func TestMain(m *testing.M) {
	code := m.Run()
	var leak error
	for range 30 { // half a second each
		if leak = goleak.Find(); leak == nil {
			break
		}
	}
	if leak != nil && code == 0 {
		fmt.Fprintln(os.Stderr, leak)
		code = 1
	}
	os.Exit(code)
}
