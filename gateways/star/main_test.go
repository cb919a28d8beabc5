package star

import (
	"fmt"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/gateways/guard"
	"parley/gateways/link"
	"parley/messages"
	"parley/messages/linkpb"
	"parley/messages/starpb"
	"parley/testkit"
	"parley/testkit/leaks"
)

func TestMain(m *testing.M) { leaks.Main(m) }

// venue is a gateway whose sockets one actor serves: it welcomes them, answers
// pings, and notes all else.
type venue struct {
	t       *testing.T
	net     *testkit.Network
	sys     *actor.ActorSystem
	root    *actor.PID
	gateway Gateway
	fan     [versions]link.Fanout
	http    *http.Server
	done    chan struct{}
	hold    bool           // credit is not given back
	pass    map[string]int // clients, counted from 0, that streams go to; others are noted

	mu     sync.Mutex
	links  []*actor.PID
	heard  []proto.Message
	opened []string // protocols
	gone   int
}

func newVenue(t *testing.T, change func(*venue), o ...testkit.NetworkOption) *venue {
	t.Helper()
	v := &venue{t: t, net: testkit.NewNetwork(o...), sys: testkit.System(t), done: make(chan struct{})}
	v.gateway.MaxLinks = 10
	v.gateway.Refuse = func(w http.ResponseWriter, _ *http.Request, r *guard.Refusal) { r.WriteTo(w) }
	if change != nil {
		change(v)
	}
	v.gateway.Kinds[three], v.gateway.Kinds[four] = NewKinds()
	started := make(chan struct{})
	v.root = tree.Spawn(v.sys.Root, "root", tree.Spec{New: func() actor.Actor {
		return actor.ReceiveFunc(func(ctx actor.Context) {
			if _, ok := ctx.Message().(*actor.Started); !ok {
				return
			}
			sessions := tree.Spawn(ctx, "sessions", tree.Spec{New: func() actor.Actor { return actor.ReceiveFunc(v.serve) }})
			for i, k := range v.gateway.Kinds {
				link.New(v.sys, k)
				v.fan[i] = link.SpawnShards(ctx, "fanout"+versionNames[i], k)
				v.gateway.Links[i] = link.SpawnLinks(ctx, "links"+versionNames[i], k, v.fan[i].Shards, sessions)
			}
			close(started)
		})
	}})
	<-started
	l, err := v.net.Listen("server:80")
	if err != nil {
		t.Fatal(err)
	}
	v.http = guard.Server(&v.gateway, guard.ServerOptions{})
	go func() {
		defer close(v.done)
		_ = v.http.Serve(link.Listener(l))
	}()
	return v
}

func (v *venue) serve(ctx actor.Context) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch m := ctx.Message().(type) {
	case *linkpb.Opened:
		v.links, v.opened = append(v.links, ctx.Sender()), append(v.opened, m.GetProtocol())
		ctx.Request(ctx.Sender(), &linkpb.Accepted{})
		ctx.Respond(&starpb.Welcome{Sid: "lv_VI97HAXpY6yYWAAAC"})
	case *starpb.Ping:
		ctx.Respond(&starpb.Pong{Data: m.GetData()})
	case *linkpb.Closed:
		v.gone++
	case *linkpb.Malformed:
		v.heard = append(v.heard, m)
		ctx.Respond(&linkpb.Close{Code: closeProtocol, Reason: m.GetReason()})
	case proto.Message:
		if _, ok := m.(actor.SystemMessage); ok {
			return
		}
		if s, ok := m.(*starpb.Stream); ok && v.passOn(s) {
			ctx.Respond(&linkpb.Settled{All: true})
			return
		}
		if _, ok := m.(actor.AutoReceiveMessage); ok {
			return
		}
		v.heard = append(v.heard, m)
		if !v.hold {
			ctx.Respond(&linkpb.Settled{All: true})
		}
	}
}

// said is what clients said since the last call.
func (v *venue) said() []proto.Message {
	synctest.Wait()
	v.mu.Lock()
	defer v.mu.Unlock()
	got := v.heard
	v.heard = nil
	return got
}

// tell makes the link of a client, counted from 0, write.
func (v *venue) tell(client int, m proto.Message) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.sys.Root.Send(v.links[client], m)
}

// cast fans out to a client that is its version's only one.
func (v *venue) cast(version int, m proto.Message) {
	v.sys.Root.Send(v.fan[version].Shards[1%len(v.fan[version].Shards)], &messages.Multicast{Members: []uint64{1}, Frame: &messages.Shared{Message: m}, Size: proto.Size(m)})
}

const query = "/socket.io/?EIO=%s&transport=websocket"

func (v *venue) dial(version int) *testkit.WS {
	v.t.Helper()
	c := v.connect()
	w, err := testkit.DialWS(c, "server", fmt.Sprintf(query, versionNames[version]), http.Header{"Origin": {"https://anywhere.example"}})
	if err != nil {
		v.t.Fatal(err)
	}
	synctest.Wait()
	return w
}

func (v *venue) connect() net.Conn {
	v.t.Helper()
	c, err := v.net.Dial(v.t.Context(), "client", "server:80")
	if err != nil {
		v.t.Fatal(err)
	}
	return c
}

func (v *venue) stop() {
	v.t.Helper()
	_ = v.http.Close()
	<-v.done
	testkit.Stop(v.t, v.sys, v.root)
	if n := v.net.Open(); n != 0 {
		v.t.Errorf("%d ends of connections left open", n)
	}
}

// hear is all that a client heard since the last call.
func hear(w *testkit.WS) (all []string) {
	synctest.Wait()
	for {
		frame, code, reason, ok := w.Hear()
		if !ok {
			return all
		}
		if code != 0 {
			frame = fmt.Sprintf("close %d %s", code, reason)
		}
		all = append(all, frame)
	}
}

// composite is a frame as Socket makes it.
func composite(text string, attachments ...string) []byte {
	body := []byte(text)
	var spans []span
	for _, a := range attachments {
		spans = append(spans, span{len(body), len(body) + len(a)})
		body = append(body, a...)
	}
	return compose(body, len(text), spans)
}
