package testkit

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"syscall"
	"time"
)

const (
	defaultWindow = 64 << 10 // bytes a direction holds, as a small kernel buffer
	chopSpan      = 64 << 10 // bytes of a direction that Chop splits: long frames would take for ever
	backlog       = 128      // connections a listener holds that nobody accepted
	firstPort     = 40000    // of dialling sides
)

// Network is an in-memory network: listeners and connections between named
// hosts, as gateways see them, with latency, bounded buffers, partitions and
// cuts. All waiting is durable in the sense of testing/synctest.
//
// A host is an IP address, or any other name, which is given an address of
// 10.0.0.0/8 when it is first mentioned.
type Network struct {
	latency time.Duration // one way; fixed, as all of this block
	window  int           // bytes a direction holds
	driver  *Driver       // nil: packets arrive by themselves
	most    int           // bytes one Read gives, drawn from 1 to most; 0: all there is

	mu        sync.Mutex // guards what follows
	rng       *rand.Rand
	hosts     map[string]netip.Addr
	listeners map[netip.AddrPort]*simListener
	conns     map[*SimConn]bool      // both ends of each open connection
	apart     map[[2]netip.Addr]bool // partitions, smaller address first
	port      uint16
	healed    chan struct{} // closed and replaced when a partition ends
}

// NetworkOption changes what NewNetwork makes.
type NetworkOption func(*Network)

// Latency is how long bytes travel, one way.
func Latency(d time.Duration) NetworkOption { return func(n *Network) { n.latency = d } }

// Window is how many bytes a direction holds that were not read: a writer
// waits beyond it.
func Window(bytes int) NetworkOption { return func(n *Network) { n.window = bytes } }

// Chop makes each Read give 1 to most bytes, drawn from seed; most 1 splits at
// every byte. What a direction carries beyond chopSpan is not split.
func Chop(seed uint64, most int) NetworkOption {
	return func(n *Network) { n.rng, n.most = rand.New(rand.NewPCG(seed, 0)), most }
}

// Driven makes arrivals steps of d, one connection at a time.
func Driven(d *Driver) NetworkOption { return func(n *Network) { n.driver = d } }

// NewNetwork returns an empty network. It must be called inside the bubble.
func NewNetwork(opts ...NetworkOption) *Network {
	n := &Network{
		window: defaultWindow, port: firstPort, healed: make(chan struct{}),
		hosts: map[string]netip.Addr{}, listeners: map[netip.AddrPort]*simListener{},
		conns: map[*SimConn]bool{}, apart: map[[2]netip.Addr]bool{},
	}
	for _, o := range opts {
		o(n)
	}
	return n
}

// host resolves a name; the lock is held.
func (n *Network) host(name string) netip.Addr {
	if a, err := netip.ParseAddr(name); err == nil {
		return a.Unmap()
	}
	a, ok := n.hosts[name]
	if !ok {
		i := len(n.hosts) + 1
		a = netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		n.hosts[name] = a
	}
	return a
}

// address resolves "host:port"; the lock is held.
func (n *Network) address(s string) (netip.AddrPort, error) {
	name, port, err := net.SplitHostPort(s)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("testkit: address %q: %w", s, err)
	}
	p, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("testkit: address %q: %w", s, err)
	}
	return netip.AddrPortFrom(n.host(name), uint16(p)), nil
}

// nextPort is a port nobody used; the lock is held.
func (n *Network) nextPort() uint16 {
	n.port++
	return n.port
}

// Listen opens a listener at "host:port"; port 0 takes a free one.
func (n *Network) Listen(address string) (net.Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	at, err := n.address(address)
	if err != nil {
		return nil, err
	}
	if at.Port() == 0 {
		at = netip.AddrPortFrom(at.Addr(), n.nextPort())
	}
	if n.listeners[at] != nil {
		return nil, opError("listen", nil, net.TCPAddrFromAddrPort(at), syscall.EADDRINUSE)
	}
	l := &simListener{net: n, at: at, queue: make(chan *SimConn, backlog), done: make(chan struct{})}
	n.listeners[at] = l
	return l, nil
}

