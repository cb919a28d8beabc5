package jsonwalk

import (
	"testing"

	"parley/testkit/leaks"
)

func TestMain(m *testing.M) { leaks.Main(m) }
