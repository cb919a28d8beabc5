package life_test

import (
	"path/filepath"
	"syscall"
	"testing"
)

// TestMeshMarkers looks everywhere but on the wire between nodes for what only
// nodes know: hashes of channel passwords, and tokens. A token is part of the
// descriptor, which who may change things is told.
func TestMeshMarkers(t *testing.T) {
	m := &markers{T: t, all: map[string]string{"the hash of a password": flowHash, "its password": "wordpass", "the node's token": meshToken}}
	logs := directory(t)
	trace := func(name string) []string {
		return []string{"--log-level", "trace", "--log-file", filepath.Join(logs, name), "--metrics-address", "127.0.0.1:0", "--master", "on"}
	}
	b := joinMesh(t, "ben", nil, trace("ben")...)
	a := joinMesh(t, "anna", []*meshNode{b}, trace("anna")...)
	linked(t, a, "ben")
	one, two := a.client(), b.client()
	one.ask("subscribe", `{"topic":"channel1","password":"wordpass"}`, ok)
	b.knows("channel1")
	two.ask("subscribe", `{"topic":"channel1","password":"other"}`, `{"ok":false,"reason":"invalid password"}`)
	two.ask("subscribe", `{"topic":"channel1","password":"wordpass"}`, ok)
	one.ask("send", `{"message":"hello","channel":"channel1"}`, ok)
	two.hears(`{"type":"message","data":{"message":"hello","channel":"channel1"},"nonce":"abc123"}`)
	for _, n := range []*meshNode{a, b} {
		for _, verb := range [][]string{
			{"peers", "--json"}, {"channels", "--json"}, {"channels", "--scope", "network", "--json"}, {"stats", "--node", "ben", "--json"},
		} {
			m.absent("what "+n.name+" says to "+verb[0], []byte(n.verb(verb...)))
		}
		u := m.listen(connect(t, n.port), "who looks at "+n.name)
		u.ask("neighborhoodGraph", "{}").want(t)
		m.process(n.cmd.Process.Pid, "cmdline")
		at := connect(t, n.port).addresses() // who asks for the configuration is told neighbors, too, while there is no password
		for _, path := range []string{"/metrics", "/debug/pprof/goroutine?debug=2"} {
			m.page("http://" + at["metrics"] + path)
		}
		m.page("http://" + at["relay"] + "/health")
	}
	for _, n := range []*meshNode{a, b} {
		n.end(syscall.SIGTERM)
		m.absent("the stderr of "+n.name, []byte(n.log()))
		m.folder(n.dir)
	}
	m.folder(logs)
}
