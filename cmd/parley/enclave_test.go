package main

import (
	"bufio"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// pipeEnds are a front end's ends of a node's named pipes.
type pipeEnds struct {
	in    *os.File
	lines chan string
}

// openEnds waits for the pipes of a data directory.
func openEnds(t *testing.T, data string) *pipeEnds {
	t.Helper()
	in, err := os.OpenFile(filepath.Join(data, "enclave", "in"), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	out, err := os.OpenFile(filepath.Join(data, "enclave", "out"), os.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	e := &pipeEnds{in: in, lines: make(chan string, 100)}
	go func() {
		defer close(e.lines)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			e.lines <- lines.Text()
		}
	}()
	t.Cleanup(func() {
		_, _ = in.Close(), out.Close()
		for range e.lines {
		}
	})
	return e
}

func (e *pipeEnds) say(t *testing.T, line string) {
	t.Helper()
	if _, err := e.in.WriteString(line + "\n"); err != nil {
		t.Fatal(err)
	}
}

// hear reads until a line has all parts.
func (e *pipeEnds) hear(t *testing.T, parts ...string) {
	t.Helper()
	var heard []string
	eventually(t, "line of "+strings.Join(parts, ", "), func() bool {
		for {
			select {
			case line, open := <-e.lines:
				if !open {
					t.Fatalf("the pipe ended behind\n%s", strings.Join(heard, "\n"))
				}
				heard = append(heard, line)
				found := true
				for _, p := range parts {
					found = found && strings.Contains(line, p)
				}
				if found {
					return true
				}
			default:
				return false
			}
		}
	})
}

// TestEnclave has two nodes that know nothing but addresses, and people at their
// pipes.
func TestEnclave(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	ann := startNode(t, "--enclave-address", "127.0.0.1", "--enclave-port", "0", "--node-name", "ann", "--data-directory", a)
	ben := startNode(t, "--enclave-address", "127.0.0.2", "--enclave-port", "0", "--node-name", "ben", "--data-directory", b)
	if !strings.HasPrefix(ann.enclave, "127.0.0.1:") || !strings.HasPrefix(ben.enclave, "127.0.0.2:") {
		t.Fatalf("friends connect to %q and %q", ann.enclave, ben.enclave)
	}
	atAnn, atBen := openEnds(t, a), openEnds(t, b)
	atAnn.say(t, `{"cmd":"add","address":"`+ben.enclave+`","name":"Ben","id":"1"}`)
	atAnn.hear(t, `"event":"result","id":"1","cmd":"add","ok":true`)
	atAnn.say(t, `{"cmd":"send","to":"Ben","message":"Hello, Ben","id":"2"}`)
	atBen.hear(t, `"event":"request","address":"127.0.0.1","alias":"ann"`)
	atBen.say(t, `{"cmd":"accept","address":"127.0.0.1","name":"Ann"}`)
	atBen.hear(t, `"event":"message","from":"127.0.0.1","name":"Ann","message":"Hello, Ben"`)
	atAnn.hear(t, `"event":"delivered","to":"127.0.0.2","name":"Ben","id":"2"`)
	atBen.say(t, `{"cmd":"status","status":3,"status-message":"busy"}`)
	atAnn.hear(t, `"event":"status","address":"127.0.0.2","name":"Ben","status":3,"status-message":"busy"`)
	if _, body := get(t, "http://"+ann.metrics+"/metrics"); !strings.Contains(body, "\nparley_enclave_links 1\n") {
		t.Errorf("metrics say\n%s", body)
	}
	if code := ben.stop(); code != 0 {
		t.Errorf("ben ended with %d:\n%s", code, ben.err.String())
	}
	atAnn.hear(t, `"event":"status","address":"127.0.0.2","name":"Ben","status":0`)
}

func TestEnclaveOff(t *testing.T) {
	data := t.TempDir()
	n := startNode(t, "--enclave-address", "off", "--data-directory", data)
	if n.enclave != "" || strings.Contains(n.out.String(), "enclave") {
		t.Errorf("%s", n.out.String())
	}
	if _, err := os.Stat(filepath.Join(data, "enclave")); !os.IsNotExist(err) {
		t.Errorf("there are pipes: %v", err)
	}
}

func TestEnclavePortIsTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	parley(t, "node", "--clandestine-port", "0", "--metrics-address", "off", "--enclave-address", "127.0.0.1", "--enclave-port", port).
		expect(t, 1, "address already in use", "--enclave-port", "0: any free one", "off: none")
}

// TestEnclaveGoesOnWithoutPipes that are not safe, and says so.
func TestEnclaveGoesOnWithoutPipes(t *testing.T) {
	data := t.TempDir()
	if err := os.Symlink(t.TempDir(), filepath.Join(data, "enclave")); err != nil {
		t.Fatal(err)
	}
	n := startNode(t, "--enclave-address", "127.0.0.1", "--enclave-port", "0", "--data-directory", data)
	if n.enclave == "" {
		t.Error("it does not listen")
	}
	if !strings.Contains(n.err.String(), "no named pipes") || !strings.Contains(n.err.String(), "symbolic link") {
		t.Errorf("it says\n%s", n.err.String())
	}
}

// TestEnclaveWarnsOnce of a network where addresses prove nothing.
func TestEnclaveWarnsOnce(t *testing.T) {
	n := startNode(t, "--enclave-address", "0.0.0.0", "--enclave-port", "0", "--data-directory", t.TempDir())
	if got := strings.Count(n.err.String(), "no network that derives addresses"); got != 1 {
		t.Errorf("%d warnings:\n%s", got, n.err.String())
	}
}
