package vault

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestSecretIsNeitherSwappedNorDumped looks at what the system says of the page.
func TestSecretIsNeitherSwappedNorDumped(t *testing.T) {
	s := secret(t, "Xyzzy-4711")
	at := ""
	s.Open(func(b []byte) { at = strings.TrimPrefix(fmt.Sprintf("%p", b), "0x") })
	maps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	_, of, found := strings.Cut(string(maps), "\n"+at+"-")
	if !found {
		t.Fatalf("no mapping starts at %s", at)
	}
	_, line, _ := strings.Cut(of, "VmFlags:")
	line, _, _ = strings.Cut(line, "\n")
	flags := strings.Fields(line)
	if !slices.Contains(flags, "lo") || !slices.Contains(flags, "dd") {
		t.Errorf("the page has %v, want lo (locked) and dd (no dump)", flags)
	}
}
