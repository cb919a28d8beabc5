package verbs

import (
	"testing"

	"parley/cmd/parley/talk/fake"
)

func TestStarPeers(t *testing.T) {
	daemon, node := both(t)
	for _, c := range []struct{ payload, out string }{
		{`{"peers":[],"online":0,"sockets":2,"dials":0}`, "connections: 2, addresses: 0, dials: 0\n"},
		{
			`{"peers":["/a/ipfs/Qm1","/b/\u001bipfs/Qm2"],"online":2,"sockets":3,"dials":1}`,
			"connections: 3, addresses: 2, dials: 1\n\nADDRESS\n/a/ipfs/Qm1\n/b/\\x1bipfs/Qm2\n",
		},
		{`{"peers":["/a/ipfs/Qm1"],"online":12,"sockets":3,"dials":1}`, "connections: 3, addresses: 12, dials: 1\n\nADDRESS\n/a/ipfs/Qm1\nand 11 more\n"},
		{`{"peers":["/a/ipfs/Qm1"],"sockets":1,"dials":0}`, "connections: 1, addresses: 0, dials: 0\n\nADDRESS\n/a/ipfs/Qm1\n"},
	} {
		node.On["starPeers"] = fake.Reply(c.payload)
		run(t, daemon, "", "star-peers").expect(t, 0, c.out, "")
		run(t, daemon, "", "star-peers", "--json").expect(t, 0, c.payload+"\n", "")
	}
	node.On["starPeers"] = func(c *fake.Conn, m fake.Message) { c.Fault(m, 281474976710669, "This Node has no rendezvous") }
	run(t, daemon, "", "star-peers").expect(t, 1, "", "parley: star-peers: This Node has no rendezvous\n")
}
