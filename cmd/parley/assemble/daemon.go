package assemble

import (
	"context"
	"errors"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/daemon"
	"parley/actors/store"
	"parley/actors/ui"
	"parley/cmd/parley/config"
	"parley/gateways/uiv2"
	"parley/messages/processpb"
	"parley/messages/uipb"
)

// DaemonParts are what a Daemon is made of.
type DaemonParts struct {
	UIs    UIs
	DB     *store.DB // closed by who opened it, behind Stop
	Space  daemon.Space
	Policy func(values map[string]string) uiv2.Policy // who may come in, given the Setup space
	// Processes spawns what starts Nodes.
	Processes func(ctx actor.SpawnerContext) *actor.PID
}

// Daemon is a running Daemon.
type Daemon struct {
	sys      *actor.ActorSystem
	root     *actor.PID
	uis      *uis
	setup    *actor.PID
	db       *actor.PID
	launcher *actor.PID
	servers
}

// StartDaemon assembles a Daemon on sys and serves.
func StartDaemon(sys *actor.ActorSystem, p DaemonParts) *Daemon {
	d := &Daemon{sys: sys, servers: servers{failed: make(chan error, mostServers)}}
	d.uis = newUIs(sys, p.UIs, uiv2.DaemonCodec())
	d.uis.admit(p.Policy(nil))
	started := make(chan struct{})
	d.root = daemon.Spawn(sys, "daemon", func(ctx actor.Context) { // once: it receives nothing that could fail
		d.features(ctx, p)
		close(started)
	})
	<-started
	d.uis.serve(sys, d.run)
	return d
}

func (d *Daemon) features(ctx actor.Context, p DaemonParts) {
	d.uis.spawnBroadcasts(ctx, nil)
	d.db = store.Spawn(ctx, "store", store.Options{DB: p.DB})
	d.setup = daemon.SpawnSetup(ctx, p.Space, d.db, d.uis.broadcasts, func(values map[string]string) { d.uis.admit(p.Policy(values)) })
	redirect := daemon.SpawnRedirect(ctx)
	d.launcher = daemon.SpawnLauncher(ctx, daemon.Launching{
		Setup: d.setup, Store: d.db, Process: p.Processes(ctx), Redirect: redirect,
		Crash: daemon.SpawnCrash(ctx, d.uis.broadcasts), Broadcasts: d.uis.broadcasts,
		Directory: config.NodeDirectory,
	})
	d.uis.spawnLinks(ctx, ui.Desk{Routes: daemon.Routes(d.setup, d.launcher, d.uis.broadcasts), Fallback: redirect})
}

// Frames is how many messages came in from user interfaces.
func (d *Daemon) Frames() int64 { return d.uis.kind.Frames() }

// Reload reads the config file and the environment again.
func (d *Daemon) Reload() { d.sys.Root.Send(d.setup, &uipb.Reload{}) }

// nodeGrace is what a Node gets to end in order when its Daemon ends.
const nodeGrace = 10 * time.Second

// Stop ends the Daemon in order: first the Node, then the user interfaces, then
// the actors. It takes until ctx ends at most.
func (d *Daemon) Stop(ctx context.Context) error {
	nodeErr := wait(ctx, "node", d.sys.Root.RequestFuture(d.launcher, &processpb.Stop{GraceMs: uint32(nodeGrace.Milliseconds())}, untilDone(ctx)))
	d.servers.close(ctx)
	uiErr := wait(ctx, "uis", d.sys.Root.RequestFuture(d.uis.links, goodbye(), untilDone(ctx)))
	dbErr := wait(ctx, "store", flush(ctx, d.sys, d.db))
	err := wait(ctx, "actors", d.sys.Root.StopFuture(d.root))
	d.sys.Shutdown()
	return errors.Join(nodeErr, uiErr, dbErr, err)
}
