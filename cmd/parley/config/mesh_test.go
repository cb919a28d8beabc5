package config

import (
	"slices"
	"testing"
)

func TestWhereANodeIsReached(t *testing.T) {
	node := func(change func(*Node)) *Node {
		n := &Node{Name: "anna", RelayAddress: "127.0.0.1", Mesh: Mesh{NeighborhoodMode: ModeStandard}}
		change(n)
		return n
	}
	for name, c := range map[string]struct {
		change           func(*Node)
		host, descriptor string
	}{
		"the address it listens on": {func(*Node) {}, "ws://127.0.0.1:8912/", "parley://tok@127.0.0.1:8912?name=anna"},
		"of IPv6":                   {func(n *Node) { n.RelayAddress = "::1" }, "ws://[::1]:8912/", "parley://tok@[::1]:8912?name=anna"},
		"by a name":                 {func(n *Node) { n.RelayAddress = "localhost" }, "ws://localhost:8912/", "parley://tok@localhost:8912?name=anna"},
		"every interface":           {func(n *Node) { n.RelayAddress = "0.0.0.0" }, "", ""},
		"every interface, and an address": {
			func(n *Node) { n.RelayAddress, n.IP = "::", "203.0.113.7" }, "ws://203.0.113.7:8912/", "parley://tok@203.0.113.7:8912?name=anna",
		},
		"with TLS": {func(n *Node) { n.RelayTLSCertificate = "x" }, "wss://127.0.0.1:8912/", "parley://tok@127.0.0.1:8912?name=anna&tls=1"},
		"behind a proxy": {
			func(n *Node) { n.PublicURL, n.RelayAddress = "wss://relay.example/", "0.0.0.0" }, "wss://relay.example/", "parley://tok@relay.example:443?name=anna&tls=1",
		},
		"behind a proxy with a port": {func(n *Node) { n.PublicURL = "ws://[2001:db8::1]:81" }, "ws://[2001:db8::1]:81", "parley://tok@[2001:db8::1]:81?name=anna"},
		"behind a proxy, no port":    {func(n *Node) { n.PublicURL = "ws://relay.example" }, "ws://relay.example", "parley://tok@relay.example:80?name=anna"},
		"behind a proxy with a path": {func(n *Node) { n.PublicURL = "wss://relay.example/parley/" }, "wss://relay.example/parley/", ""},
		"nobody connects":            {func(n *Node) { n.NeighborhoodMode = ModeOriginate }, "", ""},
		"no mesh":                    {func(n *Node) { n.NeighborhoodMode = ModeZeroHop }, "", ""},
	} {
		n := node(c.change)
		if got := n.Host(8912); got != c.host {
			t.Errorf("%s: host is %q, want %q", name, got, c.host)
		}
		got := n.Descriptor(8912, "tok")
		if got != c.descriptor {
			t.Errorf("%s: descriptor is %q, want %q", name, got, c.descriptor)
		}
		if got != "" && checkNeighbor(got) != "" {
			t.Errorf("%s: %q %s", name, got, checkNeighbor(got))
		}
	}
}

func TestDialled(t *testing.T) {
	m := Mesh{Neighbors: []string{"parley://a@h.example:81?name=n&tls=1", "parley://b@[::1]:82", "parley://b@[::1]:82"}}
	want := []Neighbor{{"n", "wss://h.example:81/", "a"}, {"", "ws://[::1]:82/", "b"}}
	if got := m.Dialled(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestModes(t *testing.T) {
	for mode, want := range map[string][3]bool{
		ModeStandard: {true, true, true}, ModeOriginate: {true, false, true}, ModeConsume: {true, false, false}, ModeZeroHop: {},
	} {
		m := Mesh{NeighborhoodMode: mode}
		if got := [3]bool{m.Meshed(), m.Accepts(), m.Relays()}; got != want {
			t.Errorf("%s: meshed, accepts, relays %v, want %v", mode, got, want)
		}
	}
}
