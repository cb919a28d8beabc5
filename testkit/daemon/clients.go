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

	"parley/cmd/parley/assemble"
	"parley/cmd/parley/config"
	"parley/gateways/uiv2"
	"parley/testkit"
)

// door is a listener of a simulated process.
type door struct {
	net.Listener

	mu    sync.Mutex // guards what follows
	conns []*testkit.SimConn
}

func listen(network *testkit.Network, at string) (*door, error) {
	l, err := network.Listen(at)
	if err != nil {
		return nil, err
	}
	return &door{Listener: l}, nil
}

// Accept implements net.Listener.
func (l *door) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if sim, ok := c.(*testkit.SimConn); ok {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.conns = append(l.conns, sim)
	}
	return c, err
}

// cut is what the kernel does when a process is gone: nobody listens, and all
// connections are reset.
func (l *door) cut() {
	_ = l.Close() // the server may have closed it already
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.conns {
		c.Cut()
	}
}

// clients tells which local user is at the other end of a connection.
type clients struct {
	mu    *sync.Mutex // guards users: gateways ask on goroutines of their own
	users map[netip.AddrPort]uint32
}

func newClients() clients { return clients{&sync.Mutex{}, map[netip.AddrPort]uint32{}} }

func (c clients) add(conn net.Conn, uid uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.users[conn.LocalAddr().(*net.TCPAddr).AddrPort()] = uid
}

// user is the kernel's word on who is at the other end.
func (c clients) user(remote, _ netip.AddrPort) (uint32, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	uid, ok := c.users[remote]
	if !ok || uid == unknownUser {
		return 0, fmt.Errorf("nobody at %v", remote)
	}
	return uid, nil
}

// unknownUser is whom the kernel does not know.
const unknownUser = 1<<32 - 1

func (d *Daemon) uis(l net.Listener, c *config.UI) assemble.UIs {
	return assemble.UIs{Listeners: []net.Listener{l}, MaxFrame: c.UIMaxFrame, Most: c.MaxUIs, Idle: c.ConversationIdle, User: d.clients.user}
}

// dialling is how a client connects.
type dialling struct {
	at, host, path string
	uid            uint32
	header         http.Header
}

// Connect opens a client's connection to the Daemon. args:
//
//	node          to the Node instead
//	relay         to the Node's relay
//	uid=N         as that local user; unless said, the one that all of this runs as; uid=? as one that the kernel does not know
//	path=P        what is asked for
//	protocol=P    the subprotocols that are offered, protocol= none
//	Name=value    a header, + stands for a space; Host among them
//
// It is a testkit.Stage's Connect.
func (d *Daemon) Connect(name string, args []string) (testkit.Client, error) {
	w := &dialling{at: address, path: "/", uid: uint32(os.Getuid()), header: http.Header{"Sec-Websocket-Protocol": {uiv2.Subprotocol}}}
	for _, a := range args {
		if err := d.argument(w, a); err != nil {
			return nil, err
		}
	}
	if w.host == "" {
		w.host = w.at
	}
	conn, err := d.Net.Dial(context.Background(), name, w.at)
	if err != nil {
		return nil, err
	}
	d.clients.add(conn, w.uid)
	c, err := testkit.DialWS(conn, w.host, w.path, w.header)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// argument takes one of the words behind a client's name.
func (d *Daemon) argument(w *dialling, a string) error {
	k, v, _ := strings.Cut(a, "=")
	switch k {
	case "node":
		w.at = d.nodes.at(false)
	case "relay":
		w.at, w.path = d.nodes.at(true), "/connect"
		w.header.Del("Sec-Websocket-Protocol")
	case "uid":
		n, err := strconv.ParseUint(v, 10, 32)
		if v == "?" {
			n, err = unknownUser, nil
		}
		w.uid = uint32(n)
		return err
	case "path":
		w.path = v
	case "protocol":
		w.header["Sec-Websocket-Protocol"] = strings.Split(v, ";")
		if v == "" {
			w.header.Del("Sec-Websocket-Protocol")
		}
	case "Host":
		w.host = v
	default:
		w.header.Add(k, strings.ReplaceAll(v, "+", " "))
	}
	return nil
}
