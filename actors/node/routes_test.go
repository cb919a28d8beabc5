package node

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"parley/actors/tree"
)

func TestRoutes(t *testing.T) {
	sys := tree.New(tree.Options{})
	defer sys.Shutdown()
	pid := sys.NewLocalPID
	routes := Routes(Answering{
		Configuration: pid("configuration"), Password: pid("password"), Status: pid("status"), People: pid("people"),
		Shutdown: pid("shutdown"), Crash: pid("crash"), Broadcasts: pid("broadcasts"),
	})
	var got []string
	for _, opcode := range slices.Sorted(maps.Keys(routes)) {
		r := routes[opcode]
		line := opcode + " " + r.To.GetId()
		for _, flag := range []struct {
			set  bool
			name string
		}{{r.Changes, "changes"}, {r.Confirm, "confirm"}, {r.Isolated, "isolated"}} {
			if flag.set {
				line += " " + flag.name
			}
		}
		if r.Timeout > 0 {
			line += fmt.Sprint(" ", r.Timeout.Round(time.Second))
		}
		got = append(got, line)
	}
	want := []string{
		"acceptContact people changes",
		"addContact people changes",
		"changePassword password changes 45s",
		"channels status",
		"checkPassword password 45s",
		"configuration configuration 45s",
		"connectionStatus status",
		"contacts people changes",
		"crash crash changes isolated",
		"descriptor status changes",
		"history people changes 45s",
		"hostStats status",
		"ignoreContact people changes",
		"neighborhoodGraph status",
		"nodeStats status",
		"peers status",
		"removeContact people changes",
		"sendMessage people changes",
		"setAlias people changes",
		"setConfiguration configuration changes",
		"setStatus people changes",
		"shutdown shutdown changes confirm",
		"starPeers status",
		"subscribe broadcasts",
		"unsubscribe broadcasts",
	}
	if !slices.Equal(got, want) {
		t.Errorf("routes are\n%q, want\n%q", got, want)
	}
}
