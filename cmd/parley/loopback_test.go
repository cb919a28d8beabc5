package main

import (
	"net"
	"strconv"
	"strings"
	"testing"
)

// TestBothLoopbackAddresses has somebody else listen on ::1: who connects to
// localhost would reach them in place of the Daemon.
func TestBothLoopbackAddresses(t *testing.T) {
	squatter, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Logf("no IPv6 here, so nobody can be in the way: %v", err)
		return
	}
	defer squatter.Close()
	port := int(portOf(squatter))
	all, err := listenUI(port)
	if err == nil {
		closeAll(all)
		t.Fatal("it listens on one of two addresses")
	}
	for _, text := range []string{"port " + strconv.Itoa(port), "::1", "already running", "--ui-port"} {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%q does not say %q", err, text)
		}
	}
	if all, err = listenUI(0); err != nil || len(all) != 2 || portOf(all[0]) != portOf(all[1]) {
		t.Errorf("any port: %v, %v", all, err)
	}
	closeAll(all)
}

// TestAllAddresses are those of the family that was named.
func TestAllAddresses(t *testing.T) {
	for address, only4 := range map[string]bool{"0.0.0.0:0": true, "127.0.0.1:0": true, "[::]:0": false, "localhost:0": false} {
		l, err := listenAt(&net.ListenConfig{}, address)
		if err != nil {
			if !only4 {
				t.Logf("%s: no IPv6 here: %v", address, err)
				continue
			}
			t.Fatal(err)
		}
		at := l.Addr().(*net.TCPAddr)
		if only4 && at.IP.To4() == nil || address == "[::]:0" && at.IP.To4() != nil {
			t.Errorf("%s became %s", address, at)
		}
		_ = l.Close()
	}
}
