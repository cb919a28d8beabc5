package peerid

import (
	"strings"
	"testing"
)

const (
	hashedID  = "QmNj3AuAtJuYSUthdPTJbu435fyVncXw6CBRhM5rR9ZAVv"
	inlinedID = "12D3KooWDWg4s6V5ADJQ5oiwq3aJHJvzBaLvzHWPQVPwwTHGQKhV"
)

func TestAddresses(t *testing.T) {
	for _, c := range []struct {
		address        string
		star, harmless bool
	}{
		{"/ip4/127.0.0.1/tcp/9090/ws/p2p-websocket-star/ipfs/" + hashedID, true, true},
		{"/ip4/127.0.0.1/tcp/9090/wss/p2p-websocket-star/ipfs/" + inlinedID, true, true},
		{"/ip4/127.0.0.1/tcp/9090/ws/p2p-websocket-star/p2p/" + hashedID, true, false},
		{"/ip6/::1/tcp/9090/ws/p2p-websocket-star/ipfs/" + hashedID, true, true},
		{"/ip6/::ffff:1.2.3.4/tcp/9090/ws/p2p-websocket-star/ipfs/" + hashedID, true, true},
		{"/dns4/star.example/tcp/443/wss/p2p-websocket-star/ipfs/" + hashedID, true, true},
		{"/dns4/star.example/wss/p2p-websocket-star/ipfs/" + hashedID, true, true},
		{"/dns6/star.example/ws/p2p-websocket-star/ipfs/" + hashedID, true, true},
		{"/dns/star.example/ws/p2p-websocket-star/p2p/" + hashedID, true, false},
		{"/dnsaddr/a_b.star.example./ws/p2p-websocket-star/ipfs/" + hashedID, true, true},
		{"/ip4/127.0.0.1/tcp/0/ws/p2p-websocket-star/ipfs/abc", true, true},
		{"/ip4/127.0.0.1/tcp/65535/ws/p2p-websocket-star/ipfs/" + strings.Repeat("1", idMost), true, true},

		{"/ip4/127.0.0.1/ws/p2p-websocket-star/ipfs/" + hashedID, false, true},
		{"/ip4/127.0.0.1/udp/1/ws/p2p-websocket-star/ipfs/" + hashedID, false, true},
		{"/ip4/127.0.0.1/tcp/9090/p2p-websocket-star/ipfs/" + hashedID, false, true},
		{"/ip4/127.0.0.1/tcp/9090/ws/p2p-webrtc-star/ipfs/" + hashedID, false, true},
		{"/ip4/127.0.0.1/tcp/9090/ws/ipfs/" + hashedID, false, true},
		{"/ip4/127.0.0.1/tcp/9090/ws/p2p-websocket-star/ipfs/" + hashedID + "/p2p-circuit/ipfs/" + inlinedID, false, true},
		{"/ip4/127.0.0.1/tcp/9090/ws/p2p-websocket-star/ipfs/" + hashedID + "/ws", false, false},
		{"/ipfs/" + hashedID, false, true},
		{"/dns4/ipfs/ipfs/" + hashedID, false, false},
		{"/dns/p2p/tcp/1/ipfs/" + hashedID, false, false},
		{"/dns4/ipfs/tcp/443/wss/p2p-websocket-star/ipfs/" + hashedID, true, false},
		{"/dns4/ipfs.example/tcp/443/wss/p2p-websocket-star/ipfs/" + hashedID, true, true},

		{"", false, false},
		{"/", false, false},
		{"//", false, false},
		{"/ip4", false, false},
		{"/ip4/", false, false},
		{"/tcp", false, false},
		{"/ipfs", false, false},
		{"/ipfs/", false, false},
		{hashedID, false, false},
		{"foo/ipfs/" + hashedID, false, false},
		{"/foo/ipfs/" + hashedID, false, false},
		{"ip4/127.0.0.1/tcp/9090/ws/p2p-websocket-star/ipfs/" + hashedID, false, false},
		{"/ip4/127.0.0.1/tcp/9090/ws/p2p-websocket-star", false, false},
		{"/ip4/127.0.0.1/tcp/9090/ws/p2p-websocket-star/", false, false},
		{"/ip4/127.0.0.1/tcp/9090/ws/p2p-websocket-star/ipfs", false, false},
		{"/ip4/127.0.0.1/tcp/9090/ws/p2p-websocket-star/ipfs/", false, false},
		{"/ip4/127.0.0.1/tcp/9090/ws/p2p-websocket-star/ipfs/" + hashedID + "/", false, false},
		{"/ip4/127.0.0.1/tcp/9090/ws/p2p-websocket-star/ipfs/" + hashedID + " ", false, false},
		{"/ip4/127.0.0.1/tcp/9090/ws/p2p-websocket-star/ipfs/0" + hashedID, false, false},
		{"/ip4/127.0.0.1/tcp/9090/ws/p2p-websocket-star/ipfs/Qmü", false, false},
		{"/ip4/127.0.0.1/tcp/9090/ws/p2p-websocket-star/ipfs/" + strings.Repeat("1", idMost+1), false, false},
		{"/ip4/127.0.0.1//tcp/9090/ws/p2p-websocket-star/ipfs/" + hashedID, false, false},
		{"/ip4/300.0.0.1/tcp/9090/ws/p2p-websocket-star/ipfs/" + hashedID, false, false},
		{"/ip4/127.0.0.01/tcp/9090/ws/p2p-websocket-star/ipfs/" + hashedID, false, false},
		{"/ip4/::1/tcp/9090/ws/p2p-websocket-star/ipfs/" + hashedID, false, false},
		{"/ip6/127.0.0.1/tcp/9090/ws/p2p-websocket-star/ipfs/" + hashedID, false, false},
		{"/ip6/fe80::1%eth0/tcp/9090/ws/p2p-websocket-star/ipfs/" + hashedID, false, false},
		{"/ip4/127.0.0.1/tcp/65536/ws/p2p-websocket-star/ipfs/" + hashedID, false, false},
		{"/ip4/127.0.0.1/tcp/-1/ws/p2p-websocket-star/ipfs/" + hashedID, false, false},
		{"/ip4/127.0.0.1/tcp/+1/ws/p2p-websocket-star/ipfs/" + hashedID, false, false},
		{"/ip4/127.0.0.1/tcp/000001/ws/p2p-websocket-star/ipfs/" + hashedID, false, false},
		{"/ip4/127.0.0.1/tcp//ws/p2p-websocket-star/ipfs/" + hashedID, false, false},
		{"/ip4/127.0.0.1/tcp/http/ws/p2p-websocket-star/ipfs/" + hashedID, false, false},
		{"/dns4//ws/p2p-websocket-star/ipfs/" + hashedID, false, false},
		{"/dns4/a b/ws/p2p-websocket-star/ipfs/" + hashedID, false, false},
		{"/dns4/a\x00b/ws/p2p-websocket-star/ipfs/" + hashedID, false, false},
		{"/dns4/" + strings.Repeat("x", nameMost+1) + "/ws/p2p-websocket-star/ipfs/" + hashedID, false, false},
		{strings.Repeat("/ws", partsMost) + "/ipfs/" + hashedID, false, false},
	} {
		if got := IsStar(c.address); got != c.star {
			t.Errorf("IsStar(%q) = %v, want %v", c.address, got, c.star)
		}
		if got := IsHarmless(c.address); got != c.harmless {
			t.Errorf("IsHarmless(%q) = %v, want %v", c.address, got, c.harmless)
		}
	}
}

