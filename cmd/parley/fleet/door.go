package fleet

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// headMost is how long who comes to a door may take to say who it is.
const headMost = 5 * time.Second

// door stands before a node: other nodes are told its address as the node's own.
// What passes it belongs to a link, and ends when that is cut.
type door struct {
	node *Node
	l    net.Listener

	all     sync.WaitGroup
	mu      sync.Mutex        // guards what follows
	through map[*passage]bool // links that are open
	arrived map[net.Conn]bool // connections that have not said who they are
	closed  bool
}

// passage is a link that goes through a door.
type passage struct {
	edge  Edge
	conns [2]net.Conn
}

func (p *passage) end() {
	for _, c := range p.conns {
		_ = c.Close()
	}
}

func (f *Fleet) newDoor(n *Node) (*door, error) {
	l, err := net.Listen("tcp", loopback+":0")
	if err != nil {
		return nil, fmt.Errorf("fleet: a door for %s: %w", n.Name, err)
	}
	return &door{node: n, l: l, through: map[*passage]bool{}, arrived: map[net.Conn]bool{}}, nil
}

// watch lets in who comes; all nodes are there by then.
func (d *door) watch() {
	for {
		c, err := d.l.Accept()
		if err != nil {
			return // closed
		}
		if d.enter(c) {
			d.all.Go(func() { d.serve(c) })
		}
	}
}

// enter notes a connection; false: the door is closed.
func (d *door) enter(c net.Conn) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		_ = c.Close()
		return false
	}
	d.arrived[c] = true
	return true
}

// serve passes one connection on, if its link is not cut.
func (d *door) serve(c net.Conn) {
	defer c.Close()
	head, from, err := d.head(c)
	if err != nil {
		return
	}
	place, runs := d.node.Place()
	if !runs {
		return
	}
	to, err := net.Dial("tcp", place.Relay)
	if err != nil {
		return
	}
	defer to.Close()
	p := &passage{NewEdge(from, d.node.Number), [2]net.Conn{c, to}}
	if !d.open(p) {
		return
	}
	defer d.forget(p)
	if _, err := to.Write(head); err != nil {
		return
	}
	back := make(chan struct{})
	go func() {
		defer close(back)
		defer p.end()
		_, _ = io.Copy(c, to)
	}()
	_, _ = io.Copy(to, c)
	p.end()
	<-back
}

// head reads a request's head, and which node it is from. Nodes say so in the
// header Node-Name.
func (d *door) head(c net.Conn) (head []byte, from int, err error) {
	defer func() {
		d.mu.Lock()
		delete(d.arrived, c)
		d.mu.Unlock()
	}()
	_ = c.SetDeadline(time.Now().Add(headMost))
	var seen bytes.Buffer
	r, err := http.ReadRequest(bufio.NewReaderSize(io.TeeReader(c, &seen), 1<<12))
	if err != nil {
		return nil, 0, err
	}
	name := r.Header.Get("Node-Name")
	at := slices.IndexFunc(d.node.fleet.Nodes, func(n *Node) bool { return n.Name == name })
	if at < 0 || !strings.HasSuffix(r.URL.Path, "/node") {
		return nil, 0, fmt.Errorf("fleet: %q came to the door of %s", name, d.node.Name)
	}
	return seen.Bytes(), at + 1, c.SetDeadline(time.Time{})
}

// open notes a link, unless it is cut.
func (d *door) open(p *passage) bool {
	f := d.node.fleet
	f.mu.Lock() // so that none slips through while it is being cut
	defer f.mu.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed || !f.allowed(p.edge) {
		return false
	}
	d.through[p] = true
	return true
}

func (d *door) forget(p *passage) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.through, p)
}

// end ends the links for which f holds.
func (d *door) end(f func(Edge) bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for p := range d.through {
		if f(p.edge) {
			p.end()
		}
	}
}

// close ends all, and returns when it has.
func (d *door) close() {
	_ = d.l.Close()
	d.mu.Lock()
	d.closed = true
	for c := range d.arrived {
		_ = c.Close()
	}
	d.mu.Unlock()
	d.end(func(Edge) bool { return true })
	d.all.Wait()
}

// Cut ends the link between two nodes and lets none come up, until Heal.
func (f *Fleet) Cut(e Edge) {
	f.mu.Lock()
	f.may[e] = false
	f.mu.Unlock()
	for _, n := range f.Nodes {
		if n.door != nil {
			n.door.end(func(other Edge) bool { return other == e })
		}
	}
}

// Heal lets two nodes be linked, also where the shape does not: whether they
// will be is their choice then.
func (f *Fleet) Heal(e Edge) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.may[e] = true
}

// HealAll undoes every Cut.
func (f *Fleet) HealAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	maps.DeleteFunc(f.may, func(_ Edge, may bool) bool { return !may })
}

// Links are those that go through doors now, and those that were cut, sorted.
func (f *Fleet) Links() (open, cut []Edge) {
	for _, n := range f.Nodes {
		if n.door == nil {
			continue
		}
		n.door.mu.Lock()
		for p := range n.door.through {
			open = append(open, p.edge)
		}
		n.door.mu.Unlock()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for e, may := range f.may {
		if !may {
			cut = append(cut, e)
		}
	}
	return sorted(open), sorted(cut)
}

func sorted(all []Edge) []Edge {
	slices.SortFunc(all, func(a, b Edge) int { return slices.Compare(a[:], b[:]) })
	return slices.Compact(all)
}
