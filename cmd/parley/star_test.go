package main

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"testing"
)

// starSocket is where a socket.io client of version 2 connects.
const starSocket = "/socket.io/?EIO=3&transport=websocket"

// TestRendezvous finds the rendezvous of a node by what the node tells people
// and programs, goes there, and is counted.
func TestRendezvous(t *testing.T) {
	t.Parallel()
	n := startNode(t, "--star-address", "127.0.0.1", "--star-port", "0")
	_, port, err := net.SplitHostPort(n.star)
	if err != nil {
		t.Fatalf("ready line: %s", n.out.String())
	}
	multiaddr := "/ip4/127.0.0.1/tcp/" + port + "/ws/p2p-websocket-star"
	eventually(t, "the greeting", func() bool { return strings.Contains(n.err.String(), "Ctrl-C stops it") })
	if !strings.Contains(n.err.String(), "\n  "+multiaddr+"\n") {
		t.Errorf("no multiaddr in\n%s", n.err.String())
	}
	at := "http://" + n.star
	if status, body := get(t, at+"/"); status != http.StatusOK || !strings.Contains(body, multiaddr) {
		t.Errorf("the page: %d %s", status, body)
	}
	for _, path := range []string{"/metrics", "/debug/pprof/", "/connect", "/health"} { // are elsewhere
		if status, _ := get(t, at+path); status != http.StatusNotFound {
			t.Errorf("%s: %d", path, status)
		}
	}
	if status, _ := get(t, at+"/", "Host", "evil.example"); status != http.StatusForbidden {
		t.Errorf("another Host: %d", status)
	}

	c := dialTest(t, "ws://"+n.star+starSocket)
	for _, want := range []string{`0{"sid":`, "40"} {
		if frame, err := c.Hear(); err != nil || !strings.HasPrefix(string(frame), want) {
			t.Fatalf("heard %q, %v, want %s", frame, err, want)
		}
	}
	var health struct {
		Healthy string
		Star    struct{ Sockets, Peers, Dials int }
	}
	if _, body := get(t, "http://"+n.relay+"/health"); json.Unmarshal([]byte(body), &health) != nil || health.Healthy != "good" || health.Star.Sockets != 1 || health.Star.Peers != 0 {
		t.Errorf("health: %s", body)
	}
	if _, body := get(t, "http://"+n.metrics+"/metrics"); !strings.Contains(body, "\nrendezvous_peers 0\n") || !strings.Contains(body, "\nparley_star_links 1\n") {
		t.Errorf("metrics: %s", body)
	}
	if code := n.stop(); code != 0 {
		t.Errorf("exit code %d:\n%s", code, n.err.String())
	}
	if _, err := c.Hear(); err == nil || !strings.Contains(err.Error(), "1001") {
		t.Errorf("the client was told %v", err)
	}
}

func TestRendezvousOff(t *testing.T) {
	t.Parallel()
	n := startNode(t, "--star-address", "off")
	if strings.Contains(n.out.String(), "star") {
		t.Errorf("ready line: %s", n.out.String())
	}
	if _, body := get(t, "http://"+n.relay+"/health"); strings.Contains(body, "star") {
		t.Errorf("health: %s", body)
	}
	if _, body := get(t, "http://"+n.metrics+"/metrics"); strings.Contains(body, "rendezvous_") || strings.Contains(body, "parley_star") {
		t.Errorf("metrics: %s", body)
	}
	eventually(t, "the greeting", func() bool { return strings.Contains(n.err.String(), "Ctrl-C stops it") })
	if strings.Contains(n.err.String(), "websocket-star") {
		t.Errorf("the greeting:\n%s", n.err.String())
	}
}

func TestRendezvousPortIsTaken(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	parley(t, "node", "--clandestine-port", "0", "--metrics-address", "off", "--star-address", "127.0.0.1", "--star-port", port).
		expect(t, 1, "address already in use", "--star-port", "0: any free one", "off: none")
}

// TestRendezvousSpeaksTLS as the relay does, and nothing else then.
func TestRendezvousSpeaksTLS(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	a.issue(t)
	n := startNode(t, "--relay-tls-certificate", a.certFile(), "--relay-tls-key", a.keyFile(), "--star-address", "127.0.0.1", "--star-port", "0")
	eventually(t, "the greeting", func() bool { return strings.Contains(n.err.String(), "Ctrl-C stops it") })
	if _, port, _ := net.SplitHostPort(n.star); !strings.Contains(n.err.String(), "/ip4/127.0.0.1/tcp/"+port+"/wss/p2p-websocket-star\n") {
		t.Errorf("no multiaddr in\n%s", n.err.String())
	}
	c, err := tls.Dial("tcp", n.star, &tls.Config{RootCAs: a.pool()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	page, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+n.star+"/", nil)
	if err == nil {
		err = page.Write(c)
	}
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(c), page)
	if err != nil {
		t.Fatal(err)
	}
	if err := res.Body.Close(); err != nil || res.StatusCode != http.StatusOK {
		t.Errorf("the page: %d, %v", res.StatusCode, err)
	}
	if status, _ := get(t, "http://"+n.star+"/"); status != http.StatusBadRequest {
		t.Errorf("plain HTTP is answered with %d", status)
	}
}
