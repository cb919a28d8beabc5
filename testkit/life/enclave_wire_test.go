package life_test

import (
	"bytes"
	be "encoding/binary"
	"fmt"
	"io"
	"net"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// vector is the handshake of the public program, as it is on the wire. Source:
// gateways/enclave/PROTOCOL.md, Packets.
const vector = "\x00\x00\x00\x46" + `{"status":1,"alias":"Anon","status-message":"","timestamp":1795219316}`

// ours are the handshake's content with what goes beyond the notes in groups: what
// is between them is the vector, but for the time.
var ours = regexp.MustCompile(`^(\{"status":1,"alias":"Anon","status-message":"",)"statusmsg":"",("timestamp":)([0-9]+),"id":"[0-9a-z]+"\}$`)

// TestEnclaveHandshakeBytes has a node send its handshake to who calls, and to whom
// it calls, without having heard anything: with what is ours taken out, and at the
// vector's time, it is the vector. The vector is taken the same way.
func TestEnclaveHandshakeBytes(t *testing.T) {
	const ip = "127.0.9.51"
	anon := joinEnclave(t, "Anon", "127.0.9.50")
	l, err := net.Listen("tcp", ip+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	begun := time.Now().Unix()
	anon.does("add", "address", l.Addr().String(), "name", "Far")
	dialled, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if host, _, _ := net.SplitHostPort(dialled.RemoteAddr().String()); host != anon.ip {
		t.Errorf("it calls from %s, and listens at %s", host, anon.ip)
	}
	shaken(t, dialled, begun)
	_ = dialled.Close()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}
	called, err := d.Dial("tcp", anon.at)
	if err != nil {
		t.Fatal(err)
	}
	defer called.Close()
	shaken(t, called, begun)
	for _, l := range anon.all() {
		if l.Event == "status" && (l.Status != 0 || l.Alias != "") {
			t.Errorf("before the vector came, it tells of %+v", l)
		}
	}
	for _, b := range []byte(vector) { // a byte is a segment
		if _, err := called.Write([]byte{b}); err != nil {
			t.Fatal(err)
		}
	}
	anon.reads("the vector", func(l line) bool {
		return l.Event == "status" && l.Address == ip && l.Name == "Far" && l.Alias == "Anon" && l.Status == 1 && l.StatusMessage == ""
	})
	anon.end(syscall.SIGTERM)
	goodbye := regexp.MustCompile(`^\x00\x00\x00\x23\{"status":0,"timestamp":[0-9]{10}\}$`)
	if rest, err := io.ReadAll(called); err != nil || !goodbye.Match(rest) {
		t.Errorf("the goodbye is %q, %v", rest, err)
	}
}

// shaken reads one packet, which must be a handshake.
func shaken(t testing.TB, c net.Conn, since int64) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(patience))
	head := make([]byte, 4)
	if _, err := io.ReadFull(c, head); err != nil {
		t.Fatal(err)
	}
	content := make([]byte, be.BigEndian.Uint32(head)&0xfff)
	if _, err := io.ReadFull(c, content); err != nil {
		t.Fatal(err)
	}
	m := ours.FindSubmatch(content)
	if m == nil {
		t.Fatalf("the handshake is %q", content)
	}
	if at, err := strconv.ParseInt(string(m[3]), 10, 64); err != nil || at < since || at > time.Now().Unix() {
		t.Errorf("the handshake says %s", m[3])
	}
	plain := fmt.Appendf(nil, "%s%s1795219316}", m[1], m[2])
	if plain = append(be.BigEndian.AppendUint32(nil, uint32(len(plain))), plain...); !bytes.Equal(plain, []byte(vector)) {
		t.Errorf("without what is ours the handshake is\n%q, not\n%q", plain, vector)
	}
}
