package assemble

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/messages/storepb"
)

// mostServers is how many listeners a process has at most.
const mostServers = 6

// servers are the listeners of a process, and how it waits for its actors.
type servers struct {
	all    []*http.Server
	failed chan error // a listener ended by itself
}

func (s *servers) run(name string, server *http.Server, l net.Listener) {
	s.all = append(s.all, server)
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.failed <- fmt.Errorf("assemble: %s listener: %w", name, err)
		}
	}()
}

// Failed delivers the error of a listener that ended by itself.
func (s *servers) Failed() <-chan error { return s.failed }

// serverDrain is how long a request that is under way may still take when a
// process ends.
const serverDrain = time.Second

// close ends all servers, beside the caller: open handshakes may finish,
// hijacked connections are not waited for.
func (s *servers) close(ctx context.Context) {
	for _, server := range s.all {
		go func() {
			c, cancel := context.WithTimeout(context.WithoutCancel(ctx), serverDrain)
			defer cancel()
			if server.Shutdown(c) != nil {
				_ = server.Close()
			}
		}()
	}
}

// flush ends when all that was to be written is.
func flush(ctx context.Context, sys *actor.ActorSystem, db *actor.PID) actor.Future {
	return sys.Root.RequestFuture(db, &storepb.Write{}, untilDone(ctx))
}

// untilDone is what is left of ctx. An ask must not be given less than a moment:
// it would never end.
func untilDone(ctx context.Context) time.Duration {
	if at, ok := ctx.Deadline(); ok {
		return max(time.Until(at), time.Millisecond)
	}
	return time.Minute
}

// wait is f.Wait with an end.
func wait(ctx context.Context, what string, f actor.Future) error {
	done := make(chan error, 1)
	go func() { done <- f.Wait() }()
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("assemble: stop %s: %w", what, err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("assemble: stop %s: %w", what, ctx.Err())
	}
}
