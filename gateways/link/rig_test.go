package link

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/testkit"
)

// rig is one Outbound over a simulated connection, without actors.
type rig struct {
	kind *Kind
	out  *Outbound
	near *testkit.SimConn
	far  net.Conn // the peer's end
	got  []byte   // what the peer has read
	eof  bool     // the peer has read to the end

	mu    sync.Mutex
	ended []string          // reasons
	lost  map[string]uint64 // reported
}

// fatal is what tests of any kind fail with.
type fatal interface {
	Helper()
	Fatalf(format string, args ...any)
}

func newRig(t fatal, sys *actor.ActorSystem, window int, secret bool, change func(*Kind)) *rig {
	t.Helper()
	n := testkit.NewNetwork(testkit.Window(window))
	l, err := n.Listen("server:1")
	if err != nil {
		t.Fatalf("%v", err)
	}
	defer l.Close()
	far, err := n.Dial(background, "client", "server:1")
	if err != nil {
		t.Fatalf("%v", err)
	}
	c, err := Listener(l).Accept()
	if err != nil {
		t.Fatalf("%v", err)
	}
	base := c.(*Conn)
	r := &rig{kind: newKind(sys, change), near: base.NetConn().(*testkit.SimConn), far: far, lost: map[string]uint64{}}
	r.kind.unsaid.Store(1)
	r.out = &Outbound{member: 1, kind: r.kind, conn: base, w: base, tell: r.tell}
	if secret {
		server, client := tls.Server(base, selfSigned()), tls.Client(far, trusting())
		shaken := make(chan error)
		go func() { shaken <- client.Handshake() }()
		if err := server.Handshake(); err != nil {
			t.Fatalf("%v", err)
		}
		if err := <-shaken; err != nil {
			t.Fatalf("%v", err)
		}
		r.out.w, r.far = server, client
	}
	base.mine(!secret)
	base.Release()
	return r
}

func (r *rig) tell(m any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch m := m.(type) {
	case *ended:
		r.ended = append(r.ended, m.reason)
	case *lostFrames:
		for source, n := range m.counts {
			r.lost[source] += n
		}
	}
}

// reasons are what the link's actor was told that its outbound ended for.
func (r *rig) reasons() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.ended)
}

// reported is how many lost frames of a source the link's actor was told of.
func (r *rig) reported(source string) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lost[source]
}

// read lets the peer take up to n bytes, of those that are there.
func (r *rig) read(n int) int {
	_ = r.far.SetReadDeadline(time.Now().Add(time.Nanosecond))
	b := make([]byte, n)
	n, err := r.far.Read(b)
	r.got = append(r.got, b[:n]...)
	r.eof = r.eof || err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
	synctest.Wait()
	return n
}

// readAll lets the peer take all that ever comes.
func (r *rig) readAll() {
	for r.read(64<<10) > 0 {
	}
}

// close ends both sides as the reader of a link would.
func (r *rig) close() {
	_ = r.far.Close()
	_ = r.near.Close()
	synctest.Wait()
}

// check compares the books with what is there.
func (r *rig) check(t fatal) {
	t.Helper()
	o := r.out
	o.mu.Lock()
	defer o.mu.Unlock()
	size := o.flight
	for _, c := range o.queue {
		size += len(c.wire) + chunkCost
	}
	if o.state != outOpen {
		size = 0
	}
	if got := int(o.bytes.Load()); got != size || int(r.kind.Budget.Used()) != size {
		t.Fatalf("%d bytes are counted, %d in the budget, %d are there", got, r.kind.Budget.Used(), size)
	}
	if !o.draining && o.state != outDead && o.conn.kept() > 0 {
		t.Fatalf("%d bytes are kept and nobody drains them", o.conn.kept())
	}
	if (r.kind.unsaid.Load() == 0) != (o.state == outDead) {
		t.Fatalf("%d last words unsaid in state %d", r.kind.unsaid.Load(), o.state)
	}
}

// lines are the whole frames that the peer read; rest is what follows.
func (r *rig) lines() (all []string, rest string) {
	all = strings.Split(string(r.got), "\n")
	return all[:len(all)-1], all[len(all)-1]
}

// flood sends frames of size until the link is over, or most were sent.
func flood(o *Outbound, size, most int, source string) (n int) {
	for ; n < most; n++ {
		o.mu.Lock()
		over := o.state != outOpen
		o.mu.Unlock()
		if over {
			break
		}
		o.send(nil, chunk{wire: frame(fmt.Sprintf("%06d%s", n, strings.Repeat("x", size-7))), frames: 1, source: source})
	}
	return n
}
