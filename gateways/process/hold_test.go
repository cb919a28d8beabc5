package process

import (
	"errors"
	"net"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// TestPortIsHeldOnBothAddresses: nobody can answer on ::1 for a Node.
func TestPortIsHeldOnBothAddresses(t *testing.T) {
	l, held, port, err := listen()
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if held == nil {
		if probe, err := net.Listen("tcp6", "[::1]:0"); err == nil {
			_ = probe.Close()
			t.Fatal("there is IPv6, and the port is not held")
		}
		return
	}
	at := net.JoinHostPort("::1", strconv.Itoa(int(port)))
	if squatter, err := net.Listen("tcp6", at); err == nil {
		_ = squatter.Close()
		t.Errorf("somebody else listens on %s", at)
	}
	if c, err := net.Dial("tcp6", at); !errors.Is(err, unix.ECONNREFUSED) {
		if err == nil {
			_ = c.Close()
		}
		t.Errorf("connecting to %s: %v", at, err)
	}
	if again, err := hold(port); !errors.Is(err, unix.EADDRINUSE) || again != nil {
		t.Errorf("held twice: %v", err)
	}
	if err := held.Close(); err != nil {
		t.Error(err)
	}
	squatter, err := net.Listen("tcp6", at)
	if err != nil {
		t.Fatalf("it is held when the Node has ended: %v", err)
	}
	_ = squatter.Close()
}
