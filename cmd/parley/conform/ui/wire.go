package ui

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"parley/gateways/ws"
)

// Limits of what a server may send, bytes.
const (
	messageMost = 16 << 20 // ten thousand channels with their statistics are about a fifth of it
	refusalMost = 4 << 10  // of the body that says why nobody gets in
	controlMost = 125      // RFC 6455, 5.5
)

// acceptGUID makes the answer to a key. Source: RFC 6455, 1.3.
const acceptGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// Parts of a frame's first two bytes. Source: RFC 6455, 5.2.
const (
	finBit  = 0x80
	rsvBits = 0x70
	maskBit = 0x80

	opContinuation = 0
	opText         = 1
	opBinary       = 2
	opClose        = 8
	opPing         = 9
	opPong         = 10
)

// wire is one WebSocket, made by hand: cases say what no library would, and look at what libraries hide.
type wire struct {
	conn net.Conn
	r    *bufio.Reader
}

// knock is how somebody asks to get in.
type knock struct {
	path   string      // "": /
	host   string      // "": the address
	header http.Header // beyond what every WebSocket's handshake has
}

// refused says that a server answered with something else than an upgrade.
type refused struct {
	code int // of HTTP
	body []byte
}

func (r *refused) Error() string {
	return fmt.Sprintf("it was refused with %d: %.200s", r.code, r.body)
}

// open connects and makes the handshake. A server that does not upgrade is a *refused; errors of connecting wrap errConnect.
func open(ctx context.Context, address string, k knock) (*wire, http.Header, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", errConnect, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	w := &wire{conn: conn, r: bufio.NewReader(conn)}
	header, err := w.shake(address, k)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = conn.Close()
		return nil, nil, err
	}
	return w, header, nil
}

var errConnect = errors.New("connect")

func (w *wire) shake(address string, k knock) (http.Header, error) {
	var nonce [16]byte
	_, _ = rand.Read(nonce[:]) // it never fails
	key := base64.StdEncoding.EncodeToString(nonce[:])
	if k.path == "" {
		k.path = "/"
	}
	if k.host == "" {
		k.host = address
	}
	var b strings.Builder
	fmt.Fprintf(&b, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n", k.path, k.host, key)
	if err := k.header.Write(&b); err != nil {
		return nil, err
	}
	b.WriteString("\r\n")
	if _, err := io.WriteString(w.conn, b.String()); err != nil {
		return nil, fmt.Errorf("the handshake was not taken: %w", err)
	}
	res, err := http.ReadResponse(w.r, nil)
	if err != nil {
		return nil, fmt.Errorf("the handshake was not answered: %w", err)
	}
	if res.StatusCode != http.StatusSwitchingProtocols {
		body, _ := io.ReadAll(io.LimitReader(res.Body, refusalMost)) // what there is of it
		_ = res.Body.Close()
		return nil, &refused{res.StatusCode, body}
	}
	sum := sha1.Sum([]byte(key + acceptGUID))
	if res.Header.Get("Sec-Websocket-Accept") != base64.StdEncoding.EncodeToString(sum[:]) || !strings.EqualFold(res.Header.Get("Upgrade"), "websocket") {
		return nil, errors.New("the upgrade is none of a WebSocket")
	}
	return res.Header, nil
}

// event is one thing that a server said: a message, a pong or its goodbye.
type event struct {
	kind   byte // opText, opPong or opClose
	data   []byte
	code   int    // of opClose; 0: none
	reason string // of opClose
}

// next is the next event by a time. Pings are answered on the way.
func (w *wire) next(end time.Time) (event, error) {
	if err := w.conn.SetReadDeadline(end); err != nil {
		return event{}, err
	}
	var message []byte
	within := false
	for {
		first, payload, err := w.frame()
		if err != nil {
			return event{}, err
		}
		switch opcode := first & 0x0f; {
		case opcode == opPing:
			if err := w.write(ws.Masked{}.AppendPong(nil, payload)); err != nil {
				return event{}, err
			}
		case opcode == opPong:
			return event{kind: opPong, data: payload}, nil
		case opcode == opClose:
			return goodbye(payload)
		case opcode == opText && !within, opcode == opContinuation && within:
			message, within = append(message, payload...), true
			switch {
			case len(message) > messageMost:
				return event{}, fmt.Errorf("a message of more than %d bytes came", messageMost)
			case first&finBit == 0:
			case !utf8.Valid(message):
				return event{}, errors.New("text that is not UTF-8 came")
			default:
				return event{kind: opText, data: message}, nil
			}
		default:
			return event{}, fmt.Errorf("a frame of opcode %d came, where none may be", opcode)
		}
	}
}

func goodbye(payload []byte) (event, error) {
	switch {
	case len(payload) == 0:
		return event{kind: opClose}, nil
	case len(payload) == 1 || !utf8.Valid(payload[2:]):
		return event{}, errors.New("a malformed close frame came")
	}
	return event{kind: opClose, code: int(binary.BigEndian.Uint16(payload)), reason: string(payload[2:])}, nil
}

// frame reads one frame.
func (w *wire) frame() (first byte, payload []byte, err error) {
	var head [10]byte
	if _, err := io.ReadFull(w.r, head[:2]); err != nil {
		return 0, nil, err
	}
	first, size, long := head[0], uint64(head[1]&^maskBit), head[2:2]
	switch {
	case first&rsvBits != 0:
		return 0, nil, errors.New("a frame with reserved bits came")
	case head[1]&maskBit != 0:
		return 0, nil, errors.New("a masked frame came")
	case size == 126:
		long = head[8:10]
	case size == 127:
		long = head[2:10]
	}
	if len(long) > 0 {
		if _, err := io.ReadFull(w.r, long); err != nil {
			return 0, nil, err
		}
		clear(head[2 : 10-len(long)])
		size = binary.BigEndian.Uint64(head[2:])
	}
	if control := first&0x08 != 0; size > messageMost || control && (size > controlMost || first&finBit == 0) {
		return 0, nil, fmt.Errorf("a frame of %d bytes came, which it may not have", size)
	}
	payload = make([]byte, size)
	_, err = io.ReadFull(w.r, payload)
	return first, payload, err
}

// write writes bytes that may be no frame.
func (w *wire) write(b []byte) error {
	_, err := w.conn.Write(b)
	return err
}

// part is a frame with any first byte.
func part(first byte, payload string) []byte {
	b := ws.Masked{}.AppendBinary(nil, []byte(payload))
	b[0] = first
	return b
}

// ended says whether an error is that the server has ended the connection, with no goodbye.
func ended(err error) bool {
	var bad *net.OpError
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &bad) && !bad.Timeout()
}
