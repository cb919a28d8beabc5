package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"parley/gateways/ws"
	"parley/testkit/port"
)

// subscribe starts `parley sub` and waits until it is subscribed.
func (n *node) subscribe(t *testing.T, args ...string) *process {
	t.Helper()
	p := launch(t, nil, nil, append([]string{"sub", "--url", n.url()}, args...)...)
	eventually(t, "the subscription", func() bool {
		select {
		case <-p.exited:
			t.Fatalf("sub ended with %d: %s", p.wait(), p.err.String())
		default:
		}
		return strings.Contains(p.err.String(), "subscribed to")
	})
	return p
}

// pub runs `parley pub`.
func (n *node) pub(t *testing.T, args ...string) outcome {
	t.Helper()
	return parley(t, append([]string{"pub", "--url", n.url()}, args...)...)
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	one := n.subscribe(t, "kitchen", "--count", "3")
	two := n.subscribe(t, "kitchen", "garden", "kitchen", "--count", "4")
	raw := n.subscribe(t, "kitchen", "--json", "--count", "3")
	nasty := "a\tb\nc\r\x1b[2J\u202e\u2028\u0085d\\n é 🦜"
	o := n.pub(t, "kitchen", nasty)
	o.expect(t, 0)
	if want := "published 1 message to \"kitchen\"\n"; o.out != want || o.err != "" {
		t.Errorf("want %q, got %v", want, o)
	}
	n.pub(t, "garden", "rain").expect(t, 0)
	n.pub(t, "kitchen", "--", "-1").expect(t, 0)
	c := n.join(t, "kitchen")
	ask(t, c, `{"command":"send","data":{"channel":"kitchen","message":{"z":1.50,`+"\n"+`"a":"\u00e9 \n"}},"nonce":["n"]}`)

	escaped := `a\tb\nc\r\x1b[2J\u202e\u2028\u0085d\n é 🦜`
	object := `{"z":1.50,` + "\\n" + `"a":"\u00e9 \n"}`
	for _, p := range []*process{one, two, raw} {
		if code := p.wait(); code != 0 {
			t.Errorf("%q: %d %s", p.cmd.Args, code, p.err.String())
		}
	}
	if diff := cmp.Diff([]string{escaped, "-1", object}, one.out.lines()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"kitchen\t" + escaped, "garden\train", "kitchen\t-1", "kitchen\t" + object}, two.out.lines()); diff != "" {
		t.Error(diff)
	}
	lines := raw.out.lines()
	var first struct{ Channel, Message string }
	if err := json.Unmarshal([]byte(lines[0]), &first); err != nil || first.Message != nasty || first.Channel != "kitchen" {
		t.Errorf("%v: %q", err, lines[0])
	}
	if want := `{"channel":"kitchen","message":{"z":1.50,"a":"\u00e9 \n"},"nonce":["n"]}`; lines[2] != want {
		t.Errorf("want %s, got %s", want, lines[2])
	}
}