// Dial connects a host to "host:port", after a round trip. A partition keeps it
// waiting until ctx ends.
func (n *Network) Dial(ctx context.Context, from, to string) (*SimConn, error) {
	n.mu.Lock()
	source := n.host(from)
	at, err := n.address(to)
	n.mu.Unlock()
	if err != nil {
		return nil, err
	}
	remote := net.TCPAddrFromAddrPort(at)
	if err := n.reach(ctx, source, at.Addr()); err != nil {
		return nil, opError("dial", nil, remote, err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	l := n.listeners[at]
	if l == nil || len(l.queue) == backlog {
		return nil, opError("dial", nil, remote, syscall.ECONNREFUSED)
	}
	near, far := n.connect(netip.AddrPortFrom(source, n.nextPort()), at)
	l.queue <- far
	return near, nil
}

// DialFrom returns a DialContext function, for clients that want one.
func (n *Network) DialFrom(host string) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, _, address string) (net.Conn, error) { return n.Dial(ctx, host, address) }
}

// reach waits for a round trip, and for the end of a partition.
func (n *Network) reach(ctx context.Context, a, b netip.Addr) error {
	for {
		n.mu.Lock()
		cut, healed := n.apart[pair(a, b)], n.healed
		n.mu.Unlock()
		if !cut {
			break
		}
		select {
		case <-healed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if n.latency == 0 {
		return ctx.Err()
	}
	select {
	case <-time.After(2 * n.latency):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// connect makes the two ends of a connection; the lock is held.
func (n *Network) connect(from, to netip.AddrPort) (near, far *SimConn) {
	name := from.String() + "-" + to.String()
	out := newStream(n.window, n.carrier(name+">"), n.chopper())
	back := newStream(n.window, n.carrier(name+"<"), n.chopper())
	near = &SimConn{net: n, in: back, out: out, local: from, remote: to}
	far = &SimConn{net: n, in: out, out: back, local: to, remote: from}
	n.conns[near], n.conns[far] = true, true
	if n.apart[pair(from.Addr(), to.Addr())] { // since the round trip of Dial
		out.hold(true)
		back.hold(true)
	}
	return near, far
}

// carrier is how bytes of one direction travel.
func (n *Network) carrier(key string) func(func()) {
	switch {
	case n.driver == nil && n.latency == 0:
		return nil
	case n.driver == nil:
		return func(f func()) { time.AfterFunc(n.latency, f) }
	case n.latency == 0:
		return func(f func()) { n.driver.Post(key, f) }
	}
	return func(f func()) { n.driver.After(n.latency, func() { n.driver.Post(key, f) }) }
}

func (n *Network) chopper() func(int) int {
	if n.most == 0 {
		return func(there int) int { return there }
	}
	rng := rand.New(rand.NewPCG(n.rng.Uint64(), 0)) // its own: no other connection moves its draws
	split := 0
	return func(there int) int {
		if split < chopSpan {
			there = min(there, 1+rng.IntN(n.most))
			split += there
		}
		return there
	}
}

// pair is the key of a partition.
func pair(a, b netip.Addr) [2]netip.Addr {
	if b.Less(a) {
		a, b = b, a
	}
	return [2]netip.Addr{a, b}
}

// between runs f for both ends of all connections of two hosts; the lock is held.
func (n *Network) between(a, b netip.Addr, f func(*SimConn)) {
	for c := range n.conns {
		if pair(c.local.Addr(), c.remote.Addr()) == pair(a, b) {
			f(c)
		}
	}
}

// Partition keeps bytes and new connections between two hosts from arriving.
// Nothing is lost: Heal lets them through.
func (n *Network) Partition(a, b string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	x, y := n.host(a), n.host(b)
	n.apart[pair(x, y)] = true
	n.between(x, y, func(c *SimConn) { c.in.hold(true) })
}

// Heal ends a partition.
func (n *Network) Heal(a, b string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	x, y := n.host(a), n.host(b)
	delete(n.apart, pair(x, y))
	n.between(x, y, func(c *SimConn) { c.in.hold(false) })
	close(n.healed)
	n.healed = make(chan struct{})
}

// Cut breaks all connections between two hosts: both ends fail at once.
func (n *Network) Cut(a, b string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.between(n.host(a), n.host(b), func(c *SimConn) { c.in.cut() })
}

// Open is how many ends of connections nobody has closed.
func (n *Network) Open() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.conns)
}

func opError(op string, local, remote net.Addr, err error) error {
	return &net.OpError{Op: op, Net: "tcp", Source: local, Addr: remote, Err: err}
}
