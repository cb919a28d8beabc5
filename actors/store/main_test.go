package store

import (
	"os"
	"testing"

	"parley/testkit/leaks"
)

// roles are what this test program does when another one starts it.
var roles = map[string]func(){}

const roleEnv = "STORE_TEST_ROLE"

func TestMain(m *testing.M) {
	if role := roles[os.Getenv(roleEnv)]; role != nil {
		role()
		return
	}
	leaks.Main(m)
}
