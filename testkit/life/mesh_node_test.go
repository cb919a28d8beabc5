package life_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"parley/gateways/ws"
)

// meshToken is what the nodes of these tests let each other in by.
const meshToken = "s3ed-t0ken"

// meshNode is a Node by itself.
type meshNode struct {
	t      testing.TB
	name   string
	dir    string
	relay  string   // host:port
	env    []string // more of its environment
	port   uint16   // for user interfaces
	counts string   // address of its metrics; blank: it shows none
	cmd    *exec.Cmd
	exited chan struct{}

	mu   sync.Mutex
	said strings.Builder // stderr
}

// Write collects what the node says on stderr.
func (n *meshNode) Write(b []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.said.Write(b)
}

func (n *meshNode) log() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.said.String()
}

// joinMesh starts a node that dials others; args are more words for it.
func joinMesh(t testing.TB, name string, to []*meshNode, args ...string) *meshNode {
	t.Helper()
	n := &meshNode{t: t, name: name, dir: directory(t), relay: "127.0.0.1:0"}
	n.start(to, args...)
	return n
}

// start starts the node, again at the same place if it has run before.
func (n *meshNode) start(to []*meshNode, args ...string) {
	n.t.Helper()
	at, err := binary()
	if err != nil {
		n.t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(n.relay)
	var neighbors []string
	for _, other := range to {
		neighbors = append(neighbors, "parley://"+meshToken+"@"+other.relay+"?name="+other.name)
	}
	n.cmd = exec.Command(at, append([]string{
		"node", "--node-name", n.name, "--clandestine-port", port, "--ui-port", "0", "--metrics-address", "off", "--star-address", "off", "--enclave-address", "off", "--data-directory", n.dir,
		"--high-latency", "10s",
	}, args...)...)
	n.cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "NO_COLOR=1", "PARLEY_RELAY_TOKEN=" + meshToken, "PARLEY_NEIGHBORS=" + strings.Join(neighbors, ","),
	}, n.env...)
	n.cmd.Stderr, n.exited = n, make(chan struct{})
	out, err := n.cmd.StdoutPipe()
	if err == nil {
		err = n.cmd.Start()
	}
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { n.end(syscall.SIGTERM) })
	line, err := bufio.NewReader(out).ReadString('\n')
	exited := n.exited
	go func(cmd *exec.Cmd) {
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Wait() // its state is looked at by who asks
		close(exited)
	}(n.cmd)
	var ready struct{ UI, Relay, Metrics string }
	text, ok := strings.CutPrefix(line, "ready ")
	if err != nil || !ok || json.Unmarshal([]byte(text), &ready) != nil {
		n.t.Fatalf("%s did not get ready: %v; it said\n%s", n.name, err, n.log())
	}
	n.relay, n.counts = ready.Relay, ready.Metrics
	ui, err := net.ResolveTCPAddr("tcp", ready.UI)
	if err != nil {
		n.t.Fatal(err)
	}
	n.port = uint16(ui.Port)
}

// end ends the node, if it still runs; in order it must end with 0.
func (n *meshNode) end(s syscall.Signal) {
	n.t.Helper()
	select {
	case <-n.exited:
		return
	default:
	}
	_ = n.cmd.Process.Signal(s)
	<-n.exited
	if code := n.cmd.ProcessState.ExitCode(); s == syscall.SIGTERM && code != 0 {
		n.t.Errorf("%s ended with %d", n.name, code)
	}
	if n.t.Failed() {
		said := n.log()
		n.t.Logf("%s said\n%s", n.name, said[max(0, len(said)-lastSaid):])
	}
}

// peers are the names of the nodes that n is linked with, as parley peers says.
func (n *meshNode) peers() []string { return firstWords(n.verb("peers")) }

// verb runs a verb of the program at the node, which must agree.
func (n *meshNode) verb(args ...string) string {
	n.t.Helper()
	at, err := binary()
	if err != nil {
		n.t.Fatal(err)
	}
	out, err := exec.Command(at, append(args, "--ui-port", strconv.Itoa(int(n.port)))...).CombinedOutput()
	if err != nil {
		n.t.Fatalf("parley %s at %s: %v\n%s", strings.Join(args, " "), n.name, err, out)
	}
	return string(out)
}

// firstWords are those of a table's rows.
func firstWords(table string) (words []string) {
	lines := strings.Split(strings.TrimSpace(table), "\n")
	for _, line := range lines[1:] {
		words = append(words, strings.Fields(line)[0])
	}
	return words
}

// relayClient is a client of a node's relay.
type relayClient struct {
	t      testing.TB
	ws     *ws.Client
	frames chan string
}

func (n *meshNode) client() *relayClient {
	n.t.Helper()
	w, err := ws.Dial(n.t.Context(), "ws://"+n.relay+"/connect", 1<<20)
	if err != nil {
		n.t.Fatal(err)
	}
	c := &relayClient{n.t, w, make(chan string, queued)}
	go func() {
		defer close(c.frames)
		for {
			b, err := w.Hear()
			if err != nil {
				return
			}
			c.frames <- string(b)
		}
	}()
	n.t.Cleanup(func() { _ = w.Close() })
	return c
}

func (c *relayClient) say(frame string) {
	c.t.Helper()
	if err := c.ws.Say([]byte(frame)); err != nil {
		c.t.Fatal(err)
	}
}

// hear returns the next frame.
func (c *relayClient) hear() string {
	c.t.Helper()
	var next string
	eventually(c.t, "a client hears something", func() bool {
		select {
		case frame, ok := <-c.frames:
			if !ok {
				c.t.Fatal("the node hung up")
			}
			next = frame
			return true
		default:
			return false
		}
	})
	return next
}

// hears says what the next frame is, byte for byte.
func (c *relayClient) hears(want string) {
	c.t.Helper()
	if got := c.hear(); got != want {
		c.t.Errorf("heard %s, want %s", got, want)
	}
}

// ask sends a command and expects its answer's data.
func (c *relayClient) ask(command, data, answer string) {
	c.t.Helper()
	c.say(fmt.Sprintf(`{"command":%q,"data":%s,"nonce":"abc123"}`, command, data))
	c.hears(fmt.Sprintf(`{"type":"response","data":%s,"nonce":"abc123"}`, answer))
}
