package life_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"parley/testkit"
)

// heardOf is what a client hears of a message that another has sent on "hall".
func heardOf(text string) string {
	return `{"type":"message","data":{"message":"` + text + `","channel":"hall"},"nonce":"abc123"}`
}

// TestLine is three nodes in a line: clients at its ends share a channel, over
// the death of the node between them and its return.
func TestLine(t *testing.T) {
	b := joinMesh(t, "ben", nil)
	a := joinMesh(t, "anna", []*meshNode{b}, "--public-url", "ws://127.0.0.1:1/") // nobody finds a way around ben
	c := joinMesh(t, "carl", []*meshNode{b}, "--public-url", "ws://127.0.0.1:1/")
	linked(t, a, "ben")
	linked(t, b, "anna", "carl")
	linked(t, c, "ben")
	ann, cleo := a.client(), c.client()
	ann.ask("subscribe", `{"topic":"hall","password":"x"}`, ok)
	c.knows("hall")
	cleo.ask("subscribe", `{"topic":"hall","password":"y"}`, `{"ok":false,"reason":"invalid password"}`)
	cleo.ask("subscribe", `{"topic":"hall","password":"x"}`, ok)
	for i := range 20 {
		text := fmt.Sprint("message ", i)
		ann.ask("send", `{"message":"`+text+`","channel":"hall"}`, ok)
		cleo.hears(heardOf(text))
	}

	want := "CHANNEL  PASSWORD  NODES\nhall     yes       anna carl\n"
	eventually(t, "ben knows who has the channel", func() bool { return b.verb("channels", "--scope", "network") == want },
		func() string { return b.verb("channels", "--scope", "network") })
	if got := a.verb("connection-status"); !strings.HasPrefix(got, "RouteFound") {
		t.Errorf("anna is %s", got)
	}
	if got, want := a.verb("descriptor"), "parley://"+meshToken+"@127.0.0.1:1?name=anna\n"; got != want {
		t.Errorf("anna is reached by %s, want %s", got, want)
	}
	if got := a.verb("stats", "--node", "carl"); !strings.HasPrefix(got, "clients: 1, channels: 1\n") {
		t.Errorf("anna says of carl:\n%s", got)
	}
	graph := connect(t, a.port).ask("neighborhoodGraph", "{}").want(t)
	for _, edge := range []string{`\"anna\" -> \"ben\"`, `\"ben\" -> \"anna\"`, `\"ben\" -> \"carl\"`, `\"carl\" -> \"ben\"`, `\"anna\" [style=filled]`} {
		if !strings.Contains(string(graph.Payload), edge) {
			t.Errorf("the graph is without %s: %s", edge, graph.Payload)
		}
	}

	u := connect(t, a.port)
	b.end(syscall.SIGKILL)
	linked(t, a)
	ann.ask("send", `{"message":"to nobody","channel":"hall"}`, ok)
	if got := a.verb("connection-status"); !strings.HasPrefix(got, "NotConnected") {
		t.Errorf("anna by herself is %s", got)
	}
	eventually(t, "carl's health says it", func() bool { return health(t, c) == "degraded: no peers" }, func() string { return health(t, c) })
	b.start(nil) // with the same name, at the same place
	if got := u.await("connectionChange").want(t); !strings.Contains(string(got.Payload), "ConnectedToNeighbor") && !strings.Contains(string(got.Payload), "RouteFound") {
		t.Errorf("who never asked is told %s", got.Payload)
	}
	linked(t, b, "anna", "carl")
	a.knows("hall")
	eventually(t, "anna knows that carl has it, too", func() bool { return a.verb("channels", "--scope", "network") == want },
		func() string { return a.verb("channels", "--scope", "network") })
	ann.ask("send", `{"message":"back again","channel":"hall"}`, ok)
	cleo.hears(heardOf("back again"))
	cleo.ask("send", `{"message":"welcome","channel":"hall"}`, ok)
	ann.hears(heardOf("welcome"))
}

// health is what GET /health says.
func health(t *testing.T, n *meshNode) string {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Get("http://" + n.relay + "/health")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var h struct{ Healthy, Reason string }
	if err := json.NewDecoder(res.Body).Decode(&h); err != nil {
		t.Fatal(err)
	}
	return h.Healthy + ": " + h.Reason
}

