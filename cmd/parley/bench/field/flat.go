//go:build linux

package field

import (
	"context"

	"parley/cmd/parley/bench/crowd"
	"parley/cmd/parley/bench/wire"
)

// floodChunk is how many messages the flooding publisher hands to the kernel at once.
const floodChunk = 32

// FlatOut lets the first publisher send as fast as the socket takes it until the context ends. It returns how many
// messages and bytes were sent.
func (f *Field) FlatOut(ctx context.Context) (sent, bytes uint64) { return f.pubs[0].flatOut(ctx) }

// flatOut writes messages as fast as the socket takes them until the context ends.
func (p *publisher) flatOut(ctx context.Context) (sent, bytes uint64) {
	r := &p.routes[0]
	for ctx.Err() == nil {
		b := p.frames[:0]
		now := crowd.Now()
		for range floodChunk {
			stamp := wire.Stamp{Publisher: p.index, Channel: r.channel, Seq: r.seq, Nanos: now}
			b = p.send.AppendFrame(b, p.m.Mask(), p.f.names[r.channel], stamp, r.seq)
			r.seq++
		}
		p.frames = b
		if !p.m.WriteAll(ctx, b) {
			break
		}
		sent += floodChunk
		bytes += uint64(len(b))
	}
	return sent, bytes
}
