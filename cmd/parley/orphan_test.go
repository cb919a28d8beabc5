package main

import (
	"bytes"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"parley/cmd/parley/config"
)

// A node outlives whoever reads what it says: a refused stranger is logged, and
// a write to a pipe without a reader must not be the node's end.
func TestNodeOutlivesTheReaderOfItsLog(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p := prepare(t, nil, nil, "node", "--clandestine-port", "0", "--metrics-address", "off")
	p.cmd.Stderr = write
	p.start()
	_ = write.Close()
	eventually(t, "the ready line", func() bool { return len(p.out.lines()) > 0 })
	_ = read.Close()
	at := strings.TrimSuffix(strings.TrimPrefix(p.out.lines()[0], `ready {"relay":"`), `"}`)
	for range 3 {
		if status, _ := get(t, "http://"+at+"/health", "Host", "evil.example"); status != http.StatusForbidden {
			t.Fatalf("a stranger got %d", status)
		}
	}
	if status, _ := get(t, "http://"+at+"/health"); status != http.StatusOK {
		t.Errorf("the node answers %d", status)
	}
}

// A node does all that it should, and ends in order, when whoever should read what
// it says does not: a terminal after Ctrl-S, a pager that was stopped.
func TestNodeDoesNotWaitForTheReaderOfItsLog(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	size, err := unix.FcntlInt(write.Fd(), unix.F_GETPIPE_SZ, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := write.Write(make([]byte, size)); err != nil { // there is no room for a word
		t.Fatal(err)
	}
	p := prepare(t, nil, nil, "node", "--clandestine-port", "0", "--metrics-address", "off")
	p.cmd.Stderr = write
	p.start()
	_ = write.Close()
	eventually(t, "the ready line", func() bool { return len(p.out.lines()) > 0 })
	at := strings.TrimSuffix(strings.TrimPrefix(p.out.lines()[0], `ready {"relay":"`), `"}`)
	if status, _ := get(t, "http://"+at+"/health"); status != http.StatusOK {
		t.Errorf("the node answers %d", status)
	}
	p.signal(syscall.SIGTERM)
	if code := p.wait(); code != 0 {
		t.Errorf("the node ended with %d", code)
	}
}

// A node does not promise more clients than it may open files.
func TestMaxClientsFitsTheDescriptors(t *testing.T) {
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	log := slog.New(slog.NewTextHandler(&said, nil))
	few := config.Node{MaxClients: 10}
	if fit(&few, log); few.MaxClients != 10 || said.Len() > 0 {
		t.Errorf("10 clients became %d: %s", few.MaxClients, &said)
	}
	many := config.Node{MaxClients: int(files.Cur) + 1}
	if fit(&many, log); many.MaxClients != int(files.Cur)-ownFiles || !strings.Contains(said.String(), "max-clients") {
		t.Errorf("%d clients with %d files: %s", many.MaxClients, files.Cur, &said)
	}
	room := int(files.Cur) - ownFiles
	for _, c := range []struct{ clients, browsers, wantClients, wantBrowsers int }{
		{room, room, room - room/starPart, room / starPart},
		{room, 10, room - 10, 10},
		{10, room, 10, room - 10},
		{10, 10, 10, 10},
	} {
		said.Reset()
		n := config.Node{MaxClients: c.clients, Star: config.Star{StarAddress: "127.0.0.1", MaxStarClients: c.browsers}}
		fit(&n, log)
		if n.MaxClients != c.wantClients || n.MaxStarClients != c.wantBrowsers || strings.Contains(said.String(), "max-star-clients") != (c.browsers != c.wantBrowsers) {
			t.Errorf("%d clients and %d browsers became %d and %d: %s", c.clients, c.browsers, n.MaxClients, n.MaxStarClients, &said)
		}
	}
}
