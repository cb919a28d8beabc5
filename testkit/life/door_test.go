package life_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestPortIsTaken starts a Daemon where one is: it says so in one line, and has
// touched nothing.
func TestPortIsTaken(t *testing.T) {
	at, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	d := start(t, directory(t), nil)
	port := strconv.Itoa(int(d.port))
	dir := filepath.Join(scratch, "never-made")
	for _, args := range [][]string{{"daemon"}, {"--initialization"}, {"up"}, {"node", "--clandestine-port", "0", "--metrics-address", "off"}} {
		cmd := exec.CommandContext(t.Context(), at, append(args, "--ui-port", port, "--data-directory", dir)...)
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "NO_COLOR=1"}
		out, err := cmd.CombinedOutput()
		if e := (*exec.ExitError)(nil); !errors.As(err, &e) || e.ExitCode() != 1 {
			t.Errorf("%q ended with %v", args, err)
		}
		said := string(out)
		if args[0] == "node" { // it may have something to say of limits before that
			said = said[strings.LastIndexByte(strings.TrimRight(said, "\n"), '\n')+1:]
		}
		if strings.Count(said, "\n") != 1 || !strings.Contains(said, "port "+port+" on 127.0.0.1 is taken") || !strings.Contains(said, "already running") {
			t.Errorf("%q said\n%s", args, out)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%q has made its directory", args)
		}
	}
	connect(t, d.port).ask("setup", `{"values":[]}`).want(t, `"running":false`)
}

// TestInitialization starts a Daemon as the protocol's other programs do.
func TestInitialization(t *testing.T) {
	d := run(t, directory(t), nil, nil, "--initialization", "--ui-port", "0")
	u := connect(t, d.port)
	u.settle()
	node := u.launch()
	connect(t, node.Port).ask("configuration", "{}").want(t, `"nodeName"`)
}

// upgrade is a handshake for user interfaces, with room for headers.
const upgrade = "GET / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n%s\r\n"

// garbage is what else comes to a port.
func garbage(random *rand.Rand, port uint16) []byte {
	noise := make([]byte, random.IntN(2000))
	for i := range noise {
		noise[i] = byte(random.UintN(256))
	}
	good := fmt.Sprintf(upgrade, port, "Sec-WebSocket-Protocol: MASQNode-UIv2\r\n")
	switch random.IntN(10) {
	case 0:
		return noise
	case 1:
		return fmt.Appendf(nil, "GET / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n", port)
	case 2:
		return fmt.Appendf(nil, upgrade, port, "") // without a subprotocol
	case 3:
		return []byte(good[:random.IntN(len(good))])
	case 4:
		return fmt.Appendf(nil, upgrade, port, "Origin: https://elsewhere.example\r\nSec-WebSocket-Protocol: MASQNode-UIv2\r\n")
	case 5:
		return []byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + string(noise)) // TLS
	case 6:
		return []byte(good + string(noise))
	case 7:
		return []byte(good + "\x81\x05hello") // not masked
	case 8:
		return []byte(good + "\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00") // as long as can be
	default:
		return []byte(good + "\x82\x85\x00\x00\x00\x00hello\x81\x82\x00\x00\x00\x00{]") // binary, and no JSON
	}
}

// TestGarbage has strangers say all kinds of things at the Daemon's port and at
// the Node's. Whoever is there does not notice, and nothing stays open.
func TestGarbage(t *testing.T) {
	random := seeded(t)
	d := start(t, directory(t), nil)
	u := connect(t, d.port)
	u.settle()
	node := u.launch()
	c := connect(t, node.Port)
	before := len(descriptors(t, d.cmd.Process.Pid))
	for _, at := range []struct {
		u    *ui
		port uint16
	}{{u, d.port}, {c, node.Port}} {
		var open []net.Conn
		for range cycles(t, 200) {
			conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", at.port))
			if err != nil {
				t.Fatal(err)
			}
			_, _ = conn.Write(garbage(random, at.port)) // it may be closed before all is said
			if random.IntN(2) == 0 {
				_ = conn.(*net.TCPConn).SetLinger(0) // without a goodbye
			}
			if open = append(open, conn); len(open) > 50 {
				_ = open[0].Close()
				open = open[1:]
			}
			at.u.ask("subscribe", `{"opcodes":["setup","crashed"]}`).want(t)
		}
		for _, conn := range open {
			_ = conn.Close()
		}
	}
	eventually(t, "what strangers opened is closed", func() bool { return len(descriptors(t, d.cmd.Process.Pid)) <= before },
		func() string { return strings.Join(descriptors(t, d.cmd.Process.Pid), "\n") })
}
