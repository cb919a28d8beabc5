package link

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages"
	"parley/messages/linkpb"
)

// pairs passes on what peers say: each has the one that came before or after it
// for a partner. A peer's credit comes back when its partner's link has taken
// what it said.
type pairs struct{ links, servers []*actor.PID }

func (p *pairs) Receive(ctx actor.Context) {
	if _, ok := ctx.Message().(*linkpb.Opened); !ok {
		return
	}
	p.links = append(p.links, ctx.Sender())
	pid := tree.Spawn(ctx, "", tree.Spec{Inline: true, New: func() actor.Actor { return &partner{link: ctx.Sender()} }})
	if p.servers = append(p.servers, pid); len(p.links)%2 == 0 {
		n := len(p.links)
		ctx.Send(p.servers[n-2], partnered{p.links[n-1]})
		ctx.Send(p.servers[n-1], partnered{p.links[n-2]})
	}
}

type partnered struct{ other *actor.PID }

type partner struct{ link, other *actor.PID }

func (p *partner) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case partnered:
		p.other = m.other
		ctx.Request(p.link, &linkpb.Accepted{})
	case word:
		n := len(m.GetValue())
		ctx.Request(p.other, &messages.Paced{Message: m, Charge: messages.Charge(n), Size: n})
	case *linkpb.Taken:
		ctx.Send(p.link, &linkpb.Settled{Charge: m.GetCharge()})
	case *linkpb.Closed:
		ctx.Stop(ctx.Self())
	}
}

// TestInlineLinks has pairs of peers send each other more than fits anywhere, on
// the goroutines of whoever comes first: all of it arrives, in order, and nobody
// waits for himself.
func TestInlineLinks(t *testing.T) {
	const (
		peers = 6
		each  = 400
		size  = 16 << 10
	)
	pool := tree.NewPool()
	defer pool.Close()
	s := newSiteOn(t, tree.New(tree.Options{Driver: pool}), nil, func(k *Kind) {
		k.Inline, k.OutboundLimit, k.Codec = true, 4<<20, phrases{}
	}, func() actor.Actor { return &pairs{} })
	fill := ":" + strings.Repeat("x", size)
	var done sync.WaitGroup
	for range peers {
		c, err := net.Dial("tcp", s.ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		done.Go(func() {
			for i := range each {
				if _, err := fmt.Fprintf(c, "%06d %s\n", i, fill); err != nil {
					t.Error(err)
					return
				}
			}
		})
		done.Go(func() {
			r := bufio.NewReader(c)
			for i := range each {
				line, err := r.ReadString('\n')
				if want := fmt.Sprintf("%06d %s\n", i, fill); line != want || err != nil {
					t.Errorf("line %d is %.20q of %d bytes, %v", i, line, len(line), err)
					_, _ = io.Copy(io.Discard, r)
					return
				}
			}
		})
	}
	done.Wait()
	s.stop()
}
