package life_test

import (
	"net"
	"sync"
	"syscall"
	"testing"
)

// squatters take ports as fast as they can, and hold each for a while.
type squatters struct {
	stop chan struct{}
	done sync.WaitGroup

	mu    sync.Mutex
	taken int
	held  map[string]bool // addresses
}

// squat takes ports until the test ends.
func squat(t *testing.T, many, most int) *squatters {
	s := &squatters{stop: make(chan struct{}), held: map[string]bool{}}
	for range many {
		s.done.Go(func() { s.run(most) })
	}
	t.Cleanup(func() {
		close(s.stop)
		s.done.Wait()
	})
	return s
}

// run holds most ports at any time: the oldest makes room for the next one.
func (s *squatters) run(most int) {
	var mine []net.Listener
	give := func(l net.Listener) {
		_ = l.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.held, l.Addr().String())
	}
	defer func() {
		for _, l := range mine {
			give(l)
		}
	}()
	for {
		select {
		case <-s.stop:
			return
		default:
		}
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			continue // none is left for now
		}
		s.mu.Lock()
		s.taken++
		s.held[l.Addr().String()] = true
		s.mu.Unlock()
		if mine = append(mine, l); len(mine) > most {
			give(mine[0])
			mine = mine[1:]
		}
	}
}

// TestSquatter starts Nodes while others take all the ports they can get. A Node
// never loses its own: it is bound before anybody knows of it.
func TestSquatter(t *testing.T) {
	d := start(t, directory(t), nil)
	u := connect(t, d.port)
	u.settle()
	s := squat(t, 1, 500)
	n := cycles(t, 10)
	for range n {
		node := u.launch()
		c := connect(t, node.Port)
		c.ask("configuration", "{}").want(t, `"nodeName"`)
		kill(t, node.PID, syscall.SIGKILL)
		_ = c.ended()
		c.leave()
		u.crashed(node.PID)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken < n {
		t.Errorf("only %d ports were taken meanwhile", s.taken)
	}
	t.Logf("%d starts, none failed, while %d ports were taken", n, s.taken)
}
