package vault

import (
	"os"
	"testing"

	"parley/testkit/leaks"
)

// roleEnv is what this test program does when another one starts it.
const roleEnv = "VAULT_TEST_ROLE"

func TestMain(m *testing.M) {
	if os.Getenv(roleEnv) == "change" {
		changePasswords()
		return
	}
	leaks.Main(m)
}
