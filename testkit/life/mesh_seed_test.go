package life_test

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"parley/testkit"
)

// packet is what nodes say to each other, with the keys of the notes on wsrelay
// and no others.
type packet struct {
	Source      string          `json:"source"`
	Destination string          `json:"destination"`
	Type        string          `json:"type"`
	Nonce       string          `json:"nonce"`
	Data        json.RawMessage `json:"data"`
}

// listed is a channel as list-channels shows it.
type listed struct {
	Name     string `json:"name"`
	Password string `json:"password"`
}

// order is the data of a command, of a message and of a response.
type order struct {
	Command  string   `json:"command,omitempty"`
	Node     string   `json:"node,omitempty"`
	Channel  string   `json:"channel,omitempty"`
	Password string   `json:"password,omitempty"`
	Message  string   `json:"message,omitempty"`
	OK       *bool    `json:"ok,omitempty"`
	Reason   string   `json:"reason,omitempty"`
	Nodes    []string `json:"nodes,omitempty"`
	Channels []listed `json:"channels,omitempty"`
	Host     string   `json:"host,omitempty"`
	Token    string   `json:"token,omitempty"`
	Latency  float64  `json:"latency,omitempty"`
}

// seedNode is a node written from the notes on wsrelay alone: JSON, no key and no
// command but theirs, nonces drawn at random, everything flooded.
type seedNode struct {
	t    testing.TB
	name string

	mu       sync.Mutex // guards what follows
	links    map[string]*testkit.WS
	open     map[string]string // hashes of passwords by channel
	reserved map[string]string
	seen     map[string]bool
	answers  map[string]order // by nonce
	arrived  []packet         // for this node, in order
	heard    []string         // messages on channels that are open here
}

func newSeedNode(t testing.TB, name string) *seedNode {
	return &seedNode{
		t: t, name: name, links: map[string]*testkit.WS{}, open: map[string]string{}, reserved: map[string]string{},
		seen: map[string]bool{}, answers: map[string]order{},
	}
}

// connect links the node with another, WS /node.
func (s *seedNode) connect(peer, address, token string) error {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	w, err := testkit.DialWS(conn, address, "/node", http.Header{"Authentication": {token}})
	if err != nil {
		return err
	}
	if err := w.Say(`{"command":"handshake","data":{"name":"` + s.name + `"}}`); err != nil {
		return err
	}
	s.mu.Lock()
	s.links[peer] = w
	s.mu.Unlock()
	stop, done := make(chan struct{}), make(chan struct{})
	s.t.Cleanup(func() { close(stop); <-done; w.HangUp() })
	go func() {
		defer close(done)
		for tick := time.NewTicker(time.Millisecond); ; {
			select {
			case <-stop:
				tick.Stop()
				return
			case <-tick.C:
			}
			for frame, code, _, ok := w.Hear(); ok && code == 0; frame, code, _, ok = w.Hear() {
				s.receive(peer, frame)
			}
		}
	}()
	return nil
}

// receive is what the notes say of a packet: drop it if it was here, pass it on,
// process it.
func (s *seedNode) receive(from, frame string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var p packet
	if err := json.Unmarshal([]byte(frame), &p); err != nil || p.Source == "" { // a handshake
		return
	}
	key := p.Type + " " + p.Source + " " + p.Nonce
	if p.Source == s.name || s.seen[key] {
		return
	}
	s.seen[key] = true
	if p.Destination != s.name {
		for peer, w := range s.links {
			if peer != from {
				_ = w.Say(frame)
			}
		}
		if p.Destination != "*" {
			return
		}
	}
	s.arrived = append(s.arrived, p)
	var o order
	if err := json.Unmarshal(p.Data, &o); err != nil && p.Type != "response" { // statistics have a shape of their own
		s.t.Errorf("%s was sent data of another shape: %s", s.name, frame)
		return
	}
	switch p.Type {
	case "message":
		text, err := base64.StdEncoding.DecodeString(o.Message)
		if _, here := s.open[o.Channel]; here && err == nil {
			s.heard = append(s.heard, string(text))
		}
	case "response":
		s.answers[p.Nonce] = o
	case "command":
		if answer, known := s.obey(&o); known {
			s.send(p.Source, "response", p.Nonce, answer)
		}
	}
}

// obey carries out a command.
func (s *seedNode) obey(o *order) (answer order, known bool) {
	no := func(reason string) (order, bool) { return order{OK: new(bool), Reason: reason}, true }
	yes := true
	answer.OK = &yes
	switch o.Command {
	case "list-nodes":
		for peer := range s.links {
			answer.Nodes = append(answer.Nodes, peer)
		}
	case "list-channels":
		answer.Channels = list(s.open)
	case "list-reserved-channels":
		answer.Channels = list(s.reserved)
	case "reserve-channel":
		if hash, here := s.open[o.Channel]; here && hash != o.Password {
			return no("channel already reserved")
		}
		s.reserved[o.Channel] = o.Password
	case "unreserve-channel":
		if _, here := s.open[o.Channel]; here {
			return no("channel still open")
		}
		delete(s.reserved, o.Channel)
	case "get-latency":
		if s.links[o.Node] == nil {
			return no("target not connected")
		}
		answer.Latency = 0.45
	case "get-node-connection":
		return no("target not connected")
	case "get-connection-token":
		answer.Token = "nobody can use it"
	default:
		return order{}, false
	}
	return answer, true
}

func list(channels map[string]string) (all []listed) {
	for name, hash := range channels {
		all = append(all, listed{name, hash})
	}
	slices.SortFunc(all, func(a, b listed) int { return len(a.Name) - len(b.Name) })
	return all
}

// send puts a packet on all links. With mu held.
func (s *seedNode) send(to, kind, nonce string, o order) {
	data, err := json.Marshal(o)
	if err != nil {
		s.t.Fatal(err)
	}
	frame, err := json.Marshal(packet{s.name, to, kind, nonce, data})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, w := range s.links {
		_ = w.Say(string(frame))
	}
}

// tell sends a packet of this node's own, and returns its nonce.
func (s *seedNode) tell(to, kind string, o order) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	nonce := rand.Text()
	s.send(to, kind, nonce, o)
	return nonce
}

// ask sends a command to a node, and returns the answer's data.
func (s *seedNode) ask(to string, o order) (answer order) {
	s.t.Helper()
	nonce := s.tell(to, "command", o)
	eventually(s.t, fmt.Sprintf("%s answers %s", to, o.Command), func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		var ok bool
		answer, ok = s.answers[nonce]
		return ok
	})
	return answer
}

// subscribe lets a client of this node open a channel.
func (s *seedNode) subscribe(channel, hash string) {
	s.mu.Lock()
	s.open[channel] = hash
	s.mu.Unlock()
	s.tell("*", "command", order{Command: "reserve-channel", Channel: channel, Password: hash})
}

// await waits for a packet, which is shown with its data.
func (s *seedNode) await(what string, is func(p packet, o order) bool) (found packet) {
	s.t.Helper()
	eventually(s.t, s.name+" is sent "+what, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		at := slices.IndexFunc(s.arrived, func(p packet) bool {
			var o order
			_ = json.Unmarshal(p.Data, &o) // statistics are of another shape
			return is(p, o)
		})
		if at >= 0 {
			found = s.arrived[at]
		}
		return at >= 0
	})
	return found
}

// said is what has been heard on channels that are open here.
func (s *seedNode) said() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.heard)
}
