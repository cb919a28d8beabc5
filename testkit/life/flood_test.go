package life_test

import (
	"bufio"
	be "encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// deaf is a user interface that listens to nothing for as long as it likes.
type deaf struct {
	t    testing.TB
	conn net.Conn
	r    *bufio.Reader
}

// goDeaf connects to a Daemon or Node, and reads nothing any more.
func goDeaf(t testing.TB, port uint16) *deaf {
	t.Helper()
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_, err = fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: MASQNode-UIv2\r\n\r\n", conn.RemoteAddr())
	d := &deaf{t: t, conn: conn, r: bufio.NewReaderSize(conn, 4<<10)}
	res, resErr := http.ReadResponse(d.r, nil)
	if err != nil || resErr != nil || res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v %v %v", err, resErr, res)
	}
	return d
}

// opcode of a frame that closes, and the code in it. Source: RFC 6455, 5.5.1.
const (
	closing         = 8
	policyViolation = 1008
)

// code listens again, and returns the code that the connection was closed with;
// 0: it ended without.
func (d *deaf) code() int {
	_ = d.conn.SetReadDeadline(time.Now().Add(patience))
	for {
		var head [2]byte
		if _, err := io.ReadFull(d.r, head[:]); err != nil {
			return 0
		}
		length := uint64(head[1])
		switch length {
		case 126:
			var n uint16
			_ = be.Read(d.r, be.BigEndian, &n)
			length = uint64(n)
		case 127:
			_ = be.Read(d.r, be.BigEndian, &length)
		}
		if head[0]&15 == closing {
			var code uint16
			_ = be.Read(d.r, be.BigEndian, &code)
			return int(code)
		}
		_, _ = io.CopyN(io.Discard, d.r, int64(length))
	}
}

// TestDeafUI has somebody read nothing while the Setup space changes: it is cut
// off, costs little, and nobody else notices.
func TestDeafUI(t *testing.T) {
	const (
		wide    = 16_000   // bytes of a value
		most    = 4000     // changes
		allowed = 16 << 10 // KiB that the Daemon may take more for a connection and the garbage of the changes
	)
	d := start(t, directory(t), nil)
	anna, ben := connect(t, d.port), connect(t, d.port)
	anna.settle()
	ben.await("setup")
	before := resident(t, d.cmd.Process.Pid)
	mute := goDeaf(t, d.port)
	changes := 0
	for ; changes < most && !strings.Contains(d.stderr(), "slow consumer"); changes++ {
		anna.change("scans", fmt.Sprint(changes, strings.Repeat("x", wide))).want(t, `"errors":[]`)
		ben.await("setup").want(t, fmt.Sprintf(`"value":"%dx`, changes))
	}
	if code := mute.code(); code != policyViolation {
		t.Errorf("who reads nothing was cut off with %d", code)
	}
	after := resident(t, d.cmd.Process.Pid)
	if after > before+allowed {
		t.Errorf("the Daemon took %d KiB before and %d after", before, after)
	}
	t.Logf("cut off after %d changes of %d kB; the Daemon took %d KiB before and %d after", changes, wide/1000, before, after)
}

// TestTalkativeNode has a Node say more than anybody wants to know, and end with
// a long word. The Daemon takes no more memory for it, however much that is: "make
// cycles" has it say a thousand MiB.
func TestTalkativeNode(t *testing.T) {
	const allowed = 8 << 10       // KiB that the Daemon may take more
	amount := cycles(t, 64) << 20 // bytes on stderr, if this user may write there
	d := start(t, directory(t), nil)
	u := connect(t, d.port)
	u.settle()
	u.change("log-level", "trace").want(t, `"errors":[]`)
	u.change("crash-point", "message").want(t, `"errors":[]`)
	node := u.launch()
	c, other := connect(t, node.Port), connect(t, node.Port)
	before := resident(t, d.cmd.Process.Pid)
	if root { // nobody else may open it
		stderr, err := os.OpenFile(fmt.Sprintf("/proc/%d/fd/2", node.PID), os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		line := []byte(strings.Repeat("words ", 99) + "\n")
		for said := 0; said < amount; said += len(line) {
			if _, err := stderr.Write(line); err != nil {
				t.Fatal(err)
			}
		}
		_ = stderr.Close()
	}
	for range 300 { // each is worth a line to a Node
		if err := c.client.Say([]byte("no JSON")); err != nil {
			t.Fatal(err)
		}
	}
	c.ask("hostStats", "{}").want(t)
	other.ask("hostStats", "{}").want(t)
	text := strings.Repeat("panic: ", 100_000)
	if err := c.client.Say([]byte(`{"opcode":"crash","payload":{"actor":"store","panicMessage":` + quoted(text) + `}}`)); err != nil {
		t.Fatal(err)
	}
	end := u.crashed(node.PID)
	if size := len(mustJSON(end)); size > 256<<10 || len(end.LastLines) == 0 || end.Requested {
		t.Errorf("crashed with %d bytes and %d lines: %+v", size, len(end.LastLines), end.ExitCode)
	}
	after := resident(t, d.cmd.Process.Pid)
	if after > before+allowed {
		t.Errorf("the Daemon took %d KiB before and %d after", before, after)
	}
	u.launch()
	t.Logf("the Daemon took %d KiB before and %d after, and said %d KiB", before, after, len(d.stderr())>>10)
}
