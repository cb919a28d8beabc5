package fleet

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"
)

// loopback is where everything of a fleet listens.
const loopback = "127.0.0.1"

// Options are what a fleet is like.
type Options struct {
	Nodes int    // from 1 on
	Shape string // one of Shapes
	// Doors puts a door before every node, by which links can be cut and healed.
	// They cost what every byte costs that is copied once more.
	Doors bool
	UI    bool // the nodes serve user interfaces
	// Free lets nodes link with more of the others than the shape says, as they do
	// when nobody keeps them from it.
	Free        bool
	HighLatency time.Duration // as the option of a node
	Args        []string      // more words for each
}

// Fleet is several nodes.
type Fleet struct {
	Nodes []*Node // number n is at n-1

	o     Options
	edges []Edge
	token string // that they let each other in by
	dir   string
	hold  io.Closer   // says that dir is in use
	birth chan func() // run on a thread that lives until Close

	mu  sync.Mutex    // guards what follows
	may map[Edge]bool // whether a link may be, where that was said; else Free or the shape says it
}

// New makes a fleet of which no node runs. Close must follow.
func New(o Options) (*Fleet, error) {
	edges, err := Edges(o.Shape, o.Nodes)
	if err != nil {
		return nil, err
	}
	f := &Fleet{o: o, edges: edges, token: rand.Text(), may: map[Edge]bool{}, birth: make(chan func())}
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for start := range f.birth {
			start()
		}
	}()
	sweep(os.TempDir())
	if f.dir, err = os.MkdirTemp("", dirPrefix); err == nil {
		if f.hold, err = hold(f.dir); err != nil {
			_ = os.RemoveAll(f.dir)
		}
	}
	if err != nil {
		close(f.birth)
		return nil, fmt.Errorf("fleet: %w", err)
	}
	for i := 1; i <= o.Nodes; i++ {
		name := fmt.Sprintf("node%d", i)
		n := &Node{Number: i, Name: name, Log: logFile(f.dir, name), fleet: f, dir: filepath.Join(f.dir, name), port: "0"}
		f.Nodes = append(f.Nodes, n)
		if o.Doors {
			if n.door, err = f.newDoor(n); err != nil {
				return nil, errors.Join(err, f.Close())
			}
		}
	}
	for _, n := range f.Nodes {
		if n.door != nil {
			n.door.all.Go(n.door.watch)
		}
	}
	return f, nil
}

// Start starts all nodes, the smaller first: those that come later know where to
// connect.
func (f *Fleet) Start(ctx context.Context) error {
	for _, n := range f.Nodes {
		if err := n.Start(ctx); err != nil {
			return err
		}
	}
	return nil
}

// allowed tells whether two nodes may be linked. With mu held.
func (f *Fleet) allowed(e Edge) bool {
	if may, said := f.may[e]; said {
		return may
	}
	return f.o.Free || slices.Contains(f.edges, e)
}

// Edges are the links that the shape says.
func (f *Fleet) Edges() []Edge { return f.edges }

// start starts a process.
func (f *Fleet) start(cmd *exec.Cmd) error {
	done := make(chan error, 1)
	f.birth <- func() { done <- cmd.Start() }
	return <-done
}

// Close ends all nodes, in order where they still can, and removes what they
// left. Nothing is started after it.
func (f *Fleet) Close() error {
	defer close(f.birth)
	errs := make([]error, len(f.Nodes))
	var all sync.WaitGroup
	for i, n := range f.Nodes {
		all.Go(func() { errs[i] = n.Stop() })
	}
	all.Wait()
	for _, n := range f.Nodes {
		if n.door != nil {
			n.door.close()
		}
	}
	return errors.Join(append(errs, os.RemoveAll(f.dir), f.hold.Close())...)
}
