// Package bare accepts TCP connections and does nothing else: the ground that yardsticks stand on.
package bare

import (
	"errors"
	"fmt"
	"net"
	"sync"
)

// Server has a goroutine for each connection.
type Server struct {
	listener net.Listener // fixed, as serve
	serve    func(net.Conn)
	all      sync.WaitGroup

	mu     sync.Mutex // guards what follows
	conns  map[net.Conn]struct{}
	closed bool
}

// Listen begins to serve on a TCP address such as "127.0.0.1:0". A connection is closed when serve returns.
func Listen(address string, serve func(net.Conn)) (*Server, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("bare: listen on %q: %w", address, err)
	}
	s := &Server{listener: l, serve: serve, conns: map[net.Conn]struct{}{}}
	s.all.Go(s.accept)
	return s, nil
}

// Address is where it listens.
func (s *Server) Address() string { return s.listener.Addr().String() }

// Close ends all connections and returns when every goroutine has ended.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	err := s.listener.Close()
	for c := range s.conns {
		_ = c.Close()
	}
	s.mu.Unlock()
	s.all.Wait()
	return err
}

func (s *Server) accept() {
	for {
		c, err := s.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // out of descriptors, or the peer has gone: the others must be served
		}
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			_ = c.Close()
			return
		}
		s.conns[c] = struct{}{}
		s.mu.Unlock()
		s.all.Go(func() {
			s.serve(c)
			_ = c.Close()
			s.mu.Lock()
			delete(s.conns, c)
			s.mu.Unlock()
		})
	}
}
