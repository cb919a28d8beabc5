// Package daemon runs a whole Daemon in one process, on fake time and an
// in-memory network, and the Nodes that it starts with it: the assemblies of cmd
// with their real gateways and databases. Only the processes are simulated.
package daemon

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
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
	frameMax = 1 << 20          // bytes of one message
	uiMost   = 100              // connections at once
)

// Daemon is a Daemon under test.
type Daemon struct {
	*assemble.Daemon
	Net *testkit.Network
	Sys *actor.ActorSystem

	t       testing.TB
	driver  *testkit.Driver // nil: things happen by themselves
	environ []string
	dir     string
	db      *store.DB
	nodes   *nodes

	mu    sync.Mutex // guards users: the gateway asks on goroutines of its own
	users map[netip.AddrPort]uint32
}

// New returns a Daemon that is not started. driver may be nil.
func New(t testing.TB, driver *testkit.Driver, network *testkit.Network) *Daemon {
	t.Helper()
	d := &Daemon{t: t, driver: driver, Net: network, dir: t.TempDir(), users: map[netip.AddrPort]uint32{}}
	d.nodes = newNodes(d)
	return d
}

// Set configures a parameter of the Setup space, before Start.
func (d *Daemon) Set(option, value string) error {
	d.environ = append(d.environ, "PARLEY_"+strings.ToUpper(strings.ReplaceAll(option, "-", "_"))+"="+value)
	return nil
}

// Start assembles the Daemon and serves.
func (d *Daemon) Start() {
	d.t.Helper()
	opts := d.options()
	d.Sys = testkit.System(d.t, d.system()...)
	l, err := d.Net.Listen(address)
	if err == nil {
		d.db, err = store.Open(d.dir+"/daemon", store.OpenOptions{Log: tree.Log(d.Sys)})
	}
	if err != nil {
		d.t.Fatal(err)
	}
	d.do(func() {
		d.Daemon = assemble.StartDaemon(d.Sys, assemble.DaemonParts{
			UIs: d.uis(l), DB: d.db, Space: config.SetupSpace(opts), Policy: policy,
			Processes: func(ctx actor.SpawnerContext) *actor.PID { return d.nodes.spawn(ctx) },
		})
	})
	d.t.Cleanup(func() {
		if d.Daemon != nil { // the test failed half-way: the bubble must still be able to end
			d.Stop()
		}
	})
}

func (d *Daemon) options() config.LoadOptions {
	environ := append([]string{"HOME=" + d.dir, "PARLEY_DATA_DIRECTORY=" + d.dir + "/data"}, d.environ...)
	return config.LoadOptions{
		Environ:  func() []string { return environ },
		Hostname: func() (string, error) { return "node1", nil },
		Memory:   func() (int64, error) { return memory, nil },
		User:     func() int { return owner },
		Accounts: func() ([]byte, error) { return nil, os.ErrNotExist },
		Cores:    cores,
	}
}

func (d *Daemon) system() []testkit.SystemOption {
	if d.driver == nil {
		return nil
	}
	return []testkit.SystemOption{testkit.Under(d.driver)}
}

func (d *Daemon) uis(l ...net.Listener) assemble.UIs {
	return assemble.UIs{Listeners: l, MaxFrame: frameMax, Most: uiMost, User: d.user}
}

// owner is the user that all of this runs as, and that clients are of unless
// they say otherwise.
const owner = 1000

// policy is that of the program.
func policy(values map[string]string) uiv2.Policy {
	u := config.UIOf(config.LoadOptions{Accounts: func() ([]byte, error) { return nil, os.ErrNotExist }}, values)
	return uiv2.Policy{Rules: guard.Rules{Origins: u.UIOrigins}, Users: append(u.UIUsers, owner), AllMayLook: u.UIAccessLook}
}

// user is the kernel's word on who is at the other end.
func (d *Daemon) user(remote, _ netip.AddrPort) (uint32, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	uid, ok := d.users[remote]
	if !ok {
		return 0, fmt.Errorf("nobody at %v", remote)
	}
	return uid, nil
}

// Stop ends Daemon and Node in order, and fails the test if anything is left.
func (d *Daemon) Stop() {
	d.t.Helper()
	running := d.Daemon
	d.Daemon = nil
	testkit.Ending(d.Sys)
	d.nodes.ending()
	d.do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), stopMost)
		defer cancel()
		if err := running.Stop(ctx); err != nil {
			d.t.Error(err)
		}
	})
	testkit.Stop(d.t, d.Sys)
	d.nodes.stop()
	if err := d.db.Close(); err != nil {
		d.t.Error(err)
	}
	if open := d.Net.Open(); open != 0 {
		d.t.Errorf("daemon: %d ends of connections left open", open)
	}
}

func (d *Daemon) do(f func()) {
	if d.driver != nil {
		d.driver.Do(f)
	} else {
		f()
	}
}

// Connect opens a user interface's connection. args: "node" goes to the Node
// instead of the Daemon, "uid=N" is the local user, "protocol=P" the subprotocol
// that is offered ("protocol=" none), and "Name=value" a header; Host is the
// header of that name. It is a testkit.Stage's Connect.
func (d *Daemon) Connect(name string, args []string) (testkit.Client, error) {
	at, host, uid := address, "", uint32(owner)
	h := http.Header{"Sec-Websocket-Protocol": {uiv2.Subprotocol}}
	for _, a := range args {
		k, v, _ := strings.Cut(a, "=")
		switch k {
		case "node":
			at = d.nodes.address()
		case "uid":
			n, err := strconv.ParseUint(v, 10, 32)
			if err != nil {
				return nil, err
			}
			uid = uint32(n)
		case "protocol":
			h.Set("Sec-Websocket-Protocol", v)
			if v == "" {
				h.Del("Sec-Websocket-Protocol")
			}
		case "Host":
			host = v
		default:
			h.Set(k, v)
		}
	}
	if host == "" {
		host = at
	}
	conn, err := d.Net.Dial(context.Background(), name, at)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	d.users[conn.LocalAddr().(*net.TCPAddr).AddrPort()] = uid
	d.mu.Unlock()
	w, err := testkit.DialWS(conn, host, "/", h)
	if err != nil {
		return nil, err
	}
	return w, nil
}
