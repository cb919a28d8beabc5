package conform

import (
	"net"
	"strings"
	"testing"

	"parley/actors/enclave"
	peers "parley/testkit/enclave"
)

// Who is who for the node that is tested.
const (
	friendIP   = "127.0.6.2"
	ignoredIP  = "127.0.6.3"
	strangerIP = "127.0.6.4"
)

var everybody = []string{"--friend", friendIP, "--ignored", ignoredIP, "--stranger", strangerIP}

// TestEnclaveOfOurs passes all cases that take less than a second.
func TestEnclaveOfOurs(t *testing.T) {
	for _, data := range []string{"", t.TempDir()} {
		h := peers.NewHouse(t, peers.HouseOptions{Listen: "127.0.6.1:0", Data: data, Options: enclave.Options{Alias: "house"}})
		h.Must(peers.Add(friendIP+":1", "tester"))
		h.Must(peers.Ignore(ignoredIP))
		out, _, err := conform(t, append([]string{"enclave", h.Address, "--answer", "30s", "--quiet", "20ms"}, everybody...)...)
		if err != nil || !strings.Contains(out, " 0 failed, 1 not tried\n") && !strings.Contains(out, " 0 failed, 0 not tried\n") {
			t.Errorf("%v\n%s", err, out)
		}
		h.Stop()
	}
}

// TestEnclaveOfAnotherMake passes what the notes ask for.
func TestEnclaveOfAnotherMake(t *testing.T) {
	p, err := peers.NewPeer("127.0.6.5:0", "other", peers.Classic)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	p.Know(friendIP, "tester")
	out, _, err := conform(t, append([]string{"enclave", p.Address, "--answer", "30s", "--quiet", "20ms", "--only", "wire/"}, everybody...)...)
	if err != nil || !strings.Contains(out, " 0 failed") {
		t.Errorf("%v\n%s", err, out)
	}
	out, code, err := conform(t, append([]string{"enclave", p.Address, "--answer", "100ms", "--only", "rules/both", "--only", "rules/the ack"}, everybody...)...)
	if code != exitFailed || !strings.Contains(out, "\n0 passed, 2 failed, 0 not tried\n") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestEnclaveWithoutAddresses tries nothing.
func TestEnclaveWithoutAddresses(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	out, _, err := conform(t, "enclave", l.Addr().String())
	if err != nil || !strings.Contains(out, "\n0 passed, 0 failed, ") || !strings.Contains(out, "not tried  wire/status 0 ends the connection: no address of a friend is known") {
		t.Errorf("%v\n%s", err, out)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, code, err := conform(t, append([]string{"enclave", l.Addr().String()}, everybody...)...); code != exitUnreachable {
		t.Errorf("code %d, %v", code, err)
	}
	for _, args := range [][]string{
		{"nobody"},
		{"127.0.0.1:1", "--friend", "bob"},
		{"127.0.0.1:1", "--limit", "17"},
		{"127.0.0.1:1", "--dialled", "65536"},
	} {
		if _, code, err := conform(t, append([]string{"enclave"}, args...)...); code != exitUsage {
			t.Errorf("%q: %v", args, err)
		}
	}
	if _, _, err := conform(t, "enclave"); err == nil {
		t.Error("no address, no error")
	}
}
