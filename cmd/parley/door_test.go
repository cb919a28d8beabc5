package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestOperatorsOnlyOnTheirListener(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	for _, path := range []string{"/metrics", "/debug/pprof/", "/debug/pprof/cmdline", "/debug/pprof/heap", "/debug/pprof/symbol"} {
		if status, _ := get(t, "http://"+n.metrics+path); status != http.StatusOK {
			t.Errorf("%s answers %d to operators", path, status)
		}
		if status, body := get(t, "http://"+n.relay+path); status != http.StatusNotFound || len(body) > 100 {
			t.Errorf("%s answers %d to everybody: %s", path, status, body)
		}
	}
	for _, path := range []string{"/health", "/connect"} {
		if status, _ := get(t, "http://"+n.metrics+path); status != http.StatusNotFound {
			t.Errorf("%s answers %d on the operators' listener", path, status)
		}
	}
}

func TestRefusalsAtTheDoor(t *testing.T) {
	t.Parallel()
	n := startNode(t, "--relay-origins", "https://chat.example")
	_, port, _ := net.SplitHostPort(n.relay)
	upgrade := []string{"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="}
	for _, path := range []string{n.relay + "/connect", n.relay + "/health", n.metrics + "/metrics", n.metrics + "/debug/pprof/"} {
		for _, c := range []struct{ header, value, reason, option string }{
			{"Host", "evil.example", "host_not_allowed", "relay-hosts"},
			{"Host", "evil.example:" + port, "host_not_allowed", "relay-hosts"},
			{"Host", "127.0.0.1.evil.example", "host_not_allowed", "relay-hosts"},
			{"Host", "0x7f.1", "host_malformed", ""},
			{"Origin", "http://evil.example", "origin_not_allowed", "relay-origins"},
			{"Origin", "null", "origin_not_allowed", "relay-origins"},
			{"Origin", "http://" + n.relay, "origin_not_allowed", "relay-origins"},
		} {
			status, body := get(t, "http://"+path, append([]string{c.header, c.value}, upgrade...)...)
			if status != http.StatusForbidden || !strings.Contains(body, c.reason) {
				t.Errorf("%s with %s %q: %d %s", path, c.header, c.value, status, body)
			}
			if strings.HasPrefix(path, n.relay) && !strings.Contains(body, c.option) {
				t.Errorf("%s with %s %q does not name %s: %s", path, c.header, c.value, c.option, body)
			}
		}
	}
	for _, origin := range []string{"", "https://chat.example"} {
		headers := upgrade
		if origin != "" {
			headers = append([]string{"Origin", origin}, upgrade...)
		}
		if status, body := get(t, "http://"+n.relay+"/health", headers...); status != http.StatusOK {
			t.Errorf("health with Origin %q: %d %s", origin, status, body)
		}
	}
}

// TestHostAdvice puts the line that a refusal names into a configuration file.
func TestHostAdvice(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "parley.toml")
	n := startNode(t)
	_, body := get(t, "http://"+n.relay+"/health", "Host", "relay.example")
	var refused struct{ Help string }
	if err := json.Unmarshal([]byte(body), &refused); err != nil {
		t.Fatal(err, body)
	}
	line := refused.Help[strings.LastIndex(refused.Help, "relay-hosts = "):]
	if err := os.WriteFile(file, []byte(line+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	n = startNode(t, "--config-file", file)
	if status, body := get(t, "http://"+n.relay+"/health", "Host", "relay.example"); status != http.StatusOK {
		t.Errorf("after taking the advice %q: %d %s", line, status, body)
	}
}

// TestHalfHandshakesAreCut opens connections that stop in the middle: of a
// header, of a TLS handshake, and before both.
func TestHalfHandshakesAreCut(t *testing.T) {
	t.Parallel()
	const timeout = 300 * time.Millisecond
	a := newAuthority(t)
	a.issue(t)
	options := []string{"--handshake-timeout", timeout.String()}
	plain := startNode(t, options...)
	sealed := startNode(t, append(options, "--relay-tls-certificate", a.certFile(), "--relay-tls-key", a.keyFile())...)
	for name, c := range map[string]struct{ at, says string }{
		"silence":               {plain.relay, ""},
		"half a header":         {plain.relay, "GET /connect HTTP/1.1\r\nHost: " + plain.relay + "\r\nUpgr"},
		"silence before TLS":    {sealed.relay, ""},
		"half of a TLS hello":   {sealed.relay, "\x16\x03\x01\x02\x00\x01"},
		"header for operators":  {plain.metrics, "GET /metr"},
		"silence for operators": {plain.metrics, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := net.Dial("tcp", c.at)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			fmt.Fprint(conn, c.says)
			if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			for b := make([]byte, 256); err == nil; { // an answer may come, and then the end
				_, err = conn.Read(b)
			}
			if os.IsTimeout(err) {
				t.Error("it stays open")
			}
		})
	}
}

// TestNoCompression offers it, and is not taken at its word.
func TestNoCompression(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	c, err := net.Dial("tcp", n.relay)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "GET /connect HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n", n.relay)
	var answer string
	for b := make([]byte, 1); !strings.HasSuffix(answer, "\r\n\r\n"); answer += string(b) {
		if _, err := c.Read(b); err != nil {
			t.Fatal(err, answer)
		}
	}
	if !strings.HasPrefix(answer, "HTTP/1.1 101") || strings.Contains(strings.ToLower(answer), "extensions") {
		t.Error(answer)
	}
}
