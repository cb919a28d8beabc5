// Package life_test runs the built program as its users do: real processes, real
// sockets, real databases, real signals.
package life_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"parley/testkit/leaks"
)

// patience ends a wait that should take moments, on a busy machine too.
const patience = 60 * time.Second

// scratch holds the built binary while the tests of this package run.
var scratch string

func TestMain(m *testing.M) {
	if deed := os.Getenv(deedVariable); deed != "" {
		os.Exit(deeds[deed]())
	}
	var err error
	if scratch, err = os.MkdirTemp("", "parley-life-"); err != nil {
		panic(err)
	}
	// A Node of a Daemon that is root runs as somebody else, who must find it.
	if err := os.Chmod(scratch, 0o711); err != nil {
		panic(err)
	}
	leaks.Main(m, func() { _ = os.RemoveAll(scratch) })
}

// binary builds the program as it is shipped: static, without cgo. PARLEY_BINARY
// names one that is built.
var binary = sync.OnceValues(func() (string, error) {
	if at := os.Getenv("PARLEY_BINARY"); at != "" {
		return at, nil
	}
	at := filepath.Join(scratch, "parley")
	cmd := exec.Command("go", "build", "-trimpath", "-o", at, "parley/cmd/parley")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", &exec.Error{Name: "go build: " + string(out), Err: err}
	}
	return at, nil
})

// eventually polls cond until it holds. If it never does, more tells how things
// are.
func eventually(t testing.TB, what string, cond func() bool, more ...func() string) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	end := time.NewTimer(patience)
	defer end.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-end.C:
			for _, tell := range more {
				what += "\n" + tell()
			}
			t.Fatalf("in vain, after %v: %s", patience, what)
		}
	}
}
