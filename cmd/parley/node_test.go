package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"parley/gateways/ws"
)

// node is a running parley node.
type node struct {
	*process
	relay, star, enclave, metrics string // host:port; blank: it has none
}

// startNode starts a node on free ports, which ends with the test.
func startNode(t *testing.T, args ...string) *node {
	t.Helper()
	return startNodeWith(t, append([]string{"--clandestine-port", "0", "--metrics-address", "127.0.0.1:0", "--handshake-timeout", "1m"}, args...)...)
}

func startNodeWith(t *testing.T, args ...string) *node {
	t.Helper()
	n := &node{process: launch(t, nil, nil, append([]string{"node"}, args...)...)}
	eventually(t, "the ready line", func() bool {
		select {
		case <-n.exited:
			t.Fatalf("the node ended:\n%s", n.err.String())
		default:
		}
		return len(n.out.lines()) > 0
	})
	line, ok := strings.CutPrefix(n.out.lines()[0], "ready ")
	var at struct{ Relay, Star, Enclave, Metrics string }
	if err := json.Unmarshal([]byte(line), &at); !ok || err != nil {
		t.Fatalf("no ready line: %q, %v", n.out.lines()[0], err)
	}
	n.relay, n.star, n.enclave, n.metrics = at.Relay, at.Star, at.Enclave, at.Metrics
	t.Cleanup(func() {
		select {
		case <-n.exited: // the test ended it
		default:
			if code := n.stop(); code != 0 {
				t.Errorf("the node ended with %d:\n%s", code, n.err.String())
			}
		}
	})
	return n
}

// stop ends the node in order and returns its exit code.
func (n *node) stop() int {
	n.t.Helper()
	n.signal(syscall.SIGTERM)
	return n.wait()
}

func (n *node) url() string { return "ws://" + n.relay + connectPath }

// join connects a client and subscribes it.
func (n *node) join(t *testing.T, channel string) *ws.Client {
	t.Helper()
	c := dialTest(t, n.url())
	ask(t, c, `{"command":"subscribe","data":{"topic":"`+channel+`"},"nonce":"joined"}`)
	return c
}

func dialTest(t *testing.T, url string) *ws.Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := ws.Dial(ctx, url, frameLimit)
	for err != nil && os.IsTimeout(errors.Unwrap(err)) && ctx.Err() == nil { // the machine, not the node
		c, err = ws.Dial(ctx, url, frameLimit)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// ask sends a command and waits for the answer, which must be ok.
func ask(t *testing.T, c *ws.Client, command string) {
	t.Helper()
	if err := c.Say([]byte(command)); err != nil {
		t.Fatal(err)
	}
	for {
		a, err := hear(c)
		if err != nil {
			t.Fatal(err)
		}
		if a.Type == typeResponse {
			if !a.Data.OK {
				t.Fatalf("%s: %s", command, a.Data.Reason)
			}
			return
		}
	}
}

// get asks over HTTP; the headers are pairs of name and value.
func get(t *testing.T, url string, headers ...string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		} else {
			req.Header.Set(headers[i], headers[i+1])
		}
	}
	req.Close = true
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

func TestReadyLineNamesPortsThatAnswer(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	for _, at := range []string{n.relay, n.metrics} {
		host, port, err := net.SplitHostPort(at)
		if err != nil || host != "127.0.0.1" || port == "0" {
			t.Errorf("ready line has %q: %v", at, err)
		}
	}
	if status, body := get(t, "http://"+n.relay+"/health"); status != http.StatusOK || !strings.Contains(body, `"good"`) {
		t.Errorf("health: %d %s", status, body)
	}
	if code := n.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if got := n.out.lines(); len(got) != 1 {
		t.Errorf("more than the ready line on stdout: %q", got)
	}
	if text := n.err.String(); strings.Contains(text, "actor system") || strings.Contains(text, "protoactor") {
		t.Errorf("the actor library is chatty:\n%s", text)
	}
}

func TestWithoutMetricsTheReadyLineHasNone(t *testing.T) {
	t.Parallel()
	n := startNodeWith(t, "--clandestine-port", "0", "--metrics-address", "off")
	if n.metrics != "" || strings.Contains(n.out.String(), "metrics") {
		t.Errorf("ready line: %s", n.out.String())
	}
}

// TestGreetingWorks runs each line that the node tells people to type.
func TestGreetingWorks(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	eventually(t, "the greeting", func() bool { return strings.Contains(n.err.String(), "Ctrl-C stops it") })
	var reader *process
	curls := 0
	for line := range strings.Lines(n.err.String()) {
		words := strings.Fields(strings.ReplaceAll(line, "'", ""))
		switch {
		case strings.Contains(line, "parley sub lobby"):
			reader = launch(t, nil, nil, append(words[1:], "--count", "1")...)
			eventually(t, "the subscription", func() bool { return strings.Contains(reader.err.String(), "subscribed") })
		case strings.Contains(line, "parley pub lobby"):
			parley(t, "pub", words[2], "hello, all", words[5], words[6]).expect(t, 0)
		case strings.HasPrefix(line, "  curl"):
			curls++
			if status, _ := get(t, words[1]); status != http.StatusOK {
				t.Errorf("%s: %d", line, status)
			}
		}
	}
	if curls != 2 {
		t.Errorf("%d curl lines in\n%s", curls, n.err.String())
	}
	if reader == nil {
		t.Fatalf("no sub line in\n%s", n.err.String())
	}
	if code := reader.wait(); code != 0 || reader.out.String() != "hello, all\n" {
		t.Errorf("sub: %d, %q", code, reader.out.String())
	}
}

