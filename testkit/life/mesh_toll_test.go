package life_test

import (
	"bufio"
	"bytes"
	bigend "encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"parley/gateways/mesh"
	"parley/messages/meshpb"
)

// toll stands between two nodes and notes each message that passes. It can be cut:
// between two frames, and what is on its way then it takes in and notes, too. So
// nothing of what is lost on the link is unknown.
type toll struct {
	l    net.Listener
	to   func() string // address of the node that is dialled
	name string        // of that node, for who dials

	all     sync.WaitGroup
	mu      sync.Mutex // guards what follows
	shut    bool
	conns   map[*crossing]bool
	passed  [2]map[string]bool // texts, by direction: toward the node that is dialled, and away from it
	stopped map[string]bool    // texts that did not pass
}

// crossing is one link.
type crossing struct{ ends [2]net.Conn } // who dialled, and who was

func newToll(t *testing.T, name string, to func() string) *toll {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &toll{l: l, to: to, name: name, conns: map[*crossing]bool{}, passed: [2]map[string]bool{{}, {}}, stopped: map[string]bool{}}
	p.all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.all.Go(func() { p.serve(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		p.cut()
		p.mu.Lock()
		for x := range p.conns {
			_, _ = x.ends[0].Close(), x.ends[1].Close()
		}
		p.mu.Unlock()
		p.all.Wait()
	})
	return p
}

// node is the dialled node, as who dials knows it.
func (p *toll) node() *meshNode { return &meshNode{name: p.name, relay: p.l.Addr().String()} }

// cut ends the link, and lets none come up before heal.
func (p *toll) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shut = true
	for x := range p.conns {
		for _, c := range x.ends {
			_ = c.(*net.TCPConn).CloseWrite() // behind the last whole frame: pass holds mu while it writes
		}
	}
}

func (p *toll) heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shut = false
}

func (p *toll) serve(c net.Conn) {
	defer c.Close()
	to, err := net.Dial("tcp", p.to())
	if err != nil {
		return
	}
	defer to.Close()
	x := &crossing{[2]net.Conn{c, to}}
	p.mu.Lock()
	if p.shut {
		p.mu.Unlock()
		return
	}
	p.conns[x] = true
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.conns, x)
		p.mu.Unlock()
	}()
	var both sync.WaitGroup
	both.Go(func() { p.pass(x, 1) })
	p.pass(x, 0)
	both.Wait()
}

// pass takes what comes from one end to the other, until it says no more.
func (p *toll) pass(x *crossing, from int) {
	src, dst := bufio.NewReaderSize(x.ends[from], 1<<16), x.ends[1-from].(*net.TCPConn)
	defer func() { _ = dst.CloseWrite() }()
	head, err := upgradeHead(src)
	for ; err == nil; head, err = wholeFrame(src) {
		texts := carried(head)
		p.mu.Lock()
		if p.shut {
			for _, text := range texts {
				p.stopped[text] = true
			}
		} else {
			for _, text := range texts {
				p.passed[from][text] = true
			}
			_, _ = dst.Write(head) // a node that is dead takes nothing: it has passed all the same
		}
		p.mu.Unlock()
	}
}

// upgradeHead is the head of a request or of its answer.
func upgradeHead(r *bufio.Reader) (head []byte, err error) {
	for !bytes.HasSuffix(head, []byte("\r\n\r\n")) {
		line, err := r.ReadBytes('\n')
		if head = append(head, line...); err != nil {
			return nil, err
		}
	}
	if bytes.HasPrefix(head, []byte("HTTP/1.1 ")) && !bytes.HasPrefix(head, []byte("HTTP/1.1 101 ")) {
		return nil, errors.New("refused")
	}
	return head, nil
}

// Bits and lengths of a WebSocket frame's head. Source: RFC 6455, 5.2.
const (
	frameLengths = 0x7f // in its second byte; the last two of them mean that the length follows, in 2 or in 8 bytes
	frameMasked  = 0x80
	frameOpcode  = 0x0f // in its first byte
	frameText    = 1
	frameBinary  = 2
)

// wholeFrame reads one frame, head included.
func wholeFrame(r *bufio.Reader) (frame []byte, err error) {
	head, err := r.Peek(2)
	if err != nil {
		return nil, err
	}
	size, length := uint64(head[1]&frameLengths), 2
	masked := head[1]&frameMasked != 0
	if extra := map[uint64]int{frameLengths - 1: 2, frameLengths: 8}[size]; extra > 0 {
		if head, err = r.Peek(length + extra); err != nil {
			return nil, err
		}
		size = bigend.BigEndian.Uint64(append(make([]byte, 8-extra), head[length:]...))
		length += extra
	}
	if masked {
		length += 4
	}
	frame = make([]byte, uint64(length)+size)
	_, err = io.ReadFull(r, frame)
	return frame, err
}

// carried are the texts of the messages in a frame; none, if it is something else.
func carried(frame []byte) (texts []string) {
	kind := frame[0] & frameOpcode
	if kind != frameText && kind != frameBinary || bytes.HasPrefix(frame, []byte("GET ")) || bytes.HasPrefix(frame, []byte("HTTP")) {
		return nil
	}
	at := 2 + map[byte]int{frameLengths - 1: 2, frameLengths: 8}[frame[1]&frameLengths]
	payload := frame[at:]
	if frame[1]&frameMasked != 0 {
		mask := payload[:4]
		payload = bytes.Clone(payload[4:])
		for i := range payload {
			payload[i] ^= mask[i%4]
		}
	}
	m, _ := mesh.Codec{}.Decode(payload, kind == frameBinary)
	f, _ := m.(*meshpb.Frame)
	for _, p := range f.GetPackets() {
		if p.GetMessage() != nil {
			texts = append(texts, strings.Trim(string(p.GetMessage().GetPayload()), `"`)) // it is a JSON value
		}
	}
	return texts
}

// known are the texts that did not get through by this link: those that it did not
// let pass, and with gone the node that is dialled, those that stayed in there.
func (p *toll) known(gone bool, others ...*toll) map[string]bool {
	p.mu.Lock()
	known := maps.Clone(p.stopped)
	into := maps.Clone(p.passed[0])
	p.mu.Unlock()
	if !gone {
		return known
	}
	for text := range into {
		came := false
		for _, o := range others {
			o.mu.Lock()
			came = came || o.passed[1][text]
			o.mu.Unlock()
		}
		if !came {
			known[text] = true
		}
	}
	return known
}

// dropped is how many packets and messages a node has counted as dropped, by reason.
func dropped(t *testing.T, n *meshNode) (all int, text string) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Get("http://" + n.counts + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		var count int
		if at := bytes.LastIndexByte(lines.Bytes(), ' '); at > 0 && bytes.HasPrefix(lines.Bytes(), []byte("parley_drops_total{")) {
			if _, err := fmt.Sscan(lines.Text()[at+1:], &count); err == nil && count > 0 {
				all += count
				text += lines.Text() + "\n"
			}
		}
	}
	return all, text
}
