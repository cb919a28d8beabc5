// Package daemon runs a whole Daemon in one process, on fake time and an
// in-memory network, and the Nodes that it starts with it: the assemblies of cmd
// with their real gateways and databases. Only the processes are simulated.
//
// The databases are on the real disk. That fits into a bubble of fake time: their
// goroutines and tickers belong to it, and one that is in a system call keeps
// time from passing.
package daemon

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/store"
	"parley/actors/tree"
	"parley/cmd/parley/assemble"
	"parley/cmd/parley/config"
	"parley/gateways/guard"
	"parley/gateways/uiv2"
	"parley/testkit"
)

const (
	address  = "127.0.0.1:5333" // of the Daemon
	memory   = 16 << 30         // bytes that options in percent refer to
	cores    = 2                // processors that options refer to
	stopMost = 20 * time.Second // longest orderly end
)

// accounts are the users of the simulated machine.
const accounts = "anna:x:2001:2001::/home/anna:/bin/sh\nbert:x:2002:2002::/home/bert:/bin/sh\n"

// Daemon is a Daemon under test.
type Daemon struct {
	*assemble.Daemon // nil: it does not run
	Net              *testkit.Network
	Sys              *actor.ActorSystem

	t       testing.TB      // fixed, as all of this block
	driver  *testkit.Driver // nil: things happen by themselves
	dir     string
	nodes   *nodes
	clients clients

	environ []string // what it is configured with
	door    *door
	db      *store.DB
	dead    []*actor.ActorSystem // of former Daemons
}

// New returns a Daemon that is not started. driver may be nil.
func New(t testing.TB, driver *testkit.Driver, network *testkit.Network) *Daemon {
	t.Helper()
	d := &Daemon{t: t, driver: driver, Net: network, dir: t.TempDir(), clients: newClients()}
	d.nodes = &nodes{d: d, pid: firstPID - 1}
	t.Cleanup(func() {
		if d.Daemon != nil { // the test failed half-way: the bubble must still be able to end
			d.Stop()
		}
	})
	return d
}

// Set configures a parameter of the Setup space, or an option of the Daemon
// itself, before Start.
func (d *Daemon) Set(option, value string) error {
	d.environ = append(d.environ, "PARLEY_"+strings.ToUpper(strings.ReplaceAll(option, "-", "_"))+"="+value)
	return nil
}

// Start assembles the Daemon and serves.
func (d *Daemon) Start() {
	d.t.Helper()
	d.do(func() {
		if err := d.start(); err != nil {
			d.t.Error(err)
		}
	})
	if d.Daemon == nil {
		d.t.FailNow()
	}
}

func (d *Daemon) start() error {
	opts := d.options()
	values, err := config.LoadDaemon(opts)
	if err != nil {
		return err
	}
	c := values.Daemon()
	d.Sys = testkit.System(d.t, d.system()...)
	if d.db, err = store.Open(c.Directory(), store.OpenOptions{Log: tree.Log(d.Sys)}); err != nil {
		return err
	}
	if d.door, err = listen(d.Net, address); err != nil {
		return errors.Join(err, d.db.Close())
	}
	d.Daemon = assemble.StartDaemon(d.Sys, assemble.DaemonParts{
		UIs: d.uis(d.door, &c.UI), DB: d.db, Space: config.SetupSpace(opts), Policy: d.policy(c.UI), Processes: d.nodes.spawn,
	})
	return nil
}

func (d *Daemon) options() config.LoadOptions {
	environ := append([]string{"HOME=" + d.dir, "PARLEY_DATA_DIRECTORY=" + filepath.Join(d.dir, "data")}, d.environ...)
	return config.LoadOptions{
		Environ:  func() []string { return environ },
		Hostname: func() (string, error) { return "node1", nil },
		Memory:   func() (int64, error) { return memory, nil },
		User:     os.Getuid,
		Accounts: func() ([]byte, error) { return []byte(accounts), nil },
		Cores:    cores,
	}
}

func (d *Daemon) system() []testkit.SystemOption {
	if d.driver == nil {
		return nil
	}
	return []testkit.SystemOption{testkit.Under(d.driver)}
}

// policy is that of the program.
func (d *Daemon) policy(byDefault config.UI) func(values map[string]string) uiv2.Policy {
	return func(values map[string]string) uiv2.Policy {
		u := byDefault
		if values != nil {
			u = config.UIOf(d.options(), values)
		}
		return uiv2.Policy{Rules: guard.Rules{Origins: u.UIOrigins}, Users: u.UIUsers, AllMayLook: u.UIAccessLook}
	}
}

// Stop ends Daemon and Node in order, and fails the test if anything is left.
func (d *Daemon) Stop() {
	d.t.Helper()
	testkit.Ending(d.Sys)
	d.nodes.each(testkit.Ending)
	d.do(func() {
		if err := d.stop(); err != nil {
			d.t.Error(err)
		}
		d.nodes.stop() // those that this Daemon did not know of
	})
	for _, sys := range d.dead {
		testkit.Stop(d.t, sys)
	}
	d.nodes.each(func(sys *actor.ActorSystem) { testkit.Stop(d.t, sys) })
	if open := d.Net.Open(); open != 0 {
		d.t.Errorf("daemon: %d ends of connections left open", open)
	}
}

// stop ends the Daemon in order, and the Node with it.
func (d *Daemon) stop() error {
	running := d.Daemon
	d.Daemon, d.dead = nil, append(d.dead, d.Sys)
	testkit.Dying(d.Sys)
	ctx, cancel := context.WithTimeout(context.Background(), stopMost)
	defer cancel()
	return errors.Join(running.Stop(ctx), d.db.Close())
}

// kill ends the Daemon as kill -9 does, as far as anybody else sees. The Node
// goes on.
func (d *Daemon) kill() error {
	d.Daemon, d.dead = nil, append(d.dead, d.Sys)
	testkit.Dying(d.Sys)
	d.door.cut()
	err := d.Sys.Root.StopFuture(actor.NewPID(d.Sys.Address(), "daemon")).Wait()
	d.Sys.Shutdown()
	return errors.Join(err, d.db.Close())
}

func (d *Daemon) do(f func()) {
	if d.driver != nil {
		d.driver.Do(f)
	} else {
		f()
	}
}
