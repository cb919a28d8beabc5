//go:build linux

package bench

import (
	"fmt"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"parley/cmd/parley/bench/wire"
)

// server is a small server of the wire whose promises can be broken on purpose.
type server struct {
	// fixed
	odd     bool                                      // other key order and white space
	mangle  func(to *peer, s stamped) [][]byte        // what is written for a delivery; nil is the delivery itself
	refuse  func(nonce int) string                    // why a message is not taken; empty is taken
	reply   func(p *peer, command string) (skip bool) // called for each command; may close p
	backlog int                                       // bytes a connection may have queued, then it is closed 1013; 0 is any
	l       net.Listener
	all     sync.WaitGroup

	mu        sync.Mutex
	peers     int
	rooms     map[string][]*peer
	passwords map[string]string
	conns     []net.Conn
}

// stamped is a delivery on its way.
type stamped struct {
	stamp wire.Stamp
	frame []byte
}

// peer is one connection of it; number counts them in the order they subscribed first.
type peer struct {
	s      *server
	conn   net.Conn
	number int
	wrong  int

	mu     sync.Mutex
	out    []byte
	last   bool // nothing is queued any more, the connection ends when out is written
	signal chan struct{}
	held   [][]byte // for mangle
}

func serve(t *testing.T, s *server) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.l, s.rooms, s.passwords = l, map[string][]*peer{}, map[string]string{}
	s.all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns = append(s.conns, c)
			s.mu.Unlock()
			s.all.Go(func() { s.serve(c) })
		}
	})
	t.Cleanup(s.stop)
	return "ws://" + l.Addr().String() + "/connect"
}

func (s *server) stop() {
	_ = s.l.Close()
	s.mu.Lock()
	for _, c := range s.conns {
		_ = c.Close()
	}
	s.mu.Unlock()
	s.all.Wait()
}

func (s *server) serve(c net.Conn) {
	const small = 16 << 10 // so that one that does not read is noticed soon
	_ = c.(*net.TCPConn).SetWriteBuffer(small)
	p := &peer{s: s, conn: c, number: -1, signal: make(chan struct{}, 1)}
	done := make(chan struct{})
	defer func() {
		s.leave(p)
		close(done)
		_ = c.Close()
	}()
	s.all.Go(func() { p.write(done) })
	buffer := make([]byte, 256<<10)
	var head []byte
	scan := wire.Scanner{Masked: true}
	open := false
	for {
		n, err := c.Read(scan.Begin(buffer))
		if err != nil {
			return
		}
		if !open {
			head = append(head, buffer[:n]...)
			_, lines, after, ok, _ := wire.Head(head)
			if !ok {
				continue
			}
			p.queue(fmt.Appendf(nil, "HTTP/1.1 101 x\r\nSec-WebSocket-Accept: %s\r\n\r\n", wire.Accept(wire.Header(lines, "Sec-WebSocket-Key"))))
			open = true
			n = copy(scan.Begin(buffer), after)
		}
		scan.Filled(n)
		for {
			m, ok, err := scan.Next()
			if err != nil || (ok && m.Op == wire.OpClose) {
				return
			}
			if !ok {
				break
			}
			if m.Op == wire.OpText {
				s.command(p, m.Payload)
			}
		}
		scan.Keep()
	}
}

func (s *server) leave(p *peer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, r := range s.rooms {
		for i, o := range r {
			if o == p {
				s.rooms[name] = append(r[:i:i], r[i+1:]...)
				break
			}
		}
	}
}

// queue hands bytes to the writer.
func (p *peer) queue(b []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last {
		return
	}
	if p.s.backlog > 0 && len(p.out) > p.s.backlog {
		p.out = wire.AppendServer(nil, wire.OpClose, wire.AppendClose(nil, 1013, "slow consumer"))
		p.last = true
	} else {
		p.out = append(p.out, b...)
	}
	p.wake()
}