func TestOfAddress(t *testing.T) {
	for address, want := range map[string]string{
		"/ip4/1.2.3.4/tcp/1/ws/p2p-websocket-star/ipfs/" + hashedID: hashedID,
		"/ip4/1.2.3.4/tcp/1/ws/p2p-websocket-star/p2p/" + hashedID:  hashedID,
		"/ipfs/a/p2p/b":              "b",
		"/p2p/a/ipfs/b":              "b",
		"/p2p/a/p2p-circuit/ipfs/b/": "b/",
		"/ipfs/a/ws":                 "a/ws",
		"ipfs/a":                     "",
		"/p2p":                       "",
		"":                           "",
	} {
		if got := OfAddress(address); got != want {
			t.Errorf("OfAddress(%q) = %q, want %q", address, got, want)
		}
	}
}

func FuzzAddress(f *testing.F) {
	for _, s := range []string{
		"/ip4/127.0.0.1/tcp/9090/ws/p2p-websocket-star/ipfs/" + hashedID,
		"/ip6/::1/tcp/9090/wss/p2p-websocket-star/p2p/" + inlinedID,
		"/dns4/star.example/wss/p2p-websocket-star/ipfs/" + hashedID,
		"/ipfs/" + hashedID + "/p2p-circuit/ipfs/" + inlinedID,
		"//", "/ip4/", "/tcp/1",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		star, harmless, id := IsStar(s), IsHarmless(s), OfAddress(s)
		if (star || harmless) && (!isID(id) || !strings.HasSuffix(s, "/"+id)) {
			t.Errorf("%q is an address, but its id is %q", s, id)
		}
		if harmless && !strings.HasSuffix(s, "/ipfs/"+id) {
			t.Errorf("%q is told to others", s)
		}
		if star && !harmless && !strings.HasSuffix(s, "/p2p/"+id) {
			t.Errorf("%q is one of WebSocketStar, but others are not told of it", s)
		}
	})
}
