package star

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"parley/messages/starpb"
	"parley/testkit"
)

// end lets every dial come to its end, if only because nobody says anything, and
// checks what is left.
func (b *switchboard) end() {
	b.d.Run(ackTime + idleMost + time.Second)
	if n, level := len(b.proxies()), b.counted("star_dials", ""); n != 0 || level != 0 {
		b.t.Errorf("%d proxies are left, %d counted", n, level)
	}
	for _, p := range b.people {
		if p.closed {
			b.t.Errorf("%s was told to close", p.name)
		}
		if !p.gone {
			b.checkEnds(p)
		}
	}
	for _, p := range b.people {
		if !p.gone && !p.absent {
			b.checkFree(p)
		}
	}
	b.stop()
}

// checkEnds looks at what a client has heard, and owes.
func (b *switchboard) checkEnds(p *patron) {
	p.settled()
	for ack, due := range p.asked {
		if due && p.replies[ack] != 1 {
			b.t.Errorf("%s: dial %d was answered %d times", p.name, ack, p.replies[ack])
		}
	}
	for stream, n := range p.endings {
		if n > p.accepts[stream] {
			b.t.Errorf("%s has accepted %s %d times, and heard its end %d times", p.name, stream, p.accepts[stream], n)
		}
	}
	if p.absent {
		return
	}
	for stream, n := range p.accepts {
		least := n // each time, where there is nothing to read
		if p == b.reader(stream) {
			least = 1
		}
		if p.endings[stream] < least {
			b.t.Errorf("%s has accepted %s %d times, and heard its end %d times", p.name, stream, n, p.endings[stream])
		}
		b.checkWhole(p, stream)
	}
}

// checkWhole looks whether all of a stream has come, where nothing has happened
// to its dial.
func (b *switchboard) checkWhole(p *patron, stream string) {
	w, d := b.writer(stream), b.of(stream)
	ack := uint64(slices.Index(b.dials, d)) + 1
	if p != b.reader(stream) || w.gone || w.absent || d.from.failed[ack] || p.barged[stream] || b.faulty {
		return
	}
	heard := map[int]bool{}
	for _, n := range p.heardIn[stream] {
		heard[n] = true
	}
	for n, c := range w.said[stream] {
		if c.must && !heard[n] {
			b.t.Errorf("%s has not heard chunk %d of %s", p.name, n, stream)
		}
	}
}

// checkFree dials under all old ids.
func (b *switchboard) checkFree(p *patron) {
	p.onHear = nil
	for i := range b.dials {
		p.heard = nil
		p.say(&starpb.Dial{From: p.name, To: "/nobody", Dial: b.dials[i].id, Ack: proto.Uint64(1)})
		p.wants(`1 "Peer not found"`)
	}
	p.settled()
}

func checkDials(t *testing.T, kinds []string, faulty bool) {
	rapid.Check(t, func(rt *rapid.T) {
		rapid.SyncTest(rt, func(rt *rapid.T) {
			d := testkit.NewDriver(rapid.Uint64().Draw(rt, "seed"))
			b := newSwitchboard(dialTB{t, rt}, d, rapid.IntRange(1, 4).Draw(rt, "people"), faulty)
			for _, kind := range rapid.SliceOfN(rapid.SampledFrom(kinds), 1, 80).Draw(rt, "acts") {
				b.act(kind)
			}
			b.end()
		})
	})
}

// TestDials lets clients and links do what they like: chunks come in their order
// and at most once, every reader hears the end of what it reads, every dial is
// answered once, and all credit comes back.
func TestDials(t *testing.T) { checkDials(t, orderly, false) }

// TestDialsWithFailures is TestDials with proxies that fail at any moment.
func TestDialsWithFailures(t *testing.T) { checkDials(t, disorderly, true) }