// end closes with a code, behind what is queued.
func (p *peer) end(code int) {
	p.queue(wire.AppendServer(nil, wire.OpClose, wire.AppendClose(nil, code, "")))
	p.mu.Lock()
	p.last = true
	p.wake()
	p.mu.Unlock()
}

func (p *peer) wake() {
	select {
	case p.signal <- struct{}{}:
	default:
	}
}

func (p *peer) write(done chan struct{}) {
	for {
		p.mu.Lock()
		b, last := p.out, p.last
		p.out = nil
		p.mu.Unlock()
		if len(b) > 0 {
			_, _ = p.conn.Write(b)
			continue
		}
		if last {
			_ = p.conn.(*net.TCPConn).CloseWrite()
			return
		}
		select {
		case <-done:
			return
		case <-p.signal:
		}
	}
}

func (p *peer) say(json string) { p.queue(wire.AppendServer(nil, wire.OpText, []byte(json))) }

func (p *peer) answer(ok bool, rest, nonce string) {
	if p.s.odd {
		p.say(fmt.Sprintf("{ \"nonce\" : \"%s\",\n\t\"data\" : { \"ok\" : %t %s } , \"type\" : \"response\" }", nonce, ok, rest))
		return
	}
	p.say(fmt.Sprintf(`{"type":"response","data":{"ok":%t%s},"nonce":"%s"}`, ok, rest, nonce))
}

func value(json []byte, key string) string {
	v, _ := wire.Value(json, `"`+key+`"`)
	return string(v)
}

func (s *server) command(p *peer, json []byte) {
	nonce, command := value(json, "nonce"), value(json, "command")
	if s.reply != nil && s.reply(p, command) {
		return
	}
	switch command {
	case "subscribe":
		s.subscribe(p, json, nonce)
	case "list":
		p.answer(true, `,"channels":[]`, nonce)
	case "send":
		s.send(p, json, nonce)
	}
}

func (s *server) subscribe(p *peer, json []byte, nonce string) {
	name, password := value(json, "topic"), value(json, "password")
	if name == "" {
		name = value(json, "channel")
	}
	s.mu.Lock()
	if len(s.rooms[name]) == 0 {
		s.passwords[name] = password
	}
	good := s.passwords[name] == "" || s.passwords[name] == password
	if good {
		if p.number < 0 {
			p.number = s.peers
			s.peers++
		}
		s.rooms[name] = append(s.rooms[name], p)
	}
	s.mu.Unlock()
	if good {
		p.answer(true, "", nonce)
		return
	}
	p.answer(false, `,"reason":"invalid password"`, nonce)
	const tries = 5
	if p.wrong++; p.wrong == tries {
		p.end(1008)
	}
}

func (s *server) send(p *peer, json []byte, nonce string) {
	channel, message := value(json, "channel"), value(json, "message")
	if s.refuse != nil {
		n, _ := strconv.Atoi(nonce)
		if why := s.refuse(n); why != "" {
			p.answer(false, `,"reason":"`+why+`"`, nonce)
			return
		}
	}
	text := fmt.Sprintf(`{"type":"message","data":{"message":"%s","channel":"%s"},"nonce":"%s"}`, message, channel, nonce)
	if s.odd {
		text = fmt.Sprintf("{ \"data\" : {\"channel\":\"%s\" , \"message\" : \"%s\"},\r\n\"type\":\"message\" }", channel, message)
	}
	frame := wire.AppendServer(nil, wire.OpText, []byte(text))
	stamp, _ := new(wire.Finder).Find(frame)
	s.mu.Lock()
	for _, to := range s.rooms[channel] {
		switch {
		case to == p:
		case s.mangle == nil:
			to.queue(frame)
		default:
			for _, f := range s.mangle(to, stamped{stamp, frame}) {
				to.queue(f)
			}
		}
	}
	s.mu.Unlock()
	p.answer(true, "", nonce)
}

// patience bounds every wait of these tests; nothing comes near it unless something is broken.
const patience = 30 * time.Second