func TestOccupiedPorts(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())

	parley(t, "node", "--clandestine-port", port, "--metrics-address", "off").
		expect(t, 1, "address already in use", "--clandestine-port", "0: any free one")
	startNodeWith(t, "--clandestine-port", "0", "--metrics-address", "off") // the advice

	parley(t, "node", "--clandestine-port", "0", "--metrics-address", "127.0.0.1:"+port).
		expect(t, 1, "address already in use", "--metrics-address", "off: none")
	startNodeWith(t, "--clandestine-port", "0", "--metrics-address", "off") // the advice
}

func TestBadOptions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ args, says string }{
		{"--clandestine-prt 1", `unknown flag: --clandestine-prt; see "parley node --help"`},
		{"--clandestine-port 80", "1025 to 65535"},
		{"--log-level loud", "off, error, warn, info, debug, trace"},
		{"--metrics-address 0.0.0.0:9464", "loopback"},
		{"--metrics-address 192.0.2.1:9464", "loopback"},
		{"--relay-tls-certificate x.pem", "relay-tls-key"},
		{"--config-file nowhere.toml", "parley config init --output nowhere.toml"},
		{"extra", `"extra" is too much`},
	} {
		parley(t, append([]string{"node"}, strings.Fields(c.args)...)...).expect(t, 2, c.says)
	}
}

// TestConfigInitAdvice takes the advice about a file that is not there.
func TestConfigInitAdvice(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "parley.toml")
	o := parley(t, "node", "--config-file", file)
	o.expect(t, 2)
	_, advice, ok := strings.Cut(o.err, "write one with: parley ")
	if !ok {
		t.Fatal(o)
	}
	parley(t, strings.Fields(advice)...).expect(t, 0)
	startNode(t, "--config-file", file)
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	a, b := n.join(t, "lobby"), n.join(t, "lobby")
	ask(t, a, `{"command":"send","data":{"channel":"lobby","message":"hi"}}`)
	if m, err := hear(b); err != nil || m.Type != typeMessage {
		t.Fatal(m, err)
	}
	var text string
	figure := func(name string) string {
		m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` (\S+)$`).FindStringSubmatch(text)
		if m == nil {
			t.Fatalf("no %s in\n%s", name, text)
		}
		return m[1]
	}
	eventually(t, "the delivery to be counted", func() bool {
		_, text = get(t, "http://"+n.metrics+"/metrics")
		return figure("parley_relay_deliveries_total") != "0"
	})
	for _, reason := range []string{"slow consumer", "slow down", "lossy dropped", "outbound ceiling", "write failed", "password busy", "mailbox full"} {
		if got := figure(`parley_drops_total{reason="` + reason + `"}`); got != "0" {
			t.Errorf("drops for %q: %s", reason, got)
		}
	}
	for name, want := range map[string]string{
		"parley_relay_links": "2", "parley_relay_frames_in_total": "3", "parley_actor_panics_total": "0",
		`parley_refused_total{reason="host_not_allowed"}`: "0",
	} {
		if got := figure(name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	if strings.Contains(text, "lobby") || strings.Contains(text, "127.0.0.1") {
		t.Error("a label that strangers choose is in the metrics")
	}
}

func TestLogsAreJSON(t *testing.T) {
	t.Parallel()
	n := startNode(t, "--log-format", "json", "--log-level", "trace")
	c := n.join(t, "lobby\u202e")
	if err := c.Say([]byte("\x1b[2J no json")); err != nil {
		t.Fatal(err)
	}
	get(t, "http://"+n.relay+"/health", "Host", "evil.example")
	_ = c.Close()
	if code := n.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	lines := n.err.lines()
	for _, l := range lines {
		var entry struct{ Time, Level, Msg string }
		if err := json.Unmarshal([]byte(l), &entry); err != nil || entry.Time == "" || entry.Level == "" || entry.Msg == "" {
			t.Errorf("no JSON log line: %q", l)
		}
	}
	if !strings.Contains(n.err.String(), `"stopping"`) {
		t.Errorf("no word of stopping in\n%s", n.err.String())
	}
}

func TestLogsCanBeOff(t *testing.T) {
	t.Parallel()
	n := startNode(t, "--log-format", "json", "--log-level", "off")
	get(t, "http://"+n.relay+"/health", "Host", "evil.example")
	if code := n.stop(); code != 0 || n.err.String() != "" {
		t.Errorf("exit code %d, %s", code, n.err.String())
	}
}
