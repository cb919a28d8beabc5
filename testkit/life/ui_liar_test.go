package life_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"parley/gateways/ws"
)

// Parts of a frame's first byte. Source: RFC 6455, 5.2.
const (
	lieText   = 0x81
	lieBinary = 0x82
	lieClose  = 0x88
	liePong   = 0x8a
)

// liar is between the cases of user interfaces and a right server, and makes a wrong one of it: what is nil it hands on as it is.
type liar struct {
	request func(head string) string                   // to the server, when somebody knocks; "": that one is refused with 404
	answer  func(head string) string                   // to who knocked
	up      func(first byte, data string) []lie        // to the server
	down    func(first byte, data string) []lie        // to the user interface
	begins  func() func(first byte, data string) []lie // down, made anew for each connection
}

// lie is one frame of a liar's.
type lie struct {
	first byte
	data  string
}

// lies lets a liar listen in front of a port, and returns where.
func lies(t *testing.T, port uint16, l liar) (address string) {
	t.Helper()
	door, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			near, err := door.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
			if err != nil {
				_ = near.Close()
				continue
			}
			wg.Go(func() { l.between(near, far) })
		}
	})
	t.Cleanup(func() {
		_ = door.Close()
		wg.Wait()
	})
	return door.Addr().String()
}

// between hands on what two ends say, until one of them has ended.
func (l liar) between(near, far net.Conn) {
	defer near.Close()
	defer far.Close()
	down := l.down
	if l.begins != nil {
		down = l.begins()
	}
	asks, tells := bufio.NewReader(near), bufio.NewReader(far)
	request := headOf(asks)
	// The server wants to be called by its own port.
	request = strings.ReplaceAll(request, portOf(near.LocalAddr()), portOf(far.RemoteAddr()))
	if l.request != nil {
		request = l.request(request)
	}
	if request == "" {
		_, _ = io.WriteString(near, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		return
	}
	_, _ = io.WriteString(far, request)
	answer := headOf(tells)
	if l.answer != nil {
		answer = l.answer(answer)
	}
	_, _ = io.WriteString(near, answer)
	if !strings.Contains(answer, " 101 ") {
		_, _ = io.Copy(near, tells)
		return
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		defer near.Close()
		handOn(tells, near, down, func(m lie) []byte {
			b := ws.Framing{}.AppendBinary(nil, []byte(m.data))
			b[0] = m.first
			return b
		})
	})
	handOn(asks, far, l.up, func(m lie) []byte {
		b := ws.Masked{}.AppendBinary(nil, []byte(m.data))
		b[0] = m.first
		return b
	})
	if c, ok := far.(*net.TCPConn); ok {
		_ = c.CloseWrite()
	}
	wg.Wait()
}

func portOf(a net.Addr) string {
	_, port, _ := net.SplitHostPort(a.String())
	return ":" + port
}

// headOf reads up to the blank line.
func headOf(r *bufio.Reader) string {
	var b strings.Builder
	for {
		line, err := r.ReadString('\n')
		b.WriteString(line)
		if err != nil || line == "\r\n" {
			return b.String()
		}
	}
}

// handOn hands on frames, changed or as bytes.
func handOn(from *bufio.Reader, to net.Conn, change func(first byte, data string) []lie, build func(lie) []byte) {
	if change == nil {
		_, _ = io.Copy(to, from)
		return
	}
	for {
		m, err := frameOf(from)
		if err != nil {
			return
		}
		for _, one := range change(m.first, m.data) {
			if _, err := to.Write(build(one)); err != nil {
				return
			}
		}
	}
}

// frameOf takes one frame, of either end.
func frameOf(r *bufio.Reader) (m lie, err error) {
	var b [10]byte
	if _, err := io.ReadFull(r, b[:2]); err != nil {
		return m, err
	}
	size, masked := int(b[1]&0x7f), b[1]&0x80 != 0
	if more := map[int]int{126: 2, 127: 8}[size]; more > 0 {
		if _, err := io.ReadFull(r, b[2:2+more]); err != nil {
			return m, err
		}
		size = 0
		for _, one := range b[2 : 2+more] {
			size = size<<8 | int(one)
		}
	}
	var mask [4]byte
	if masked {
		if _, err := io.ReadFull(r, mask[:]); err != nil {
			return m, err
		}
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(r, data); err != nil {
		return m, err
	}
	for i := range data {
		data[i] ^= mask[i%4]
	}
	return lie{b[0], string(data)}, nil
}
