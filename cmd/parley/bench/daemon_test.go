//go:build linux

package bench

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"

	"parley/cmd/parley/bench/wire"
)

// wordNode makes the test's binary a Node, and modeVariable breaks promises of the Daemon on purpose: words, of
//
//	mute     it never says that it listens
//	babble   it says something else
//	twice    broadcasts are sent twice
//	deaf     one user interface is not told
//	refuse   what changes nothing is refused
//	stray    an answer nobody asked for comes along
//	running  a Node is running already
//	frozen   the Setup space is
//	late     it ends with an error
//	hangup   connections end at the first request of a conversation
const (
	wordNode     = "node-of-test"
	modeVariable = "BENCH_TEST_MODE"
)

func mode(word string) bool { return slices.Contains(strings.Fields(os.Getenv(modeVariable)), word) }

// host serves user interfaces, as little as the bench needs.
type host struct {
	l    net.Listener
	over chan struct{}                                  // closed when a shutdown is answered
	on   func(c *caller, opcode, payload string) string // the answer's payload or error, with its key

	mu      sync.Mutex // guards what follows
	callers []*caller
	values  map[string]string
	node    *exec.Cmd
}

// caller is one connection.
type caller struct {
	h    *host
	conn net.Conn
	mu   sync.Mutex // of writes
}

func listen(on func(h *host, c *caller, opcode, payload string) string) *host {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	h := &host{l: l, over: make(chan struct{}), values: map[string]string{}}
	h.on = func(c *caller, opcode, payload string) string { return on(h, c, opcode, payload) }
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go (&caller{h: h, conn: c}).serve()
		}
	}()
	return h
}

func (c *caller) serve() {
	defer func() { _ = c.conn.Close() }()
	r := bufio.NewReader(c.conn)
	var head []byte
	for !strings.HasSuffix(string(head), "\r\n\r\n") {
		line, err := r.ReadBytes('\n')
		if err != nil {
			return
		}
		head = append(head, line...)
	}
	_, lines, _, _, _ := wire.Head(head)
	if got := wire.Header(lines, "Sec-WebSocket-Protocol"); got != "MASQNode-UIv2" {
		_, _ = fmt.Fprint(c.conn, "HTTP/1.1 400 Bad Request\r\n\r\n")
		return
	}
	c.mu.Lock() // a broadcast must come behind it
	c.h.mu.Lock()
	c.h.callers = append(c.h.callers, c)
	c.h.mu.Unlock()
	fmt.Fprintf(c.conn, "HTTP/1.1 101 x\r\nSec-WebSocket-Protocol: MASQNode-UIv2\r\nSec-WebSocket-Accept: %s\r\n\r\n", wire.Accept(wire.Header(lines, "Sec-WebSocket-Key")))
	c.mu.Unlock()
	scan, buffer := wire.Scanner{Masked: true}, make([]byte, 64<<10)
	for {
		n, err := r.Read(scan.Begin(buffer))
		if err != nil {
			return
		}
		scan.Filled(n)
		for {
			m, ok, err := scan.Next()
			if err != nil || ok && m.Op == wire.OpClose {
				return
			}
			if !ok {
				break
			}
			if m.Op == wire.OpText && !c.request(m.Payload) {
				return
			}
		}
		scan.Keep()
	}
}

func (c *caller) request(text []byte) bool {
	var m struct {
		Opcode    string
		ContextID uint64
		Payload   json.RawMessage
	}
	if json.Unmarshal(text, &m) != nil {
		return false
	}
	answer := c.h.on(c, m.Opcode, string(m.Payload))
	if answer == "" {
		return false
	}
	c.write(fmt.Sprintf(`{"opcode":"%s","contextId":%d,%s}`, m.Opcode, m.ContextID, answer))
	if m.Opcode == "shutdown" {
		close(c.h.over)
	}
	if mode("stray") {
		c.write(fmt.Sprintf(`{"opcode":"%s","contextId":%d,%s}`, m.Opcode, m.ContextID+1000, answer))
	}
	return true
}

func (c *caller) write(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, _ = c.conn.Write(wire.AppendServer(nil, wire.OpText, []byte(text)))
}

// tell broadcasts to all but one.
func (h *host) tell(except *caller, opcode, payload string) {
	h.mu.Lock()
	all := slices.Clone(h.callers)
	h.mu.Unlock()
	if mode("deaf") {
		all = all[:len(all)-1]
	}
	times := 1
	if mode("twice") {
		times = 2
	}
	for _, c := range all {
		for range times {
			if c != except {
				c.write(fmt.Sprintf(`{"opcode":"%s","payload":%s}`, opcode, payload))
			}
		}
	}
}

// serveAsDaemon is all of a Daemon's life.
func serveAsDaemon() {
	if mode("mute") {
		return
	}
	if i := slices.Index(os.Args, "--data-directory"); i < 0 || !strings.Contains(os.Args[i+1], "parley-bench-") {
		fmt.Println("no data directory")
		return
	}
	h := listen((*host).daemon)
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM)
	if mode("babble") {
		fmt.Println("hello")
	}
	fmt.Printf("ready {\"ui\":%q}\n", h.l.Addr().String())
	<-end
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.node != nil {
		_ = h.node.Process.Kill()
	}
	if mode("late") {
		os.Exit(1)
	}
}

func (h *host) daemon(c *caller, opcode, payload string) string {
	switch opcode {
	case "setup":
		return h.setup(c, payload)
	case "start":
		return h.start()
	case "unsubscribe":
		switch {
		case mode("hangup"):
			return ""
		case mode("refuse"):
			return `"error":{"code":1,"message":"not today"}`
		}
		return `"payload":{}`
	}
	return `"error":{"code":9223372036854775810,"message":"unknown"}`
}

func (h *host) setup(c *caller, payload string) string {
	var m struct {
		Values []struct {
			Name  string
			Value *string
		}
	}
	_ = json.Unmarshal([]byte(payload), &m)
	h.mu.Lock()
	for _, v := range m.Values {
		delete(h.values, v.Name)
		if v.Value != nil {
			h.values[v.Name] = *v.Value
		}
	}
	var list []string
	for name, value := range h.values {
		list = append(list, fmt.Sprintf(`{"name":%q,"value":%q,"status":"Set"}`, name, value))
	}
	h.mu.Unlock()
	state := fmt.Sprintf(`{"running":%t,"values":[%s],"errors":[]}`, mode("frozen"), strings.Join(list, ","))
	if len(m.Values) > 0 {
		h.tell(c, "setup", state)
	}
	return `"payload":` + state
}

func (h *host) start() string {
	if mode("running") {
		return `"error":{"code":9223372036854775811,"message":"already running"}`
	}
	cmd := exec.Command(os.Args[0], wordNode)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	port := 0
	if err == nil {
		_, err = fmt.Fscan(out, &port)
	}
	if err != nil {
		return fmt.Sprintf(`"error":{"code":9223372036854775809,"message":%q}`, err)
	}
	h.mu.Lock()
	h.node = cmd
	h.mu.Unlock()
	go func() {
		_ = cmd.Wait()
		h.tell(nil, "crashed", fmt.Sprintf(`{"processId":%d,"crashReason":"NoInformation"}`, cmd.Process.Pid))
	}()
	return fmt.Sprintf(`"payload":{"newProcessId":%d,"redirectUiPort":%d}`, cmd.Process.Pid, port)
}

// serveAsNode is all of a Node's life: it ends when it is asked to, or killed.
func serveAsNode() {
	h := listen(func(*host, *caller, string, string) string { return `"payload":{}` })
	fmt.Println(h.l.Addr().(*net.TCPAddr).Port)
	<-h.over
}
