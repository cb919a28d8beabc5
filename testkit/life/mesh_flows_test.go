package life_test

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"

	"parley/testkit"
)

// What follows are the flows of the notes on wsrelay, with their names: real
// processes, the frames as they stand there. The hash is that of "wordpass" on
// "channel1".
const flowHash = "5e8e1c3f3d66a7240d92badaa4c7e9744497dfa0f368fbe05bf6f2227f16788e"

const ok = `{"ok":true}`

// TestFlowSingleNode is the flow "New Client (Single Node)".
func TestFlowSingleNode(t *testing.T) {
	node := joinMesh(t, "node-1", nil)
	client1, client2 := node.client(), node.client()
	client1.ask("subscribe", `{"topic":"channel1"}`, ok)
	client2.ask("subscribe", `{"topic":"channel1"}`, ok)
	client1.ask("send", `{"message":"Hello World","channel":"channel1"}`, ok)
	client2.hears(`{"type":"message","data":{"message":"Hello World","channel":"channel1"},"nonce":"abc123"}`)
	client1.ask("list", `{}`, `{"ok":true,"channels":["channel1"],"subscribed":["channel1"]}`)
	client1.ask("unsubscribe", `{"topic":"channel1"}`, ok)
}

// TestFlowMultiNode is the flow "New Client (Multi Node)".
func TestFlowMultiNode(t *testing.T) {
	b := joinMesh(t, "node-b", nil)
	a := joinMesh(t, "node-a", []*meshNode{b})
	linked(t, a, "node-b")
	c1, c2 := a.client(), b.client()
	c1.ask("subscribe", `{"topic":"channel1","password":"wordpass"}`, ok)
	c2.ask("subscribe", `{"topic":"channel1","password":"wdpass"}`, `{"ok":false,"reason":"invalid password"}`)
	c2.ask("subscribe", `{"topic":"channel1","password":"wordpass"}`, ok)
	c1.ask("send", `{"message":"Hello C2","channel":"channel1"}`, ok)
	c2.hears(`{"type":"message","data":{"message":"Hello C2","channel":"channel1"},"nonce":"abc123"}`)
	c2.ask("send", `{"message":"Hello C1","channel":"channel1"}`, ok)
	c1.hears(`{"type":"message","data":{"message":"Hello C1","channel":"channel1"},"nonce":"abc123"}`)
}

// TestFlowMultiNodeForeign is the same with each of the two nodes being a foreign
// one in turn.
func TestFlowMultiNodeForeign(t *testing.T) {
	a := joinMesh(t, "node-a", nil)
	b := newSeedNode(t, "node-b")
	if err := b.connect("node-a", a.relay, meshToken); err != nil {
		t.Fatal(err)
	}
	linked(t, a, "node-b")
	c1 := a.client()
	c1.ask("subscribe", `{"topic":"channel1","password":"wordpass"}`, ok)
	b.await("reserve-channel", func(p packet, o order) bool {
		return p.Source == "node-a" && p.Destination == "*" && p.Type == "command" && p.Nonce != "" &&
			o.Command == "reserve-channel" && o.Channel == "channel1" && o.Password == flowHash
	})
	b.subscribe("channel1", flowHash) // its client knows the password
	c1.ask("send", `{"message":"Hello C2","channel":"channel1"}`, ok)
	b.await("a message", func(p packet, o order) bool {
		return p.Source == "node-a" && p.Destination == "*" && p.Type == "message" && p.Nonce != "" &&
			o.Message == "SGVsbG8gQzI=" && o.Channel == "channel1"
	})
	if got := b.said(); len(got) != 1 || got[0] != "Hello C2" {
		t.Errorf("node-b's client heard %q", got)
	}
	b.tell("*", "message", order{Message: "SGVsbG8gQzE=", Channel: "channel1"})
	c1.hears(`{"type":"message","data":{"message":"Hello C1","channel":"channel1"}}`)

	// The other way round: node-b opens one first.
	b.subscribe("channel2", flowHash)
	a.knows("channel1", "channel2")
	c1.ask("subscribe", `{"topic":"channel2","password":"wordpass"}`, `{"ok":false,"reason":"invalid password"}`) // the hash is channel1's
	if o := b.ask("node-a", order{Command: "unreserve-channel", Channel: "channel1"}); o.OK == nil || *o.OK || o.Reason != "channel still open" {
		t.Errorf("unreserving what is open was answered %+v", o)
	}
}

