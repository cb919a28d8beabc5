package demo

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"parley/cmd/parley/fleet"
	"parley/gateways/ws"
)

const (
	frameMost = 1 << 20 // bytes; ours are short, those of others on the channel need not be
	again     = 200 * time.Millisecond
)

// client is one node's: it publishes, and counts what it hears.
type client struct {
	node *fleet.Node // fixed, as all of this block
	o    *Options

	mu    sync.Mutex // guards what follows
	sent  uint64     // since the last look
	heard uint64
	late  []time.Duration   // of those heard
	last  map[string]uint64 // number of the last message heard, by who sent it
	twice uint64            // heard again, in all
}

// note is what a message says.
type note struct {
	From string `json:"from"`
	Seq  uint64 `json:"seq"`
	At   int64  `json:"at"` // Unix ns
}

// run connects again and again until the context ends.
func (c *client) run(ctx context.Context) {
	for seq := uint64(0); ctx.Err() == nil; {
		if url, runs := c.node.URL(); runs {
			c.talk(ctx, url, &seq)
		}
		t := time.NewTimer(again)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
		}
	}
}

// talk is one connection, from its beginning to its end.
func (c *client) talk(ctx context.Context, url string, seq *uint64) {
	w, err := ws.Dial(ctx, url, frameMost)
	if err != nil {
		return // the node tells in its log
	}
	var listener sync.WaitGroup
	defer listener.Wait()
	defer w.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	subscribe, err := json.Marshal(map[string]any{"command": "subscribe", "data": map[string]string{"topic": c.o.Channel}, "nonce": "s"})
	if err == nil {
		err = w.Say(subscribe)
	}
	if err == nil {
		err = subscribed(w)
	}
	if err != nil {
		return
	}
	listener.Go(func() {
		defer cancel()
		for {
			b, err := w.Hear()
			if err != nil {
				return
			}
			c.hear(b)
		}
	})
	c.publish(ctx, w, seq)
}

// errRefused says that a node did not let its client subscribe.
var errRefused = errors.New("demo: not subscribed")

// subscribed waits for the answer to subscribe. Messages may come before it.
func subscribed(w *ws.Client) error {
	for {
		b, err := w.Hear()
		if err != nil {
			return err
		}
		var m struct {
			Type string
			Data struct{ OK bool }
		}
		if json.Unmarshal(b, &m) == nil && m.Type == "response" {
			if !m.Data.OK {
				return errRefused
			}
			return nil
		}
	}
}

// publish sends at the rate, until the context ends.
func (c *client) publish(ctx context.Context, w *ws.Client, seq *uint64) {
	if c.o.Rate == 0 {
		<-ctx.Done()
		return
	}
	t := time.NewTicker(time.Duration(float64(time.Second) / c.o.Rate))
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
		*seq++
		text, _ := json.Marshal(note{c.node.Name, *seq, time.Now().UnixNano()})
		frame, err := json.Marshal(map[string]any{
			"command": "send", "data": map[string]any{"channel": c.o.Channel, "message": string(text), "ack": false}, "nonce": "",
		})
		if err != nil || w.Say(frame) != nil {
			return
		}
		c.mu.Lock()
		c.sent++
		c.mu.Unlock()
	}
}

func (c *client) hear(frame []byte) {
	var m struct {
		Type string
		Data struct{ Message string }
	}
	var n note
	if json.Unmarshal(frame, &m) != nil || m.Type != "message" || json.Unmarshal([]byte(m.Data.Message), &n) != nil || n.From == "" {
		return // somebody else's, who looks
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if n.Seq <= c.last[n.From] {
		c.twice++
		return
	}
	c.last[n.From] = n.Seq
	c.heard++
	c.late = append(c.late, time.Since(time.Unix(0, n.At)))
}

// look returns what was counted since the last look.
func (c *client) look() (sent, heard, twice uint64, late []time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	sent, heard, twice, late = c.sent, c.heard, c.twice, c.late
	c.sent, c.heard, c.late = 0, 0, nil
	return sent, heard, twice, late
}
