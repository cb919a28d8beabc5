package config

import "testing"

func TestMultiaddr(t *testing.T) {
	for _, c := range []struct {
		listen, ip, certificate, want string
	}{
		{"127.0.0.1", "", "", "/ip4/127.0.0.1/tcp/9090/ws/p2p-websocket-star"},
		{"localhost", "203.0.113.7", "", "/ip4/127.0.0.1/tcp/9090/ws/p2p-websocket-star"}, // nobody gets in from there
		{"::1", "", "c.pem", "/ip6/::1/tcp/9090/wss/p2p-websocket-star"},
		{"0.0.0.0", "", "", "/ip4/127.0.0.1/tcp/9090/ws/p2p-websocket-star"},
		{"::", "203.0.113.7", "", "/ip4/203.0.113.7/tcp/9090/ws/p2p-websocket-star"},
		{"0.0.0.0", "2001:db8::7", "", "/ip6/2001:db8::7/tcp/9090/ws/p2p-websocket-star"},
		{"192.0.2.1", "", "", "/ip4/192.0.2.1/tcp/9090/ws/p2p-websocket-star"},
		{"10.0.0.1", "203.0.113.7", "c.pem", "/ip4/203.0.113.7/tcp/9090/wss/p2p-websocket-star"},
		{"fe80::1%eth0", "", "", "/ip6/fe80::1/tcp/9090/ws/p2p-websocket-star"},
		{"::ffff:10.0.0.1", "", "", "/ip4/10.0.0.1/tcp/9090/ws/p2p-websocket-star"},
	} {
		n := Node{RelayTLSCertificate: c.certificate, Star: Star{StarAddress: c.listen}, Mesh: Mesh{IP: c.ip}}
		if got := n.Multiaddr(9090); got != c.want {
			t.Errorf("on %q, ip %q, certificate %q: %s, want %s", c.listen, c.ip, c.certificate, got, c.want)
		}
	}
}

func TestStarListens(t *testing.T) {
	for _, c := range []struct {
		star             Star
		has, onLoopback  bool
		listens, comment string
	}{
		{Star{}, false, false, ":0", "off"},
		{Star{StarAddress: "::1", StarPort: 9090}, true, true, "[::1]:9090", "IPv6"},
		{Star{StarAddress: "0.0.0.0"}, true, false, "0.0.0.0:0", "every interface"},
	} {
		if s := &c.star; s.HasStar() != c.has || s.StarListen() != c.listens || c.has && s.StarOnLoopback() != c.onLoopback {
			t.Errorf("%s: %v, on %q, loopback %v", c.comment, s.HasStar(), s.StarListen(), s.StarOnLoopback())
		}
	}
}