func TestPasswords(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	file := filepath.Join(t.TempDir(), "it's secret")
	if err := os.WriteFile(file, []byte("wordpass\r\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	reader := n.subscribe(t, "vault", "--password", "wordpass", "--count", "2")
	n.pub(t, "vault", "x").expect(t, 1, `channel "vault": invalid password; give the channel's own with --ask-password or --password-file FILE`)
	n.pub(t, "vault", "x", "--password", "wrong").expect(t, 1, "invalid password")
	parley(t, "sub", "vault", "--url", n.url(), "--password", "wrong").expect(t, 1, "sub: ", "invalid password")

	o := n.pub(t, "vault", "x", "--password-file", file)
	o.expect(t, 2, "open to other users (mode 0644)")
	_, advice, ok := strings.Cut(o.err, "run: ")
	if !ok {
		t.Fatal(o)
	}
	shell(t, advice)
	n.pub(t, "vault", "by file", "--password-file", file).expect(t, 0)
	n.pub(t, "vault", "by word", "--password", "wordpass").expect(t, 0)
	if code := reader.wait(); code != 0 || reader.out.String() != "by file\nby word\n" {
		t.Errorf("%d %q %s", code, reader.out.String(), reader.err.String())
	}

	for args, says := range map[string]string{
		"--password x --password-file y": "more than one password",
		"--password-file /nowhere":       "no such file",
		"--password-file " + t.TempDir(): "is a directory",
		"--password=":                    "leave the option out",
		"--password \xff":                "not UTF-8",
	} {
		n.pub(t, append([]string{"vault", "x"}, strings.Fields(args)...)...).expect(t, 2, says)
	}
	// Without a terminal there is nobody to ask.
	p := launchApart(t, "pub", "vault", "x", "--ask-password", "--url", n.url())
	if code := p.wait(); code != 2 || !strings.Contains(p.err.String(), "use --password-file FILE") {
		t.Errorf("%d %s", code, p.err.String())
	}
}

func TestSubEnds(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	p := n.subscribe(t, "lobby")
	p.signal(syscall.SIGINT)
	if code := p.wait(); code != 0 {
		t.Errorf("Ctrl-C: %d %s", code, p.err.String())
	}
	p = n.subscribe(t, "lobby", "--json")
	q := launch(t, blocked(t), nil, "pub", "speech", "-", "--url", n.url())
	eventually(t, "the publisher", func() bool { return strings.Contains(listed(t, n), "speech") })
	if code := n.stop(); code != 0 {
		t.Errorf("the node: %d", code)
	}
	for _, p := range []*process{p, q} {
		code, text := p.wait(), p.err.String()
		if code != 1 || !strings.Contains(text, "closed by the server: 1001 server shuts down; the node stops: start again when it is back") {
			t.Errorf("%q: %d %s", p.cmd.Args, code, text)
		}
	}
}

// listed asks a node for its channels.
func listed(t *testing.T, n *node) string {
	t.Helper()
	c := dialTest(t, n.url())
	defer c.Close()
	if err := c.Say([]byte(`{"command":"list"}`)); err != nil {
		t.Fatal(err)
	}
	b, err := c.Hear()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// blocked is a standard input on which nothing ever comes.
func blocked(t *testing.T) io.Reader {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = r.Close(), w.Close() })
	return r
}

// TestNobodyThere takes the advice of the error.
func TestNobodyThere(t *testing.T) {
	t.Parallel()
	port := strconv.Itoa(port.Free(t))
	for _, verb := range [][]string{{"sub", "lobby", "--url"}, {"pub", "lobby", "x", "--url"}, {"health"}} {
		parley(t, append(verb, "http://127.0.0.1:"+port)...).expect(t, 3, "connection refused", "start a node with: parley node --clandestine-port "+port)
		parley(t, append(verb, "ws://nowhere.invalid")...).expect(t, 3, "is the node running, and the address right?")
		parley(t, append(verb, "ftp://127.0.0.1")...).expect(t, 2, "write it as ")
	}
	startNodeWith(t, "--metrics-address", "off", "--clandestine-port", port)
	parley(t, "health", "127.0.0.1:"+port).expect(t, 0)
	parley(t, "pub", "lobby", "x", "--url", "127.0.0.1:"+port).expect(t, 0)
}

// TestSlowReader has a reader that stops reading: it is cut off with the reason,
// or loses what it agreed to lose.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	n := startNode(t, "--outbound-limit", "64KiB")
	firm := n.pipe(t, "lobby")
	lossy := n.pipe(t, "lobby", "--drop", "oldest")
	c := n.join(t, "lobby")
	frame := fmt.Sprintf(`{"command":"send","data":{"channel":"lobby","message":%q}}`, strings.Repeat("x", 64<<10))
	for range 200 { // far more than kernels and pipes hold
		ask(t, c, frame)
	}
	for _, p := range []*pipe{firm, lossy} {
		p.discard()
	}
	if code := firm.wait(); code != 1 || !strings.Contains(firm.err.String(), "1013 slow consumer") || !strings.Contains(firm.err.String(), "sub --drop oldest") {
		t.Errorf("%d %s", code, firm.err.String())
	}
	eventually(t, "the count of what was lost", func() bool { return strings.Contains(lossy.err.String(), "messages lost") })
	lossy.signal(syscall.SIGINT)
	if code := lossy.wait(); code != 0 {
		t.Errorf("%d %s", code, lossy.err.String())
	}
}

// pipe is a `parley sub` whose output nobody reads at first.
type pipe struct {
	*process
	r    *os.File
	read sync.WaitGroup
}

func (n *node) pipe(t *testing.T, args ...string) *pipe {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p := &pipe{process: prepare(t, nil, nil, append([]string{"sub", "--url", n.url()}, args...)...), r: r}
	p.cmd.Stdout = w
	p.start()
	_ = w.Close()
	t.Cleanup(func() { p.read.Wait(); _ = r.Close() })
	eventually(t, "the subscription", func() bool { return strings.Contains(p.err.String(), "subscribed to") })
	return p
}

func (p *pipe) discard() {
	p.read.Go(func() { _, _ = io.Copy(io.Discard, p.r) })
}

// wire is a session whose other end is a function: the frames that answer one.
type wire struct {
	answer func(frame string) []string

	mu     sync.Mutex
	frames chan string
	ended  bool
}

func newWire(answer func(string) []string, first ...string) *wire {
	w := &wire{answer: answer, frames: make(chan string, 1024)}
	for _, f := range first {
		w.frames <- f
	}
	return w
}

