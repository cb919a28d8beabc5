package enclave

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/actors/enclave"
	"parley/messages/enclavepb"
)

// house is a node of ours that keeps what it must, at 127.0.7.1.
func house(t *testing.T) *House {
	t.Helper()
	return NewHouse(t, HouseOptions{Listen: "127.0.7.1:0", Data: t.TempDir(), Options: enclave.Options{Alias: "house", Outbox: true, Retention: time.Hour}})
}

func other(t *testing.T, ip string, spelling Spelling) *Peer {
	t.Helper()
	p, err := NewPeer(ip+":0", "other", spelling)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

var spellings = []Spelling{Classic, Newer}

// said is what a node was told that an address has said.
func said(h *House, ip string) (all []string) {
	for _, e := range h.Events() {
		if r := e.GetReceived(); r.GetFrom() == ip {
			all = append(all, r.GetMessage())
		}
	}
	return all
}

// TestAnotherMakeComesIn is a caller that is unknown: it is told nothing, then it is accepted, and what it has said counts.
func TestAnotherMakeComesIn(t *testing.T) {
	for i, spelling := range spellings {
		t.Run(string(spelling), func(t *testing.T) {
			h := house(t)
			p := other(t, fmt.Sprintf("127.0.7.%d", 10+i), spelling)
			p.Know(h.IP, "house")
			p.Set(Away, "lunch")
			if err := p.Call(h.Address); err != nil {
				t.Fatal(err)
			}
			for _, text := range []string{"one", "two"} {
				if err := p.Say(h.IP, text); err != nil {
					t.Fatal(err)
				}
			}
			h.Await("request with two messages", func(e *enclavepb.Event) bool {
				r := e.GetRequest()
				return r.GetAddress() == p.IP && r.GetHeld() == 2 && r.GetPresence().GetAlias() == "other" && r.GetPresence().GetStatusMessage() == "lunch"
			})
			if raw := p.Raw(h.IP); len(raw) > 0 {
				t.Fatalf("it was told %q", raw)
			}
			h.Must(Accept(p.IP, "Other"))
			Until(t, "handshake", func() bool { return p.Seen(h.IP) == Seen{"house", Available, ""} })
			Until(t, "held messages", func() bool { return len(said(h, p.IP)) == 2 })
			if got := said(h, p.IP); !slices.Equal(got, []string{"one", "two"}) {
				t.Errorf("heard %q", got)
			}
			talk(t, h, p)
		})
	}
}

// talk has both say something, change their status, and leave.
func talk(t *testing.T, h *House, p *Peer) {
	t.Helper()
	before := len(p.Heard(h.IP))
	for i := range 20 {
		h.Must(Send(p.IP, fmt.Sprint("m", i)))
	}
	Until(t, "messages", func() bool { return len(p.Heard(h.IP)) == before+20 })
	for i, text := range p.Heard(h.IP)[before:] {
		if text != fmt.Sprint("m", i) {
			t.Fatalf("message %d is %q", i, text)
		}
	}
	h.Await("that the last was sent", func(e *enclavepb.Event) bool {
		g := e.GetProgress()
		return g.GetId() == "m19" && g.GetDelivery() == enclavepb.Delivery_DELIVERY_SENT
	})
	p.Set(Busy, "away")
	h.Await("status", func(e *enclavepb.Event) bool {
		s := e.GetStatus()
		return s.GetAddress() == p.IP && s.GetPresence().GetStatus() == enclave.Busy && s.GetPresence().GetStatusMessage() == "away"
	})
	away := "gone"
	h.Must(&enclavepb.Command{Body: &enclavepb.Command_Status{Status: &enclavepb.SetStatus{Status: enclave.Away, StatusMessage: &away}}})
	Until(t, "status of the node", func() bool { return p.Seen(h.IP) == Seen{"house", Away, away} })
	p.Close()
	h.Await("that it is offline", func(e *enclavepb.Event) bool {
		s := e.GetStatus()
		return s.GetAddress() == p.IP && s.GetPresence().GetStatus() == enclave.Offline
	})
	for _, e := range h.Events() {
		if g := e.GetProgress(); g.GetDelivery() == enclavepb.Delivery_DELIVERY_DELIVERED {
			t.Fatalf("a peer that acknowledges nothing has got %v", g)
		}
	}
}

// TestAnotherMakeIsCalled has the node dial, with what waits for the peer.
func TestAnotherMakeIsCalled(t *testing.T) {
	for i, spelling := range spellings {
		t.Run(string(spelling), func(t *testing.T) {
			h := house(t)
			p := other(t, fmt.Sprintf("127.0.7.%d", 20+i), spelling)
			p.Know(h.IP, "house")
			h.Must(Add(p.Address, "Other"))
			Until(t, "handshake", func() bool { return p.Seen(h.IP).Alias == "house" })
			talk(t, h, p)
		})
	}
}

// TestAnotherMakeIsIgnored closes the door without a word.
func TestAnotherMakeIsIgnored(t *testing.T) {
	h := house(t)
	p := other(t, "127.0.7.30", Classic)
	p.Know(h.IP, "house")
	h.Must(Ignore(p.IP))
	for range 5 {
		if err := p.Call(h.Address); err != nil {
			t.Fatal(err)
		}
		Until(t, "end", func() bool { return p.Links(h.IP) == 0 })
	}
	if raw := p.Raw(h.IP); len(raw) > 0 {
		t.Errorf("it was told %q", raw)
	}
	for _, e := range h.Events() {
		if e.GetRequest() != nil || e.GetReceived() != nil {
			t.Errorf("people were told %v", e)
		}
	}
}

// TestMessagesWait for a peer that is not there, and for one that comes by itself.
func TestMessagesWait(t *testing.T) {
	h := house(t)
	p := other(t, "127.0.7.40", Newer)
	p.Know(h.IP, "house")
	h.Must(Add(p.IP+":1", "Other")) // nobody listens there
	var want []string
	for i := range 50 {
		want = append(want, fmt.Sprint("m", i))
		h.Must(Send("Other", want[i]))
	}
	if err := p.Call(h.Address); err != nil {
		t.Fatal(err)
	}
	Until(t, "messages", func() bool { return len(p.Heard(h.IP)) >= len(want) })
	if got := p.Heard(h.IP); !slices.Equal(got, want) {
		t.Errorf("heard %q", got)
	}
}

// TestAnotherMakeCallsAgain has a peer say things, hang up, and call again at once, over
// and over: what was said on one connection is heard though the next is there already.
func TestAnotherMakeCallsAgain(t *testing.T) {
	const rounds, each, kept = 36, 200, 8
	h := house(t)
	ip := "127.0.7.30"
	h.Must(Add(ip, "Other"))
	p := &Peer{alias: "other", spelling: Classic}
	var open []net.Conn
	next := map[string]int{}
	for i := range rounds {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}, Timeout: Patience}
		c, err := d.Dial("tcp", h.Address)
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
		available := Available
		b := p.encode(packet{Alias: &p.alias, Status: &available})
		for j := range each {
			text := fmt.Sprint(i, " ", j)
			b = append(b, p.encode(packet{Message: &text})...)
		}
		if _, err := c.Write(b); err != nil {
			t.Fatal(err)
		}
		if err := c.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if i%(kept+1) == kept {
			Until(t, "all that was said", func() bool { return len(said(h, ip)) >= (i+1)*each })
		}
	}
	for _, text := range said(h, ip) { // in order, of each connection
		round, number, _ := strings.Cut(text, " ")
		if number != fmt.Sprint(next[round]) {
			t.Fatalf("heard %q, want number %d", text, next[round])
		}
		next[round]++
	}
	for _, c := range open {
		_ = c.Close()
	}
}
