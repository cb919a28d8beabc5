// Package limit is the yardstick of the bench: a server of the relay's client wire that does the least a server can do.
// It writes a prebuilt frame to every other subscriber in a plain loop, or, joining, all frames that one read brought in
// one write. It has no passwords, limits, checks or back-pressure: a subscriber that does not read holds up the rest.
package limit

import (
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"parley/cmd/parley/bench/bare"
)

// Options of a Server.
type Options struct {
	// Join writes all frames of a burst to a subscriber at once.
	Join bool
	// WriteBuffer is the kernel's send buffer of a connection, bytes; 0 leaves it alone.
	WriteBuffer int
}

// Server serves until it is closed.
type Server struct {
	*bare.Server

	options Options // fixed

	mu    sync.Mutex // guards rooms
	rooms map[string]*room
}

// room is one channel. What a slice of its members shows is never changed, only appended to, so a loop needs no lock;
// the slice itself is replaced under the server's lock.
type room struct{ members atomic.Pointer[[]net.Conn] }

// Listen begins to serve on a TCP address such as "127.0.0.1:0".
func Listen(address string, o Options) (*Server, error) {
	s := &Server{options: o, rooms: map[string]*room{}}
	b, err := bare.Listen(address, s.serve)
	s.Server = b
	return s, err
}

// list is the JSON array of all channels, sorted.
func (s *Server) list() string {
	s.mu.Lock()
	names := make([]string, 0, len(s.rooms))
	for n := range s.rooms {
		names = append(names, `"`+n+`"`)
	}
	s.mu.Unlock()
	slices.Sort(names)
	return "[" + strings.Join(names, ",") + "]"
}

// join puts a connection into a channel, which begins to exist with its first member.
func (s *Server) join(name string, c net.Conn) *room {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.rooms[name]
	if r == nil {
		r = &room{}
		s.rooms[name] = r
	}
	m := r.others()
	if !slices.Contains(m, c) {
		m = append(m, c)
		r.members.Store(&m)
	}
	return r
}

func (s *Server) leave(name string, r *room, c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := slices.DeleteFunc(slices.Clone(r.others()), func(o net.Conn) bool { return o == c })
	r.members.Store(&m)
	if len(m) == 0 && s.rooms[name] == r {
		delete(s.rooms, name)
	}
}

func (r *room) others() []net.Conn {
	if m := r.members.Load(); m != nil {
		return *m
	}
	return nil
}

// write is the plain loop. A write that fails is noticed by the reader of that connection.
func (r *room) write(from net.Conn, frames []byte) {
	for _, m := range r.others() {
		if m != from {
			_, _ = m.Write(frames)
		}
	}
}
