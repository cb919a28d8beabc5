package node

import (
	"strings"
	"testing"

	"github.com/asynkron/protoactor-go/actor"

	"parley/messages/starpb"
	"parley/messages/uipb"
	"parley/testkit"
)

// TestStatusOfARendezvous asks a registry made of paper.
func TestStatusOfARendezvous(t *testing.T) {
	testkit.Seeds(t, 10, func(t *testing.T, d *testkit.Driver) {
		var status *actor.PID
		says := &starpb.Status{Sockets: 4, Peers: 2, Dials: 1, Addresses: []string{"/a/ipfs/Qm1", "/b/ipfs/Qm2"}}
		w := newWorld(t, d, func(w *world, ctx actor.Context) {
			registry := w.paper(ctx, "registry", func(ctx actor.Context) {
				if _, ok := ctx.Message().(*starpb.StatusRequest); ok {
					ctx.Respond(says)
				}
			})
			status = SpawnStatus(ctx, Reporting{Name: "ada", Broadcasts: w.broadcasts, Star: registry, Descriptor: func() string { return "" }})
		})
		w.ask(status, owner, "starPeers", nil).hears(&uipb.StarPeers{Peers: says.GetAddresses(), Online: 2, Sockets: 4, Dials: 1})
		says = &starpb.Status{}
		w.ask(status, owner, "starPeers", nil).hears(&uipb.StarPeers{})
		w.stop()
	})
}

func TestListed(t *testing.T) {
	many := make([]string, listedMost+1)
	half := strings.Repeat("x", listedBytes/2)
	for _, c := range []struct {
		name string
		all  []string
		want int
	}{
		{"none", nil, 0},
		{"as many as go", many[:listedMost], listedMost},
		{"one more", many, listedMost},
		{"as long as goes", []string{half, half, ""}, 3},
		{"longer", []string{half, half, "x", ""}, 2},
		{"one that is too long", []string{half + half + "x"}, 0},
	} {
		if got := len(listed(c.all)); got != c.want {
			t.Errorf("%s: %d are listed, want %d", c.name, got, c.want)
		}
	}
}
