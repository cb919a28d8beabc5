package child

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/cmd/parley/confine"
	"parley/gateways/process"
	"parley/messages/processpb"
	"parley/testkit/leaks"
)

// standInName is the name that this test binary plays a Node under.
const standInName = "stand-in"

func TestMain(m *testing.M) {
	if os.Args[0] == standInName {
		if err := beNode(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	// As a Daemon does: what it gave up must not keep it from starting a Node.
	if err := confine.Daemon(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	leaks.Main(m)
}

// beNode is all that a Node does before it serves, and then waits for its
// Daemon's end.
func beNode() error {
	c, err := Open()
	if err != nil {
		return err
	}
	s, err := c.Settings()
	if err != nil {
		return err
	}
	if u := s.GetUser(); u != nil {
		if err := confine.Dropped(u.GetUid(), u.GetGid()); err != nil {
			return err
		}
	}
	dir := s.GetValues()[0].GetValue()
	report, err := confine.Node(confine.NodePaths{Write: []string{dir}, Ports: []uint16{0}})
	if err != nil {
		return err
	}
	slog.New(slog.NewTextHandler(os.Stderr, nil)).Info("confined", slog.Any("report", report))
	if err := os.WriteFile(filepath.Join(dir, "data"), []byte("mine"), 0o666); err != nil {
		return err
	}
	comm, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "named %s", comm)
	if err := c.Ready(); err != nil {
		return err
	}
	go func() {
		for conn, err := c.Listener.Accept(); err == nil; conn, err = c.Listener.Accept() {
			_ = conn.Close()
		}
	}()
	go func() {
		<-c.Kept()
		fmt.Fprintln(os.Stderr, "kept")
	}()
	<-c.Gone()
	return os.WriteFile(filepath.Join(dir, fmt.Sprintf("kept %t", c.WasKept())), nil, 0o666)
}

// asking passes on what it is answered.
type asking struct{ answers chan proto.Message }

func (a asking) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *processpb.Ready:
		a.answers <- m
	case *processpb.Ended:
		a.answers <- m
	}
}

// TestLife starts a Node as a Daemon does, dropping privileges if it has any.
func TestLife(t *testing.T) {
	for _, kept := range []bool{false, true} {
		t.Run(fmt.Sprintf("kept %t", kept), func(t *testing.T) {
			parent := t.TempDir()
			for _, d := range []string{parent, filepath.Dir(parent)} {
				must(t, os.Chmod(d, 0o755))
			}
			dir := filepath.Join(parent, "data")
			launch := &processpb.Launch{Settings: []*processpb.Setting{{Name: "data-directory", Value: dir}}, DataDirectory: dir}
			if os.Geteuid() == 0 {
				launch.RealUser = "54321:54322:/nonexistent"
			}
			lines := make(chan string, 1000)
			sys := tree.New(tree.Options{Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
			defer sys.Shutdown()
			answers := make(chan proto.Message, 10)
			asker := tree.Spawn(sys.Root, "asker", tree.Spec{New: func() actor.Actor { return asking{answers} }})
			processes := process.Spawn(sys.Root, "processes", process.Options{
				Args: []string{standInName, "node"}, Line: func(_ uint32, line string) { lines <- line },
			})
			stop := func(pid *actor.PID) { _ = sys.Root.StopFuture(pid).Wait() }
			defer stop(asker)
			sys.Root.RequestWithCustomSender(processes, launch, asker)
			m := <-answers
			ready, ok := m.(*processpb.Ready)
			if !ok {
				stop(processes)
				t.Fatalf("got %v", m)
			}
			said := <-lines + "\n" + <-lines
			if !strings.Contains(said, "report.landlock=") || !strings.Contains(said, "named parley") {
				t.Errorf("it said %q", said)
			}
			if st, err := os.Stat(filepath.Join(dir, "data")); err != nil || st.Mode().Perm() != 0o600 {
				t.Errorf("its file: %v, %v", st, err)
			}
			if kept {
				sys.Root.Send(processes, &processpb.Keep{Pid: ready.GetPid()})
				if line := <-lines; line != "kept" {
					t.Errorf("it said %q", line)
				}
			}
			stop(processes)
			eventually(t, "it has seen its Daemon's end", func() bool {
				_, err := os.Stat(filepath.Join(dir, fmt.Sprintf("kept %t", kept)))
				return err == nil
			})
			eventually(t, "it is reaped", func() bool {
				_, err := os.Stat(fmt.Sprintf("/proc/%d", ready.GetPid()))
				return err != nil
			})
		})
	}
}

// eventually waits until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}
