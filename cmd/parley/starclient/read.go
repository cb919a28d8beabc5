package starclient

import (
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// chunkRoom is what is set aside for an attachment before its length is known, bytes.
const chunkRoom = 17 << 10

// read hears until the connection is over.
func (c *Client) read() {
	defer close(c.done)
	var buf []byte
	for {
		f, err := c.wire.Hear(buf)
		if err == nil {
			buf = f.Data
			err = c.take(f)
		}
		if err != nil {
			c.end(err)
			return
		}
	}
}

// take deals with one frame, and with the attachments that it announces.
func (c *Client) take(f Frame) error {
	c.heard.Add(1)
	if f.Binary {
		return fmt.Errorf("starclient: a binary frame that nobody announced")
	}
	switch f.Data[0] {
	case enginePing:
		return c.wire.Say(string(enginePong) + string(f.Data[1:]))
	case engineClose:
		return fmt.Errorf("starclient: closed by the server")
	case engineMessage:
	default:
		return nil
	}
	p, err := ParsePacket(f.Data[1:])
	if err != nil {
		return err
	}
	if p.Attachments == 0 {
		return c.dispatch(&p, nil)
	}
	attachments := make([][]byte, 0, p.Attachments)
	for range p.Attachments {
		a, err := c.wire.Hear(make([]byte, 0, chunkRoom))
		if err != nil {
			return err
		}
		if !a.Binary {
			return fmt.Errorf("starclient: %.64q came where an attachment was due", a.Data)
		}
		attachments = append(attachments, a.Data)
	}
	return c.dispatch(&p, attachments)
}

func (c *Client) dispatch(p *Packet, attachments [][]byte) error {
	switch p.Type {
	case Disconnect:
		return fmt.Errorf("starclient: disconnected by the server")
	case Refusal:
		return fmt.Errorf("starclient: namespace %q refused: %.128s", p.Namespace, p.Data)
	case Ack, BinaryAck:
		return c.acked(p)
	case Event, BinaryEvent:
		return c.event(p, attachments)
	}
	return nil
}

func (c *Client) acked(p *Packet) error {
	c.mu.Lock()
	tell := c.asks[p.Ack]
	delete(c.asks, p.Ack)
	c.mu.Unlock()
	if tell == nil {
		return nil // nobody waits any more
	}
	a, err := p.Arguments()
	tell(a, err)
	return err
}

func (c *Client) event(p *Packet, attachments [][]byte) error {
	kind, id := streamEvent(p.Name)
	switch {
	case p.Name == EventPeer:
		return c.peer(p)
	case p.Name == EventIncoming:
		return c.incoming(p)
	case kind != 0:
		return c.stream(kind, id, p, attachments)
	case c.o.Other != nil:
		a, err := p.Arguments()
		if err == nil {
			c.o.Other(p.Name, a, attachments)
		}
		return err
	}
	return nil
}

func (c *Client) peer(p *Packet) error {
	if c.o.Peer == nil {
		return nil
	}
	address, ok := p.onlyText()
	if !ok {
		if err := texts(p, &address); err != nil {
			return err
		}
	}
	c.o.Peer(address)
	return nil
}

// texts reads arguments that are strings.
func texts(p *Packet, to ...*string) error {
	a, err := p.Arguments()
	if err != nil {
		return err
	}
	if len(a) < len(to) {
		return fmt.Errorf("starclient: %s with %d arguments", p.Name, len(a))
	}
	for i := range to {
		if err := json.Unmarshal(a[i], to[i]); err != nil {
			return fmt.Errorf("starclient: %s with %s: %w", p.Name, a[i], err)
		}
	}
	return nil
}

// incoming takes a dial, or says why not.
func (c *Client) incoming(p *Packet) error {
	var dial, from string
	if err := texts(p, &dial, &from); err != nil {
		return err
	}
	why := "nobody listens"
	if c.o.Incoming != nil {
		s, err := c.newStream(dial, true)
		if err != nil {
			return err
		}
		if err := s.accept(); err != nil {
			return err
		}
		if why = c.o.Incoming(from, s); why != "" {
			s.free()
		}
	}
	if p.Ack == NoAck {
		return nil
	}
	arguments := []any{}
	if why != "" {
		arguments = []any{why}
	}
	text, err := arrayOf(arguments...)
	if err != nil {
		return err
	}
	return c.wire.Packet(fmt.Sprintf("%c%d%s", Ack, p.Ack, text))
}

// isTrue tells whether an argument is true.
func isTrue(v jsontext.Value) bool { return v.Kind() == 't' }