// TestTokenIsKept looks whether a node that nobody has given a token stays the one
// that its neighbors know.
func TestTokenIsKept(t *testing.T) {
	n := &meshNode{t: t, name: "anna", dir: directory(t), relay: "127.0.0.1:0", env: []string{"PARLEY_RELAY_TOKEN="}}
	n.start(nil)
	first := n.verb("descriptor")
	if len(first) < len("parley://")+43 {
		t.Errorf("the descriptor is %s", first)
	}
	n.end(syscall.SIGKILL)
	n.start(nil)
	if again := n.verb("descriptor"); again != first {
		t.Errorf("the descriptor became %sand was %s", again, first)
	}
}

// TestGoodbye ends a node in order: its peers are told.
func TestGoodbye(t *testing.T) {
	n := joinMesh(t, "anna", nil)
	conn, err := net.Dial("tcp", n.relay)
	if err != nil {
		t.Fatal(err)
	}
	w, err := testkit.DialWS(conn, n.relay, "/node", http.Header{"Authorization": {"Bearer " + meshToken}})
	if err != nil {
		t.Fatal(err)
	}
	defer w.HangUp()
	if err := w.Say(`{"command":"handshake","data":{"name":"ben"}}`); err != nil {
		t.Fatal(err)
	}
	linked(t, n, "ben")
	n.end(syscall.SIGTERM)
	eventually(t, "ben is told", func() bool {
		_, code, reason, _ := w.Hear()
		return code == 1001 && reason == "server shuts down"
	})
}

// TestNodesSpeakTLS links two nodes over wss://, of which one has a certificate
// that the other believes, and a third does not.
func TestNodesSpeakTLS(t *testing.T) {
	dir := directory(t)
	certificate, key := writeCertificate(t, dir)
	b := joinMesh(t, "ben", nil, "--relay-tls-certificate", certificate, "--relay-tls-key", key)
	if got, want := b.verb("descriptor"), "parley://"+meshToken+"@"+b.relay+"?name=ben&tls=1\n"; got != want {
		t.Errorf("ben is reached by %s, want %s", got, want)
	}
	to := []string{"PARLEY_NEIGHBORS=" + strings.TrimSpace(b.verb("descriptor"))}
	a := &meshNode{t: t, name: "anna", dir: directory(t), relay: "127.0.0.1:0", env: append(to, "SSL_CERT_FILE="+certificate)}
	a.start(nil)
	linked(t, a, "ben")
	linked(t, b, "anna")
	c := &meshNode{t: t, name: "carl", dir: directory(t), relay: "127.0.0.1:0", env: to}
	c.start(nil, "--log-level", "debug")
	eventually(t, "carl says why not", func() bool { return strings.Contains(c.log(), "certificate") }, c.log)
	linked(t, c)
}

// writeCertificate makes a certificate for 127.0.0.1, signed by itself.
func writeCertificate(t *testing.T, dir string) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	about := x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	signed, err := x509.CreateCertificate(rand.Reader, &about, &about, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("node.crt", "CERTIFICATE", signed), write("node.key", "PRIVATE KEY", raw)
}

// TestModes joins nodes that do not do all that nodes do.
func TestModes(t *testing.T) {
	b := joinMesh(t, "ben", nil)
	originate := joinMesh(t, "otto", []*meshNode{b}, "--neighborhood-mode", "originate-only")
	alone := joinMesh(t, "zoe", nil, "--neighborhood-mode", "zero-hop")
	linked(t, originate, "ben")
	for _, n := range []*meshNode{originate, alone} {
		if got := n.verb("descriptor"); !strings.HasPrefix(got, "none") {
			t.Errorf("%s is reached by %s", n.name, got)
		}
		status := map[*meshNode]int{originate: 403, alone: 404}[n]
		if err := newSeedNode(t, "ada").connect(n.name, n.relay, meshToken); err == nil || !strings.Contains(err.Error(), fmt.Sprint("refused: ", status)) {
			t.Errorf("whoever connects to %s gets %v, want %d", n.name, err, status)
		}
	}
	linked(t, alone)
	eater := joinMesh(t, "cora", []*meshNode{b}, "--neighborhood-mode", "consume-only")
	linked(t, eater, "ben")
	one, two := originate.client(), eater.client()
	one.ask("subscribe", `{"topic":"hall"}`, ok)
	eater.knows("hall")
	two.ask("subscribe", `{"topic":"hall"}`, ok)
	one.ask("send", `{"message":"hello","channel":"hall"}`, ok)
	two.hears(heardOf("hello"))
	b.verb("set-configuration", "--max-peer-links", "2") // they are there
	if err := newSeedNode(t, "ada").connect("ben", b.relay, meshToken); err == nil || !strings.Contains(err.Error(), "refused: 503") {
		t.Errorf("one link more than there may be: %v", err)
	}
}