// TestFlowOnboarding is the flow "Node Onboarding", of which node C is foreign.
func TestFlowOnboarding(t *testing.T) {
	a, b := opened(t)
	_ = a
	c := newSeedNode(t, "node-c")
	if err := c.connect("node-b", b.relay, meshToken); err != nil {
		t.Fatal(err)
	}
	linked(t, b, "node-a", "node-c")
	if o := c.ask("node-b", order{Command: "list-channels"}); len(o.Channels) != 0 {
		t.Errorf("open at node-b: %v", o.Channels)
	}
	want := []listed{{"channel1", flowHash}}
	if o := c.ask("node-b", order{Command: "list-reserved-channels"}); !slices.Equal(o.Channels, want) {
		t.Errorf("reserved at node-b: %v, want %v", o.Channels, want)
	}
	if o := c.ask("node-a", order{Command: "list-channels"}); !slices.Equal(o.Channels, want) { // over node-b
		t.Errorf("open at node-a: %v, want %v", o.Channels, want)
	}
	c.mu.Lock()
	c.reserved["channel1"] = flowHash
	c.mu.Unlock()

	// A node of ours is taken on in the same way, and hears of what the foreign one opens.
	d := joinMesh(t, "node-d", []*meshNode{b})
	d.knows("channel1")
	c.subscribe("channel3", "")
	d.knows("channel1", "channel3")
	client := d.client()
	client.ask("subscribe", `{"topic":"channel3"}`, ok)
	c.tell("*", "message", order{Message: "SGVsbG8=", Channel: "channel3"})
	client.hears(`{"type":"message","data":{"message":"Hello","channel":"channel3"}}`)
	client.ask("send", `{"message":"Hello, C","channel":"channel3"}`, ok)
	eventually(t, "node-c hears", func() bool { return slices.Equal(c.said(), []string{"Hello, C"}) })
}

// TestFlowRemoteConnection is the flow "Remote Connection", of which node C is
// foreign.
func TestFlowRemoteConnection(t *testing.T) {
	a, b := opened(t)
	c := newSeedNode(t, "node-c")
	if err := c.connect("node-b", b.relay, meshToken); err != nil {
		t.Fatal(err)
	}
	linked(t, b, "node-a", "node-c")
	if o := c.ask("node-b", order{Command: "list-nodes"}); !slices.Contains(o.Nodes, "node-a") {
		t.Fatalf("nodes of node-b: %v", o.Nodes)
	}
	if o := c.ask("node-b", order{Command: "get-node-connection", Node: "node-x"}); o.OK == nil || *o.OK || o.Reason != "target not connected" {
		t.Errorf("a connection to nobody was answered %+v", o)
	}
	o := c.ask("node-b", order{Command: "get-node-connection", Node: "node-a"})
	host, err := url.Parse(o.Host)
	if err != nil || o.OK == nil || !*o.OK || o.Token == "" || host.Host != a.relay || host.Scheme != "ws" {
		t.Fatalf("a connection to node-a was answered %+v", o)
	}
	if err := c.connect("node-a", host.Host, o.Token); err != nil {
		t.Fatal(err)
	}
	linked(t, a, "node-b", "node-c")
	var refused *testkit.Refused
	if err := newSeedNode(t, "node-c").connect("node-a", host.Host, o.Token); !errors.As(err, &refused) || refused.Status != 403 {
		t.Errorf("with a token that was used before: %v", err)
	}
	if got := c.ask("node-a", order{Command: "list-channels"}).Channels; !slices.Equal(got, []listed{{"channel1", flowHash}}) {
		t.Errorf("open at node-a: %v", got)
	}
	eventually(t, "node-a has measured", func() bool {
		got := c.ask("node-a", order{Command: "get-latency", Node: "node-b"})
		return got.OK != nil && *got.OK && got.Latency > 0
	})

	// It is in a ring now, and passes on for the others what it has not had before.
	c.subscribe("channel1", flowHash)
	client := a.client()
	client.ask("subscribe", `{"topic":"channel1","password":"wordpass"}`, ok)
	for _, text := range []string{"one", "two"} {
		client.ask("send", `{"message":"`+text+`","channel":"channel1"}`, ok)
	}
	eventually(t, "node-c hears both, once", func() bool { return slices.Equal(c.said(), []string{"one", "two"}) })
	if stats := c.data("node-b", order{Command: "node-stats"}); !strings.Contains(stats, `"channel_connections"`) || !strings.Contains(stats, `"15s"`) {
		t.Errorf("node-stats: %s", stats)
	}
	if stats := c.data("node-b", order{Command: "host-stats"}); !strings.Contains(stats, `"cpu"`) || !strings.Contains(stats, `"mount"`) {
		t.Errorf("host-stats: %s", stats)
	}
}

// opened are node A, with channel1 open, and node B, which has it reserved.
func opened(t *testing.T) (a, b *meshNode) {
	t.Helper()
	b = joinMesh(t, "node-b", nil)
	a = joinMesh(t, "node-a", []*meshNode{b})
	linked(t, a, "node-b")
	a.client().ask("subscribe", `{"topic":"channel1","password":"wordpass"}`, ok)
	b.knows("channel1")
	return a, b
}

// data is ask for all that the answer holds.
func (s *seedNode) data(to string, o order) string {
	s.t.Helper()
	nonce := s.tell(to, "command", o)
	return string(s.await("an answer", func(p packet, _ order) bool { return p.Type == "response" && p.Nonce == nonce }).Data)
}

// knows waits until a node knows of exactly these channels in the mesh.
func (n *meshNode) knows(channels ...string) {
	n.t.Helper()
	show := func() string { return n.verb("channels", "--scope", "network") }
	eventually(n.t, n.name+" knows of "+strings.Join(channels, " and "), func() bool { return slices.Equal(firstWords(show()), channels) }, show)
}

// linked waits until a node is linked with exactly these.
func linked(t *testing.T, n *meshNode, names ...string) {
	t.Helper()
	eventually(t, n.name+" is linked with "+strings.Join(names, " and "), func() bool { return slices.Equal(n.peers(), names) },
		func() string { return n.verb("peers") }, n.log)
}
