package enclave

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parley/testkit"
	"parley/testkit/daemon"
)

// storySeeds is in how many drawn orders each story is played, after once with
// goroutines. The databases are on a real disk.
const storySeeds = 2

// TestStories plays every story of Enclave, on a Node with its Daemon, its user
// interfaces and its database. Its clients are those and, opened with
//
//	open NAME from=IP            a peer that calls the Node
//	open NAME listens=IP:PORT    a peer that the Node calls, each call after the end of the last
//
// peers: a frame is a packet, its "ack" of LAST the newest id that came. A
// connection ends with 1006.
func TestStories(t *testing.T) {
	paths, err := filepath.Glob("../stories/enclave/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatal("no stories", err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { tell(t, path, nil, testkit.NewNetwork()) })
			testkit.Seeds(t, storySeeds, func(t *testing.T, d *testkit.Driver) {
				tell(t, path, d, testkit.NewNetwork(testkit.Driven(d), testkit.Latency(5*time.Millisecond), testkit.Chop(d.Seed(), 7)))
			})
		})
	}
}

func tell(t *testing.T, path string, d *testkit.Driver, network *testkit.Network) {
	n := daemon.New(t, d, network)
	connect := func(name string, args []string) (testkit.Client, error) {
		for _, a := range args {
			switch kind, at, _ := strings.Cut(a, "="); kind {
			case "from":
				return call(network, at)
			case "listens":
				return await(network, at)
			}
		}
		return n.Connect(name, args)
	}
	testkit.Tell(t, path, testkit.Stage{Connect: connect, Set: n.Set, Act: n.Act, Start: n.Start, Driver: d})
	n.Stop()
}

// nodeAt is where the Node of a story listens for peers.
const nodeAt = "127.0.0.1:7776"

// storied is a peer in a story.
type storied struct {
	listener net.Listener // nil: it calls

	mu    sync.Mutex // guards what follows
	conn  net.Conn   // nil: it is not connected yet
	out   []byte     // not written yet
	busy  bool       // somebody writes
	heard []string   // not told yet
	ends  int        // of connections; not told yet
	last  string     // id that came
	gone  bool
}

func call(network *testkit.Network, from string) (testkit.Client, error) {
	c, err := network.Dial(context.Background(), from, nodeAt)
	if err != nil {
		return nil, err
	}
	s := &storied{conn: c}
	go s.read(c)
	return s, nil
}

func await(network *testkit.Network, at string) (testkit.Client, error) {
	l, err := network.Listen(at)
	if err != nil {
		return nil, err
	}
	s := &storied{listener: l}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // closed
			}
			s.mu.Lock()
			s.conn = c
			gone := s.gone
			s.mu.Unlock()
			if gone {
				_ = c.Close()
			}
			s.read(c)
		}
	}()
	return s, nil
}

var idIn = regexp.MustCompile(`"id":"([^"]+)"`)

// read takes packets until the connection ends.
func (s *storied) read(c net.Conn) {
	defer c.Close()
	for {
		head := make([]byte, lengthSize)
		_, err := io.ReadFull(c, head)
		content := make([]byte, binary.BigEndian.Uint32(head))
		if err == nil {
			_, err = io.ReadFull(c, content)
		}
		s.mu.Lock()
		if err != nil {
			s.ends++
			s.mu.Unlock()
			return
		}
		s.heard = append(s.heard, string(content))
		if id := idIn.FindSubmatch(content); id != nil {
			s.last = string(id[1])
		}
		s.mu.Unlock()
	}
}

// Say implements testkit.Client.
func (s *storied) Say(frame string) error {
	s.mu.Lock()
	frame = strings.Replace(frame, `"ack":"LAST"`, fmt.Sprintf(`"ack":%q`, s.last), 1)
	s.mu.Unlock()
	return s.SayRaw(append(binary.BigEndian.AppendUint32(nil, uint32(len(frame))), frame...))
}

// SayBinary implements testkit.Client.
func (s *storied) SayBinary(b []byte) error { return s.Say(string(b)) }

// SayRaw implements testkit.Client. Writing never waits: a goroutine does.
func (s *storied) SayRaw(b []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil {
		return net.ErrClosed
	}
	if s.out = append(s.out, b...); !s.busy {
		s.busy = true
		go s.write(s.conn)
	}
	return nil
}

// write writes all that waits.
func (s *storied) write(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.out) > 0 {
		b := s.out
		s.out = nil
		s.mu.Unlock()
		_, _ = c.Write(b) // it may be closed by now, which is heard
		s.mu.Lock()
	}
	s.busy = false
}

// Hear implements testkit.Client.
func (s *storied) Hear() (frame string, code int, reason string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case len(s.heard) > 0:
		frame = s.heard[0]
		s.heard = slices.Delete(s.heard, 0, 1)
		return frame, 0, "", true
	case s.ends > 0 && s.listener == nil:
		s.ends--
		return "", testkit.CloseAbnormal, "", true
	}
	return "", 0, "", false
}

// HangUp implements testkit.Client.
func (s *storied) HangUp() {
	s.mu.Lock()
	c := s.conn
	s.gone = true
	s.mu.Unlock()
	if s.listener != nil {
		_ = s.listener.Close()
	}
	if c != nil {
		_ = c.Close()
	}
}

var (
	// spoken is a line of a story, of a peer.
	spoken = regexp.MustCompile(`(?m)^(?:ann|bob) ([><]) (\{.*\})$`)
	// shown is a packet that the protocol's paper shows, between the node A and a peer.
	shown = regexp.MustCompile(`(?m)^    A ([><]) (?:[0-9a-f]{2} ){4}(\{.*\})$`)
	// varies is what is another each time.
	varies = regexp.MustCompile(`"(timestamp|id|ack)":("[^"]*"|[0-9]+)`)
)

// packets are those in a text, as the node says and hears them.
func packets(t *testing.T, path string, of *regexp.Regexp) (all []string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range of.FindAllStringSubmatch(string(b), -1) {
		all = append(all, m[1]+" "+varies.ReplaceAllString(m[2], `"$1":0`))
	}
	return all
}

// TestPaperIsAStory: what PROTOCOL.md shows of the wire is what protocol.txt plays,
// in its order.
func TestPaperIsAStory(t *testing.T) {
	story := packets(t, "../stories/enclave/protocol.txt", spoken)
	n := 0
	for _, p := range packets(t, "../../gateways/enclave/PROTOCOL.md", shown) {
		said := map[byte]string{'>': "<", '<': ">"}[p[0]] + p[1:] // what the node says is what a peer hears
		if p[0] == '>' && !strings.Contains(p, `"statusmsg"`) && strings.Contains(p, `"status-message"`) {
			continue // the public program's
		}
		at := slices.Index(story, said)
		if at < 0 {
			t.Errorf("protocol.txt does not play, in its place: %s", p)
			continue
		}
		story = story[at+1:]
		n++
	}
	if n < 8 {
		t.Errorf("%d packets are shown", n)
	}
}