func (w *wire) Say(b []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return errors.New("ended")
	}
	for _, f := range w.answer(string(b)) {
		w.frames <- f
	}
	return nil
}

func (w *wire) Hear() ([]byte, error) {
	f, ok := <-w.frames
	var code int
	switch n, _ := fmt.Sscanf(f, "close %d", &code); {
	case !ok:
		return nil, io.ErrUnexpectedEOF
	case n == 1:
		_, reason, _ := strings.Cut(f, ": ")
		return nil, &ws.Closed{Code: code, Reason: reason}
	}
	return []byte(f), nil
}

func (w *wire) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.ended {
		w.ended = true
		close(w.frames)
	}
	return nil
}

const okay = `{"type":"response","data":{"ok":true},"nonce":1}`

// TestReception is what sub makes of a server's frames.
func TestReception(t *testing.T) {
	for name, c := range map[string]struct {
		frames []string
		out    string
		notes  string
		err    string
	}{
		"busy, then not": {
			frames: []string{`{"type":"response","data":{"ok":false,"reason":"busy"},"nonce":1}`, okay, "close 1001: bye"},
			notes:  "subscribed to \"c\" at ws://x\n", err: "closed by the server: 1001 bye; the node stops: start again when it is back",
		},
		"unknown frames": {
			frames: []string{okay, `{"type":"news","data":{"channel":"c"},"nonce":{},"more":1}`, `{"type":"message","data":{"message":"x","channel":"c"}}`, "close 1000"},
			notes:  "subscribed to \"c\" at ws://x\n", out: "x\n", err: "closed by the server: 1000; the server ended the conversation",
		},
		"lost": {
			frames: []string{okay, `{"type":"error","data":{"reason":"channel lost","channel":"c"},"nonce":""}`},
			notes:  "subscribed to \"c\" at ws://x\n", err: "channel \"c\": channel lost; the channel was closed under its subscribers: start again",
		},
		"dropped": {
			frames: []string{okay, `{"type":"dropped","data":{"channel":"c","count":12}}`, "close 1006"},
			notes:  "subscribed to \"c\" at ws://x\nparley: sub: channel \"c\": 12 messages lost: they came faster than they were read\n",
			err:    "connection lost; the connection broke without a goodbye: is the node still running?",
		},
		"no relay":         {frames: []string{"<html>"}, err: "a frame that is none of a relay came"},
		"terminal attack":  {frames: []string{`{"type":"response","data":{"ok":false,"reason":"\u001b[2Jgone"},"nonce":1}`}, err: `channel "c": \x1b[2Jgone`},
		"close attack":     {frames: []string{"close 4000: \x1b[2J\u202e"}, err: `closed by the server: 4000 \x1b[2J\u202e`},
		"slow":             {frames: []string{"close 1013: slow consumer"}, err: "agree to lose the oldest with sub --drop oldest"},
		"overloaded":       {frames: []string{"close 1013: not served"}, err: "the node is overloaded: try again later"},
		"error of a frame": {frames: []string{`{"type":"error","data":{"reason":"invalid channel"},"nonce":1}`}, err: `channel "c": invalid channel; a name is 1 to 256 bytes`},
	} {
		t.Run(name, func(t *testing.T) {
			var out, notes bytes.Buffer
			w := newWire(func(string) []string { return nil }, c.frames...)
			s := &subscription{channels: []string{"c"}}
			r := &reception{subscription: s, session: w, at: "ws://x", out: &out, notes: &notes}
			err := r.run()
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("want error %q, got %v", c.err, err)
			}
			if out.String() != c.out || notes.String() != c.notes {
				t.Errorf("printed %q, noted %q", out.String(), notes.String())
			}
		})
	}
}

// TestBusyForEver gives up at last.
func TestBusyForEver(t *testing.T) {
	tries := 0
	w := newWire(func(string) []string {
		tries++
		return []string{`{"type":"response","data":{"ok":false,"reason":"busy"},"nonce":1}`}
	})
	r := &reception{subscription: &subscription{channels: []string{"c"}}, session: w, out: io.Discard, notes: io.Discard}
	if err := r.run(); err == nil || !strings.Contains(err.Error(), "try again later") || tries != busyTries+1 {
		t.Errorf("after %d tries: %v", tries, err)
	}
}

// TestPrintFails is a full disk.
func TestPrintFails(t *testing.T) {
	w := newWire(func(string) []string { return nil }, okay, `{"type":"message","data":{"message":"x","channel":"c"}}`)
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	r := &reception{subscription: &subscription{channels: []string{"c"}}, session: w, out: full, notes: io.Discard}
	if err := r.run(); err == nil || !strings.Contains(err.Error(), "cannot print") {
		t.Error(err)
	}
}
