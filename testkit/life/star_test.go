package life_test

import (
	"fmt"
	"net"
	"strconv"
	"testing"
)

// TestStarPortIsTaken starts a Node whose rendezvous finds its port taken: who
// asked for it is told which parameter is in the way, and with another port it
// starts, says where it is, and who is there.
func TestStarPortIsTaken(t *testing.T) {
	squatter, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer squatter.Close()
	d := start(t, directory(t), nil)
	u := connect(t, d.port)
	u.settle()
	u.change("star-address", "127.0.0.1").want(t, `"errors":[]`)
	u.change("star-port", strconv.Itoa(squatter.Addr().(*net.TCPAddr).Port)).want(t, `"errors":[]`)
	u.ask("start", "{}").refused(t, codeLaunch, "already in use; choose another with --star-port")

	u.change("star-port", "0").want(t, `"errors":[]`)
	node := connect(t, u.launch().Port)
	var c struct {
		Gateways []struct{ Name, Address, Multiaddr string } `json:"gateways"`
	}
	node.ask("configuration", "{}").want(t).into(t, &c)
	found := false
	for _, g := range c.Gateways {
		_, port, err := net.SplitHostPort(g.Address)
		found = found || g.Name == "star" && err == nil && port != "0" && g.Multiaddr == fmt.Sprintf("/ip4/127.0.0.1/tcp/%s/ws/p2p-websocket-star", port)
	}
	if !found {
		t.Errorf("gateways are %+v", c.Gateways)
	}
	node.ask("starPeers", "{}").want(t, `"peers":[],"online":0,"sockets":0,"dials":0`)
}
