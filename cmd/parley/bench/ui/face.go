//go:build linux

package ui

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"parley/cmd/parley/bench/crowd"
	"parley/cmd/parley/bench/wire"
)

// subprotocol is what user interfaces and their servers speak. Source: gateways/uiv2/PROTOCOL.md.
const subprotocol = "MASQNode-UIv2"

// doorOf is where a process of this machine serves user interfaces.
func doorOf(port int) crowd.Door {
	at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(port))
	return crowd.Door{Address: at, Host: at.String(), Path: "/", Subprotocol: subprotocol}
}

// face is one user interface that waits for what it asked.
type face struct {
	m       *crowd.Member
	timeout time.Duration
	context uint64
	heard   []frame // broadcasts that came while it waited for something else
}

// frame is the envelope of a message.
type frame struct {
	Opcode  string          `json:"opcode"`
	Context *uint64         `json:"contextId"`
	Payload json.RawMessage `json:"payload"`
	Error   *refusal        `json:"error"`
}

// refusal is the error of an answer.
type refusal struct {
	Code    uint64 `json:"code"`
	Message string `json:"message"`
}

func (r *refusal) Error() string { return fmt.Sprintf("ui: refused: %s (%d)", r.Message, r.Code) }

func dial(ctx context.Context, port int, timeout time.Duration) (*face, error) {
	m, err := crowd.Dial(ctx, doorOf(port), timeout)
	if err != nil {
		return nil, err
	}
	return &face{m: m, timeout: timeout}, nil
}

func (f *face) leave() { f.m.Leave() }

// appendRequest appends a request of a conversation. payload is JSON.
func appendRequest(dst []byte, opcode string, context uint64, payload string) []byte {
	dst = append(append(append(dst, `{"opcode":"`...), opcode...), `","contextId":`...)
	dst = append(strconv.AppendUint(dst, context, 10), `,"payload":`...)
	return append(append(dst, payload...), '}')
}

// ask sends a request and waits for its answer, a *refusal if that is an error.
func (f *face) ask(opcode, payload string) (json.RawMessage, error) {
	f.context++
	if err := f.m.Say(appendRequest(nil, opcode, f.context, payload), f.timeout); err != nil {
		return nil, fmt.Errorf("ui: %s: %w", opcode, err)
	}
	got, err := f.hear(func(m frame) bool { return m.Context != nil && *m.Context == f.context })
	if err == nil && got.Error != nil {
		err = got.Error
	}
	if err != nil {
		return nil, fmt.Errorf("ui: %s: %w", opcode, err)
	}
	return got.Payload, nil
}

// await waits for a broadcast, which may have come already.
func (f *face) await(opcode string, want func(payload json.RawMessage) bool) error {
	wanted := func(m frame) bool { return m.Context == nil && m.Opcode == opcode && want(m.Payload) }
	for i, m := range f.heard {
		if wanted(m) {
			f.heard = append(f.heard[:i], f.heard[i+1:]...)
			return nil
		}
	}
	if _, err := f.hear(wanted); err != nil {
		return fmt.Errorf("ui: wait for %s: %w", opcode, err)
	}
	return nil
}

// keepHeard is how many broadcasts a face remembers.
const keepHeard = 64

func (f *face) hear(want func(frame) bool) (got frame, err error) {
	var bad error
	err = f.m.Hear(f.timeout, func(text []byte) bool {
		var m frame
		if bad = json.Unmarshal(text, &m); bad != nil {
			return true
		}
		if want(m) {
			got = m
			return true
		}
		if m.Context == nil && len(f.heard) < keepHeard {
			f.heard = append(f.heard, m)
		}
		return false
	})
	if err == nil {
		err = bad
	}
	return got, err
}

// opcodeOf and contextOf search a message for the keys of its envelope, which stand before all others.
func opcodeOf(text []byte) string {
	v, _ := wire.Value(text, `"opcode"`)
	return string(v)
}

func contextOf(text []byte) (uint64, bool) {
	v, _ := wire.Value(text, `"contextId"`)
	n, err := strconv.ParseUint(string(v), 10, 64)
	return n, err == nil
}
