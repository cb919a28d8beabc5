package testkit

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"unicode/utf8"
)

// Close codes that never stand in a frame. Source: RFC 6455, 7.4.1.
const (
	CloseNone     = 1005 // a close frame without a code
	CloseAbnormal = 1006 // the connection ended without a close frame
	CloseInvalid  = -1   // the server broke the protocol; the reason says how
)

// heard is one thing a client heard.
type heard struct {
	frame  string
	code   int // of a close; 0: a frame
	reason string
}

// WS is a WebSocket client for tests. It answers pings and closes, and keeps
// what it hears until Hear takes it. Writing never waits: a goroutine does.
type WS struct {
	conn net.Conn
	r    *bufio.Reader // owned by the reading goroutine

	mu      sync.Mutex // guards what follows
	changed *sync.Cond
	queue   []heard
	out     []byte // not written yet
	masks   uint32 // the next frame's mask
	paused  bool
	deaf    bool
	closing bool // a close frame was sent
	done    bool // the connection is closed
	err     error
}

var _ Client = (*WS)(nil)

// DialWS upgrades conn, see Upgrade, and starts a client on it. It closes conn
// when it fails.
func DialWS(conn net.Conn, host, path string, header http.Header) (*WS, error) {
	r, err := Upgrade(conn, host, path, header)
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	w := &WS{conn: conn, r: r, masks: 0x01020304}
	w.changed = sync.NewCond(&w.mu)
	go w.read()
	go w.write()
	return w, nil
}

// Say implements Client.
func (w *WS) Say(frame string) error {
	return w.Send(Frame{Fin: true, Op: OpText, Payload: []byte(frame)})
}

// SayBinary implements Client.
func (w *WS) SayBinary(b []byte) error { return w.Send(Frame{Fin: true, Op: OpBinary, Payload: b}) }

// Bye sends a close frame; code 0 sends an empty one.
func (w *WS) Bye(code int, reason string) error {
	var b []byte
	if code != 0 {
		b = append(binary.BigEndian.AppendUint16(nil, uint16(code)), reason...)
	}
	w.mu.Lock()
	w.closing = true
	w.mu.Unlock()
	return w.Send(Frame{Fin: true, Op: OpClose, Payload: b})
}

// Send writes one frame, masked with a mask of its own if it has none.
func (w *WS) Send(f Frame) error {
	if f.Mask == nil {
		w.mu.Lock()
		f.Mask = new([4]byte)
		binary.BigEndian.PutUint32(f.Mask[:], w.masks)
		w.masks += 0x01010101
		w.mu.Unlock()
	}
	return w.SayRaw(f.Append(nil))
}

// SayRaw implements Client.
func (w *WS) SayRaw(b []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.done {
		return net.ErrClosed
	}
	w.out = append(w.out, b...)
	w.changed.Broadcast()
	return w.err
}

// Unsent is how many bytes wait for the server to take them.
func (w *WS) Unsent() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.out)
}

// Hear implements Client.
func (w *WS) Hear() (frame string, code int, reason string, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) == 0 {
		return "", 0, "", false
	}
	h := w.queue[0]
	w.queue = slices.Delete(w.queue, 0, 1)
	return h.frame, h.code, h.reason, true
}

// Pause makes the client stop reading, but for a frame that it waits for
// already.
func (w *WS) Pause() { w.set(func() { w.paused = true }) }

// Resume ends Pause.
func (w *WS) Resume() { w.set(func() { w.paused = false }) }

// Deafen makes the client leave pings and closes unanswered.
func (w *WS) Deafen() { w.set(func() { w.deaf = true }) }

// HangUp implements Client: the connection ends without a close frame.
func (w *WS) HangUp() {
	w.set(func() { w.done, w.paused = true, false })
	_ = w.conn.Close()
}

func (w *WS) set(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
	w.changed.Broadcast()
}

// write is the goroutine that writes.
func (w *WS) write() {
	for {
		w.mu.Lock()
		for len(w.out) == 0 && !w.done {
			w.changed.Wait()
		}
		b := w.out
		ended := w.done
		w.mu.Unlock()
		if ended {
			return
		}
		n, err := w.conn.Write(b[:min(len(b), 64<<10)])
		w.set(func() {
			if w.out = w.out[n:]; len(w.out) == 0 {
				w.out = nil
			}
			if err != nil {
				w.err, w.out = err, nil
			}
		})
		if err != nil {
			return
		}
	}
}

// read is the goroutine that reads. The last thing it hears is a close.
func (w *WS) read() {
	end := heard{code: CloseAbnormal}
	var message []byte // of fragments so far
	var kind byte
	for end.code == CloseAbnormal && !w.pausing() {
		f, err := ReadFrame(w.r)
		if err != nil {
			if !ended(err) {
				end = heard{code: CloseInvalid, reason: err.Error()}
			}
			break
		}
		switch f.Op {
		case OpPing:
			w.reply(Frame{Fin: true, Op: OpPong, Payload: f.Payload})
			continue
		case OpPong:
			continue
		case OpClose:
			end = w.onClose(f)
			continue
		}
		if (f.Op == OpContinuation) != (kind != 0) {
			end = heard{code: CloseInvalid, reason: "fragments out of order"}
			break
		}
		kind |= f.Op
		message = append(message, f.Payload...)
		if f.Fin {
			h := w.message(kind, message)
			message, kind = nil, 0
			if h.code != 0 {
				end = h
				break
			}
			w.set(func() { w.queue = append(w.queue, h) })
		}
	}
	w.set(func() {
		if !w.done {
			w.queue = append(w.queue, end)
		}
	})
	if end.code > 0 && end.code != CloseAbnormal { // the server ends the connection, behind our answer
		_, _ = io.Copy(io.Discard, w.r)
	}
	w.set(func() { w.done = true })
	_ = w.conn.Close()
}

// pausing waits while the client is paused, and reports whether it hung up.
func (w *WS) pausing() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.paused {
		w.changed.Wait()
	}
	return w.done
}

// ended reports whether err is a connection's end, and no broken frame.
func ended(err error) bool {
	var op *net.OpError
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &op)
}

// message is how a whole message is heard.
func (w *WS) message(kind byte, b []byte) heard {
	if kind == OpBinary {
		return heard{frame: "binary " + hex.EncodeToString(b)}
	}
	if !utf8.Valid(b) {
		return heard{code: CloseInvalid, reason: "text is not UTF-8"}
	}
	return heard{frame: string(b)}
}

// onClose answers the server's close frame.
func (w *WS) onClose(f Frame) heard {
	h := heard{code: CloseNone}
	if n := len(f.Payload); n > 1 {
		h = heard{code: int(binary.BigEndian.Uint16(f.Payload)), reason: string(f.Payload[2:])}
		if h.code < 1000 || h.code == CloseNone || h.code == CloseAbnormal || !utf8.ValidString(h.reason) {
			return heard{code: CloseInvalid, reason: fmt.Sprintf("close frame with code %d and reason %q", h.code, h.reason)}
		}
	} else if n == 1 {
		return heard{code: CloseInvalid, reason: "close frame with half a code"}
	}
	w.mu.Lock()
	answered := w.closing
	w.mu.Unlock()
	if !answered {
		w.reply(Frame{Fin: true, Op: OpClose, Payload: f.Payload[:min(len(f.Payload), 2)]})
	}
	return h
}

// reply sends f unless the client is deaf.
func (w *WS) reply(f Frame) {
	w.mu.Lock()
	deaf := w.deaf
	w.mu.Unlock()
	if !deaf {
		_ = w.Send(f) // the connection's end is heard by read
	}
}
