package life_test

import (
	"fmt"
	"testing"
)

// TestManyUIs has all user interfaces hear of each change, however many there are.
func TestManyUIs(t *testing.T) {
	const changes = 3
	d := start(t, directory(t), nil)
	all := make([]*ui, cycles(t, 300))
	for i := range all {
		u, err := dial(t, d.port, 4)
		if err != nil {
			t.Fatal(err)
		}
		all[i] = u
	}
	for _, u := range all { // each is there by then
		u.ask("setup", `{"values":[]}`).want(t, `"chain"`)
	}
	for i := range changes {
		who := i * len(all) / changes
		price := fmt.Sprint(i)
		all[who].change("gas-price", price).want(t, `"errors":[]`)
		for j, u := range all {
			if j != who {
				u.await("setup").want(t, fmt.Sprintf(`"gas-price","value":%q,"status":"Set"`, price))
			}
		}
	}
	for _, u := range all {
		u.unheard("setup")
	}
	t.Logf("%d user interfaces; the Daemon takes %d KiB", len(all), resident(t, d.cmd.Process.Pid))
}
