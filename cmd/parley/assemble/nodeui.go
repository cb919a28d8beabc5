package assemble

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/node"
	"parley/actors/tree"
	"parley/actors/ui"
	"parley/cmd/parley/config"
	"parley/gateways/guard"
	"parley/gateways/uiv2"
	"parley/messages/uipb"
	"parley/messages/vaultpb"
)

// NodeUI is what a node needs to serve user interfaces, beside a database. Without
// listeners it serves none, and needs nothing.
type NodeUI struct {
	UIs
	Tee   *node.Tee                // the node's log goes through it
	Apply func(name, value string) // an option that may change has a new value; returns at once
	Kill  func(text string)        // ends the process as a panic does; nil: a panic
}

// nodeUI is what such a node has more.
type nodeUI struct {
	with  NodeUI
	uis   *uis
	ended chan struct{} // closed when a user interface has ended the node
}

func (n *Node) newUI(c *config.Node, with NodeUI) *nodeUI {
	u := &nodeUI{with: with, uis: newUIs(n.sys, with.UIs, uiv2.NodeCodec()), ended: make(chan struct{})}
	u.uis.admit(uiv2.Policy{Rules: guard.Rules{Origins: c.UIOrigins}, Users: c.UIUsers, AllMayLook: c.UIAccessLook})
	return u
}

// spawn starts what answers user interfaces; all that they ask about is there by
// then. It returns the actor that is told how the node is connected.
func (u *nodeUI) spawn(ctx actor.Context, n *Node, c *config.Node, l *Listeners) (status *actor.PID) {
	u.uis.spawnBroadcasts(ctx, u.with.Tee.Demand)
	u.with.Tee.Attach(n.sys.Root, node.SpawnLogs(ctx, u.uis.broadcasts))
	facts := standing(c, l)
	status = node.SpawnStatus(ctx, u.reporting(n, c, l))
	u.uis.spawnLinks(ctx, ui.Desk{Departed: n.safe, Routes: node.Routes(node.Answering{
		Configuration: node.SpawnConfiguration(ctx, node.Configuring{
			Facts: func() *uipb.Configuration { return facts }, Safe: n.safe, Store: n.db, Broadcasts: u.uis.broadcasts,
			Check: config.CheckRuntime, Apply: func(name, value string) {
				u.with.Apply(name, value)
				n.mesh.apply(n.sys, name, value)
				n.enclave.apply(n.sys, name, value)
			},
		}),
		Password:   node.SpawnPassword(ctx, n.safe, u.uis.broadcasts),
		Status:     status,
		People:     node.SpawnPeople(ctx, n.enclave.front(), u.uis.broadcasts),
		Shutdown:   node.SpawnShutdown(ctx, node.Ending{Close: u.uis.close, End: func() { close(u.ended) }}),
		Crash:      node.SpawnCrash(ctx, c.CrashPoint, u.with.Kill),
		Broadcasts: u.uis.broadcasts,
	})})
	return status
}

// reporting is what user interfaces are told of the node.
func (u *nodeUI) reporting(n *Node, c *config.Node, l *Listeners) node.Reporting {
	token := l.Identity.Token
	if token == "" {
		token = c.RelayToken
	}
	descriptor := c.Descriptor(l.port(), token)
	r := node.Reporting{
		Name: c.Name, Descriptor: func() string { return descriptor }, Stats: n.Stats, Host: n.Host, Broadcasts: u.uis.broadcasts,
		Star: n.star.registry(),
	}
	if n.mesh != nil {
		r.Mesh = node.Mesh{Peers: n.mesh.Peers, Network: n.mesh.Router, Holdings: n.mesh.Reservations, Commands: n.mesh.Commands}
	}
	return r
}

// standing is the part of a configuration that does not change while a node runs.
func standing(c *config.Node, l *Listeners) *uipb.Configuration {
	f := &uipb.Configuration{
		ClandestinePort: uint32(c.ClandestinePort), CurrentSchemaVersion: l.DB.Report().Schema,
		NeighborhoodMode: c.NeighborhoodMode, NodeName: c.Name, ChainName: c.Chain,
	}
	if port := l.port(); port != 0 {
		f.ClandestinePort = uint32(port)
	}
	add := func(name string, at net.Listener) {
		f.Gateways = append(f.Gateways, &uipb.Gateway{Name: name, Address: at.Addr().String()})
	}
	add("ui", l.UI.Listeners[0])
	add("relay", l.Relay)
	if l.Star != nil {
		add("star", l.Star)
		f.Gateways[len(f.Gateways)-1].Multiaddr = l.Multiaddr(c)
	}
	if l.Enclave != nil {
		add("enclave", l.Enclave)
	}
	if l.Metrics != nil {
		add("metrics", l.Metrics)
	}
	return f
}

// openMost is what the database may take to say whether it is open.
const openMost = 30 * time.Second

// Opened returns when the node's database is open to it, or says why it is not.
// Neighbors that the node was told of are kept there, for the time without.
func (n *Node) Opened(c *config.Node) error {
	if n.safe == nil {
		return nil
	}
	answer, err := n.sys.Root.RequestFuture(n.safe, &vaultpb.StandingRequest{}, openMost).Result()
	if err != nil {
		return fmt.Errorf("node: the database password could not be looked at: %w", err)
	}
	standing := answer.(*vaultpb.StandingResponse)
	switch {
	case standing.GetWrong():
		return errors.New("node: db-password is not the password of this database; set the right one, or none")
	case standing.GetError() != "":
		tree.Log(n.sys).Error("secrets are not available", slog.String("reason", standing.GetError()))
	case len(c.Neighbors) > 0:
		return n.keepNeighbors(c.Neighbors)
	}
	return nil
}

// keepNeighbors puts descriptors among the secrets. Without the password those
// of an earlier time stay.
func (n *Node) keepNeighbors(all []string) error {
	answer, err := n.sys.Root.RequestFuture(n.safe, &vaultpb.SealRequest{Secret: &vaultpb.Secret{
		Name: node.SecretPastNeighbors, Value: []byte(strings.Join(all, "\n")),
	}}, openMost).Result() // a request: the safe passes over what nobody wants to hear of
	if err != nil {
		return fmt.Errorf("node: the neighbors could not be put among the secrets: %w", err)
	}
	if why := answer.(*vaultpb.SealResponse).GetError(); why != "" {
		tree.Log(n.sys).Info("neighbors are not among the secrets", slog.String("reason", why))
	}
	return nil
}
