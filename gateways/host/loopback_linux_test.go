package host

import (
	"io"
	"net"
	"testing"

	counters "github.com/shirou/gopsutil/v4/net"

	"parley/messages/relaypb"
)

// burst is what the test sends over loopback, in bytes.
const burst = 10 << 20

// TestLoopbackDoesNotCount sends so much to this process itself that it would
// be seen. Others may use the network meanwhile, so it tries again.
func TestLoopbackDoesNotCount(t *testing.T) {
	for range 3 {
		before, own := figures(t)
		sendToSelf(t)
		after, ownAfter := figures(t)
		if grew := ownAfter - own; grew < burst {
			t.Fatalf("loopback grew by %d bytes only: the test is blind", grew)
		}
		in, out := after.GetBytesIn()-before.GetBytesIn(), after.GetBytesOut()-before.GetBytesOut()
		if in < burst && out < burst {
			return
		}
		t.Logf("the network took %d and sent %d bytes", in, out)
	}
	t.Error("the network figures grew with what loopback carried")
}

// figures are those that Read gives, and what loopback has received.
func figures(t *testing.T) (*relaypb.NetworkCount, uint64) {
	t.Helper()
	r, err := Read()
	if err != nil {
		t.Logf("incomplete here: %v", err)
	}
	all, err := counters.IOCounters(true)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range all {
		if n.Name == loopback {
			return r.GetNetwork(), n.BytesRecv
		}
	}
	t.Fatalf("no interface %q", loopback)
	return nil, 0
}

func sendToSelf(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	sent := make(chan error, 1)
	go func() {
		c, err := net.Dial("tcp", l.Addr().String())
		if err == nil {
			_, err = c.Write(make([]byte, burst))
			_ = c.Close()
		}
		sent <- err
	}()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	n, err := io.Copy(io.Discard, c)
	if err != nil || n != burst {
		t.Fatalf("received %d bytes: %v", n, err)
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
}

// TestDisksAreReal leaves out what only looks like a file system.
func TestDisksAreReal(t *testing.T) {
	r, _ := Read()
	for _, d := range r.GetDisks() {
		for _, virtual := range []string{"/proc", "/sys", "/dev/pts"} {
			if d.GetMount() == virtual {
				t.Errorf("%s is no disk", virtual)
			}
		}
	}
}
