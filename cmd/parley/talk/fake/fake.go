// Package fake is a server of MASQNode-UIv2 for tests, as right or as wrong as
// the test wants it: a script answers each opcode.
package fake

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// Message is what a client sent.
type Message struct {
	Opcode  string          `json:"opcode"`
	Context *uint64         `json:"contextId"`
	Payload json.RawMessage `json:"payload"`
}

// Script answers a message.
type Script func(c *Conn, m Message)

// Server is one on a port of this machine. On, Greet and Else are set before the
// first client comes.
type Server struct {
	Port  uint16
	On    map[string]Script // by opcode
	Else  Script            // of all other opcodes
	Greet func(c *Conn)     // first of all

	http *http.Server
	done chan struct{}
	wg   sync.WaitGroup

	mu     sync.Mutex // guards what follows
	conns  map[*Conn]bool
	heard  []Message
	closed bool
}

// Listen starts a server on a free port; the test's end stops it.
func Listen(t testing.TB) *Server { return ListenAt(t, 0, nil) }

// ListenAt starts a server on a port that is free, or was a moment ago, after
// its script was set.
func ListenAt(t testing.TB, port uint16, set func(*Server)) *Server {
	t.Helper()
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Port: uint16(l.Addr().(*net.TCPAddr).Port), On: map[string]Script{}, done: make(chan struct{}), conns: map[*Conn]bool{}}
	if set != nil {
		set(s)
	}
	s.http = &http.Server{Handler: http.HandlerFunc(s.serve)}
	go func() {
		defer close(s.done)
		_ = s.http.Serve(l)
	}()
	t.Cleanup(s.Stop)
	return s
}

// Stop ends the server and its connections without a goodbye.
func (s *Server) Stop() {
	s.mu.Lock()
	s.closed = true
	_ = s.http.Close()
	for c := range s.conns {
		_ = c.net.Close()
	}
	s.mu.Unlock()
	<-s.done
	s.wg.Wait()
}

// Heard gives what came so far.
func (s *Server) Heard() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Message(nil), s.heard...)
}

// Each does something with all connections.
func (s *Server) Each(f func(*Conn)) {
	s.mu.Lock()
	var all []*Conn
	for c := range s.conns {
		all = append(all, c)
	}
	s.mu.Unlock()
	for _, c := range all {
		f(c)
	}
}

const (
	subprotocol = "MASQNode-UIv2"
	acceptGUID  = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" // RFC 6455, 1.3
)

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Sec-WebSocket-Protocol") != subprotocol {
		http.Error(w, "wrong subprotocol", http.StatusBadRequest)
		return
	}
	h := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + acceptGUID))
	conn, rw, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	c := &Conn{net: conn, r: rw.Reader}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		_ = conn.Close()
		return
	}
	s.conns[c] = true
	s.wg.Add(1)
	s.mu.Unlock()
	defer s.wg.Done()
	defer func() {
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
		_ = conn.Close()
	}()
	fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: %s\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		subprotocol, base64.StdEncoding.EncodeToString(h[:]))
	if s.Greet != nil {
		s.Greet(c)
	}
	for {
		text, err := c.next()
		if err != nil {
			return
		}
		var m Message
		if err := json.Unmarshal(text, &m); err != nil {
			return
		}
		s.mu.Lock()
		s.heard = append(s.heard, m)
		s.mu.Unlock()
		if do := s.On[m.Opcode]; do != nil {
			do(c, m)
		} else if s.Else != nil {
			s.Else(c, m)
		}
	}
}

// Conn is one client's connection.
type Conn struct {
	net net.Conn
	r   *bufio.Reader
	mu  sync.Mutex // one frame at a time
}

// next reads one text message, skipping all else but a close.
func (c *Conn) next() ([]byte, error) {
	for {
		var head [2]byte
		if _, err := io.ReadFull(c.r, head[:]); err != nil {
			return nil, err
		}
		n := uint64(head[1] & 0x7F)
		var more [8]byte
		switch n {
		case 126:
			if _, err := io.ReadFull(c.r, more[6:]); err != nil {
				return nil, err
			}
			n = binary.BigEndian.Uint64(more[:])
		case 127:
			if _, err := io.ReadFull(c.r, more[:]); err != nil {
				return nil, err
			}
			n = binary.BigEndian.Uint64(more[:])
		}
		body := make([]byte, 4+n)
		if _, err := io.ReadFull(c.r, body); err != nil {
			return nil, err
		}
		for i := range body[4:] {
			body[4+i] ^= body[i%4]
		}
		switch head[0] & 0xF {
		case 1:
			return body[4:], nil
		case 8:
			return nil, io.EOF
		}
	}
}

func (c *Conn) write(op byte, b []byte) {
	head := []byte{0x80 | op}
	switch {
	case len(b) < 126:
		head = append(head, byte(len(b)))
	case len(b) < 1<<16:
		head = binary.BigEndian.AppendUint16(append(head, 126), uint16(len(b)))
	default:
		head = binary.BigEndian.AppendUint64(append(head, 127), uint64(len(b)))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	_, _ = c.net.Write(append(head, b...))
}

// Say sends a text message.
func (c *Conn) Say(text string) { c.write(1, []byte(text)) }

// Bye sends a close frame and ends the connection.
func (c *Conn) Bye(code uint16, reason string) {
	c.write(8, append(binary.BigEndian.AppendUint16(nil, code), reason...))
	_ = c.net.Close()
}

// Drop ends the connection without a goodbye.
func (c *Conn) Drop() { _ = c.net.Close() }

// Answer sends a payload in the conversation of m.
func (c *Conn) Answer(m Message, payload string) {
	c.Say(fmt.Sprintf(`{"opcode":%q,"contextId":%d,"payload":%s}`, m.Opcode, m.context(), payload))
}

// Fault sends an error in the conversation of m.
func (c *Conn) Fault(m Message, code uint64, text string) {
	b, _ := json.Marshal(text)
	c.Say(fmt.Sprintf(`{"opcode":%q,"contextId":%d,"error":{"code":%d,"message":%s}}`, m.Opcode, m.context(), code, b))
}

// Cast sends an isolated message.
func (c *Conn) Cast(opcode, payload string) {
	c.Say(fmt.Sprintf(`{"opcode":%q,"payload":%s}`, opcode, payload))
}

// Redirect sends the asker of m to a Node.
func (c *Conn) Redirect(m Message, port uint16) {
	payload, _ := json.Marshal(string(m.Payload))
	id := "null"
	if m.Context != nil {
		id = fmt.Sprint(*m.Context)
	}
	c.Cast("redirect", fmt.Sprintf(`{"port":%d,"opcode":%q,"contextId":%s,"payload":%s}`, port, m.Opcode, id, payload))
}

func (m Message) context() uint64 {
	if m.Context == nil {
		return 0
	}
	return *m.Context
}

// Reply is a Script that answers with a payload.
func Reply(payload string) Script { return func(c *Conn, m Message) { c.Answer(m, payload) } }

// NoNode is a Script of a Daemon without a Node.
func NoNode(c *Conn, m Message) {
	c.Fault(m, 9223372036854775810, "Cannot handle "+m.Opcode+" request: Node is not running")
}

// To is a Script of a Daemon that sends on to its Node.
func To(node *Server) Script { return func(c *Conn, m Message) { c.Redirect(m, node.Port) } }

// Payloads gives what came with one opcode, one a line.
func (s *Server) Payloads(opcode string) string {
	var b strings.Builder
	for _, m := range s.Heard() {
		if m.Opcode == opcode {
			fmt.Fprintf(&b, "%s\n", m.Payload)
		}
	}
	return b.String()
}
