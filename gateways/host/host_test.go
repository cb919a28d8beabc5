package host

import (
	"testing"

	"parley/testkit/leaks"
)

func TestMain(m *testing.M) { leaks.Main(m) }

// TestRead looks at the machine that the test runs on. What it cannot read it
// must name; what it read must be possible.
func TestRead(t *testing.T) {
	r, err := Read()
	if err != nil {
		t.Logf("incomplete here: %v", err)
	}
	if r == nil || r.GetNetwork() == nil {
		t.Fatal("no reading")
	}
	if n := len(r.GetLoad()); n != 3 && err == nil {
		t.Errorf("%d load averages", n)
	}
	for i, l := range r.GetLoad() {
		if l < 0 {
			t.Errorf("load %d is %v", i, l)
		}
	}
	m := r.GetMemory()
	if err == nil && (m.GetTotal() == 0 || m.GetUsed() > m.GetTotal() || m.GetFree() > m.GetTotal() || m.GetAvailable() > m.GetTotal()) {
		t.Errorf("memory %v", m)
	}
	seen := map[string]bool{}
	for _, d := range r.GetDisks() {
		if d.GetMount() == "" || d.GetTotal() == 0 || d.GetUsed() > d.GetTotal() || d.GetFree() > d.GetTotal() || seen[d.GetMount()] {
			t.Errorf("disk %v", d)
		}
		seen[d.GetMount()] = true
	}
	again, _ := Read()
	if a, b := r.GetNetwork(), again.GetNetwork(); b.GetBytesIn() < a.GetBytesIn() || b.GetPacketsOut() < a.GetPacketsOut() {
		t.Errorf("network counters went from %v back to %v", a, b)
	}
}
