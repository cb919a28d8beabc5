package vault

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// roleEnv is what this test program does when another one starts it.
const roleEnv = "VAULT_TEST_ROLE"

func TestMain(m *testing.M) {
	if os.Getenv(roleEnv) == "change" {
		changePasswords()
		return
	}
	goleak.VerifyTestMain(m)
}
