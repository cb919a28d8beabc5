// Package node runs whole nodes in one process, on fake time and an in-memory
// network: the assembly of cmd, with the real HTTP and WebSocket gateways.
package node

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/cmd/parley/assemble"
	"parley/cmd/parley/config"
	"parley/testkit"
)

const (
	memory    = 16 << 30         // bytes that options in percent refer to
	cores     = 2                // processors that options refer to
	stopMost  = 10 * time.Second // longest orderly end, as the program has it
	operators = "127.0.0.1:9100" // of the metrics listener
)

// Node is a relay node under test.
type Node struct {
	*assemble.Node
	Net *testkit.Network
	Sys *actor.ActorSystem

	t       testing.TB
	driver  *testkit.Driver // nil: things happen by themselves
	options []string        // as environment variables
	address string          // of the relay's listener
	opts    []testkit.SystemOption
}

// New returns a node that is not started, and has no rendezvous and no Enclave
// unless their addresses are set. driver may be nil; opts are for the actor system.
func New(t testing.TB, driver *testkit.Driver, network *testkit.Network, opts ...testkit.SystemOption) *Node {
	t.Helper()
	if driver != nil {
		opts = append(opts, testkit.Under(driver))
	}
	return &Node{t: t, driver: driver, Net: network, opts: opts, options: []string{"PARLEY_STAR_ADDRESS=off", "PARLEY_ENCLAVE_ADDRESS=off"}}
}

// Set gives an option of the node a value, before Start.
func (n *Node) Set(option, value string) error {
	name := "PARLEY_" + strings.ToUpper(strings.ReplaceAll(option, "-", "_"))
	n.options = append(n.options, name+"="+value)
	return nil
}

// Start assembles the node and serves.
func (n *Node) Start() {
	n.t.Helper()
	values, err := config.Load(config.LoadOptions{
		Environ:  func() []string { return n.options },
		Hostname: func() (string, error) { return "node1", nil },
		Memory:   func() (int64, error) { return memory, nil },
		Cores:    cores,
	})
	if err != nil {
		n.t.Fatal(err)
	}
	c := values.Node()
	n.address = c.RelayListen()
	n.Sys = testkit.System(n.t, n.opts...)
	relay, metrics := n.listen(n.address), n.listen(operators)
	l := assemble.Listeners{Relay: relay, Metrics: metrics, Identity: assemble.Identity{Seed: 1, Connect: n.Net.DialFrom("node1")}}
	if c.HasStar() {
		l.Star = n.listen(c.StarListen())
	}
	if c.HasEnclave() {
		l.Enclave = n.listen(c.EnclaveListen())
	}
	n.do(func() { n.Node = assemble.Start(n.Sys, &c, l) })
	n.t.Cleanup(func() {
		if n.Node != nil { // the test failed half-way: the bubble must still be able to end
			n.Stop()
		}
	})
}

func (n *Node) listen(address string) net.Listener {
	l, err := n.Net.Listen(address)
	if err != nil {
		n.t.Fatal(err)
	}
	return l
}

// Stop ends the node in order, and fails the test if anything of it is left.
func (n *Node) Stop() {
	n.t.Helper()
	running := n.Node
	n.Node = nil
	testkit.Ending(n.Sys)
	n.do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), stopMost)
		defer cancel()
		if err := running.Stop(ctx); err != nil {
			n.t.Error(err)
		}
	})
	testkit.Stop(n.t, n.Sys)
	if open := n.Net.Open(); open != 0 {
		n.t.Errorf("node: %d ends of connections left open", open)
	}
}

func (n *Node) do(f func()) {
	if n.driver != nil {
		n.driver.Do(f)
	} else {
		f()
	}
}

// Connect opens a client's connection to /connect, from a host named like the
// client. args are headers of the handshake, "Name=value". It is a
// testkit.Stage's Connect: under a driver it must run beside the actors.
func (n *Node) Connect(name string, args []string) (testkit.Client, error) {
	w, err := n.Dial(name, args)
	if err != nil {
		return nil, err
	}
	return w, nil
}

// Dial is Connect, with all that a WebSocket client can do.
func (n *Node) Dial(name string, args []string) (*testkit.WS, error) {
	conn, err := n.Net.Dial(context.Background(), name, n.address)
	if err != nil {
		return nil, err
	}
	h, host := http.Header{}, n.address
	for _, a := range args {
		k, v, _ := strings.Cut(a, "=")
		h.Set(k, v)
	}
	return testkit.DialWS(conn, host, "/connect", h)
}
