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
