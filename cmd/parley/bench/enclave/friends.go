//go:build linux

package enclave

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"

	"parley/cmd/parley/enclavewire"
)

// packetLimit is the longest packet that a node takes, bytes. Source: gateways/enclave/PROTOCOL.md, Limits.
const packetLimit = 64 << 10

// friends has the node get to know so many, and then all of them come online. In the scenario prefix each of them then announces a
// packet as long as may be, sends its first byte, and later all but its last.
func friends(ctx context.Context, o *Options, s *server) (r Run, err error) {
	h := &Held{Friends: o.Friends}
	r.Held = h
	look := func(into *int64) error {
		if err := pause(ctx, o.Settle); err != nil {
			return err
		}
		*into, err = s.resident()
		return err
	}
	if err := look(&h.Start); err != nil {
		return r, err
	}
	m, err := s.meter()
	if err != nil {
		return r, err
	}
	commands := make([]command, o.Friends)
	for i := range commands {
		commands[i] = command{Cmd: "add", Address: friendIP(i) + ":1", Name: fmt.Sprint("friend ", i)} // nobody listens there
	}
	if err := s.front.do(ctx, o.Timeout, commands...); err != nil {
		return r, err
	}
	if err := look(&h.Known); err != nil {
		return r, err
	}
	all := make([]*caller, 0, o.Friends)
	defer func() {
		for _, c := range all {
			_ = c.Close()
		}
	}()
	for i := range o.Friends {
		c, err := call(ctx, s, friendIP(i), o)
		if err != nil {
			return r, fmt.Errorf("%w (friend %d)", err, i+1)
		}
		all = append(all, c)
	}
	if err := look(&h.Online); err != nil {
		return r, err
	}
	if o.Scenario == Prefix {
		if err := announce(all, h, look); err != nil {
			return r, err
		}
	}
	return r, m.stop(&r, 0)
}

// announce has all friends begin a packet.
func announce(all []*caller, h *Held, look func(*int64) error) error {
	say := func(b []byte) error {
		for _, c := range all {
			if _, err := c.Write(b); err != nil {
				return fmt.Errorf("enclave: begin a packet: %w", err)
			}
		}
		return nil
	}
	if err := say(append(binary.BigEndian.AppendUint32(nil, packetLimit), '{')); err != nil {
		return err
	}
	if err := look(&h.Prefix); err != nil {
		return err
	}
	if err := say([]byte(strings.Repeat(" ", packetLimit-2))); err != nil {
		return err
	}
	if err := look(&h.Whole); err != nil {
		return err
	}
	if err := say([]byte("}")); err != nil {
		return err
	}
	return say(enclavewire.Append(nil, farewell))
}
