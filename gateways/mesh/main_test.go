package mesh

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/gateways/guard"
	"parley/gateways/link"
	"parley/gateways/ws"
	"parley/messages"
	"parley/messages/linkpb"
	"parley/messages/meshpb"
	"parley/testkit/leaks"
)

func TestMain(m *testing.M) { leaks.Main(m) }

// patience is how long the tests on real sockets wait for anything. They never
// wait for it to pass.
const patience = time.Minute

// site is a node: both kinds of links, one actor that serves them all, and a
// server. It lets in who presents "good" and is not named otherwise than
// "node3"; "full" and "silent" are answered like that.
type site struct {
	sys     *actor.ActorSystem
	root    *actor.PID
	gateway Gateway
	dialler Dialler
	fan     [2]link.Fanout
	http    *http.Server
	done    chan struct{}

	mu      sync.Mutex
	changed *sync.Cond
	asked   []*meshpb.AdmitRequest
	opened  []*linkpb.Opened
	links   []*actor.PID
	heard   []proto.Message
	trips   int
	gone    int
}

const (
	ticketIn  = 7 // of who was let in
	ticketOut = 8 // of who was dialled
)

func newSite(sys *actor.ActorSystem, l net.Listener, secret *tls.Config) *site {
	s := &site{sys: sys, done: make(chan struct{})}
	s.changed = sync.NewCond(&s.mu)
	in, out := NewKinds()
	link.New(sys, in)
	link.New(sys, out)
	started := make(chan struct{})
	s.root = tree.Spawn(sys.Root, "root", tree.Spec{New: func() actor.Actor {
		return actor.ReceiveFunc(func(ctx actor.Context) {
			if _, ok := ctx.Message().(*actor.Started); !ok {
				return
			}
			s.fan = [2]link.Fanout{link.SpawnShards(ctx, "in", in), link.SpawnShards(ctx, "out", out)}
			peers := tree.Spawn(ctx, "peers", tree.Spec{New: func() actor.Actor { return actor.ReceiveFunc(s.serve) }})
			s.gateway = Gateway{Kind: in, Links: link.SpawnLinks(ctx, "accepted", in, s.fan[0].Shards, peers), Root: sys.Root, Peers: peers}
			s.dialler = Dialler{Kind: out, Links: link.SpawnLinks(ctx, "dialled", out, s.fan[1].Shards, peers)}
			close(started)
		})
	}})
	<-started
	mux := http.NewServeMux()
	mux.Handle("GET /node", &s.gateway)
	mux.HandleFunc("GET /bad/node", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "\x1b[2J no", http.StatusTeapot) })
	mux.HandleFunc("GET /odd/node", func(w http.ResponseWriter, _ *http.Request) { refuse(w, http.StatusForbidden, `\u001b[2J`) })
	s.http = guard.Server(mux, guard.ServerOptions{})
	over := link.Listener(l)
	if secret != nil {
		over = tls.NewListener(over, secret)
	}
	go func() {
		defer close(s.done)
		_ = s.http.Serve(over)
	}()
	return s
}

func (s *site) serve(ctx actor.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.changed.Broadcast()
	switch m := ctx.Message().(type) {
	case *meshpb.AdmitRequest:
		s.asked = append(s.asked, m)
		switch m.GetToken() {
		case "good":
			if m.GetName() == "" || m.GetName() == "node3" {
				ctx.Respond(&meshpb.AdmitResponse{Ticket: ticketIn})
				return
			}
		case "full":
			ctx.Respond(&meshpb.AdmitResponse{Full: true})
			return
		case "silent":
			return
		}
		ctx.Respond(&meshpb.AdmitResponse{})
	case *linkpb.Opened:
		s.opened, s.links = append(s.opened, m), append(s.links, ctx.Sender())
		ctx.Request(ctx.Sender(), &linkpb.Accepted{})
	case *linkpb.RoundTrip:
		s.trips++
	case *linkpb.Closed:
		s.gone++
	case *meshpb.Handshake, *meshpb.Frame, *linkpb.Malformed:
		s.heard = append(s.heard, m.(proto.Message))
		ctx.Send(ctx.Sender(), &linkpb.Settled{All: true}) // or the link would read no more, not even a close
	}
}

// until waits for a condition on what is guarded.
func (s *site) until(t *testing.T, what string, met func() bool) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	over := false
	late := time.AfterFunc(patience, func() {
		s.mu.Lock()
		over = true
		s.mu.Unlock()
		s.changed.Broadcast()
	})
	defer late.Stop()
	for !met() {
		if over {
			t.Fatalf("no %s: opened %v, heard %v", what, s.opened, s.heard)
		}
		s.changed.Wait()
	}
}

// member is the outbound side of the link with a ticket.
func (s *site) member(ticket uint64) (member uint64, pid *actor.PID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, o := range s.opened {
		if o.GetTicket() == ticket {
			return o.GetMember(), s.links[i]
		}
	}
	return 0, nil
}

// cast sends a message to the link with a ticket, as the router does.
func (s *site) cast(ticket uint64, m proto.Message) {
	member, _ := s.member(ticket)
	s.sys.Root.Send(s.fan[ticket-ticketIn].Shards[0], &messages.Multicast{Members: []uint64{member}, Frame: &messages.Shared{Message: m}, Size: proto.Size(m)})
}

func (s *site) close() {
	_ = s.http.Close()
	<-s.done
}

// selfSigned is a server's side of TLS and the client's; its certificate never
// expires.
var selfSigned = sync.OnceValues(func() (*tls.Config, ws.TLS) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, ws.TLS{RootCAs: pool}
})

var background = context.Background()
