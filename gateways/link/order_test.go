package link

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"pgregory.net/rapid"

	"parley/testkit"
)

// timeless hides that a test may have a deadline, which a bubble must not ask for.
type timeless struct{ testing.TB }

// sent is what a property test sent, by number.
type sent struct {
	text  string
	lossy bool
}

// TestSendKeepsOrder sends firm and lossy frames at random while the peer reads
// at random: what arrives is whole frames in the order of the calls; nothing
// firm is missing unless the link ended, and then nothing follows the first
// that is; each lossy one that is missing is reported.
func TestSendKeepsOrder(t *testing.T) {
	for name, secret := range map[string]bool{"plain": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				sys := testkit.System(t)
				rapid.Check(timeless{t}, func(t *rapid.T) { keepsOrder(t, sys, secret) })
				testkit.Stop(t, sys)
			})
		})
	}
}

func keepsOrder(t *rapid.T, sys *actor.ActorSystem, secret bool) {
	scale := rapid.SampledFrom([]int{20, 200, 30_000}).Draw(t, "frame")
	limit := rapid.IntRange(0, 8).Draw(t, "limit") * scale
	window := rapid.IntRange(1, 4).Draw(t, "window") * scale
	r := newRig(t, sys, window, secret, func(k *Kind) { k.OutboundLimit = limit })
	defer r.close()
	var all []sent
	biggest := 0
	send := func(t *rapid.T) {
		chunks := make([]chunk, rapid.IntRange(1, 6).Draw(t, "chunks"))
		var lent [][]byte
		for i := range chunks {
			size := rapid.IntRange(0, 2*scale).Draw(t, "size")
			lossy := rapid.IntRange(0, 3).Draw(t, "lossy") == 0
			text := fmt.Sprintf("%d:%s", len(all), strings.Repeat("x", size))
			all = append(all, sent{text, lossy})
			c := chunk{wire: frame(text), frames: 1}
			if lossy {
				c.source = "s"
			}
			if c.lent = !lossy && rapid.Bool().Draw(t, "lent"); c.lent {
				lent = append(lent, c.wire)
			}
			biggest = max(biggest, len(c.wire))
			chunks[i] = c
		}
		r.out.send(nil, chunks...)
		for _, b := range lent {
			clear(b) // the caller's again
		}
	}
	step := 0
	t.Repeat(map[string]func(*rapid.T){
		"send": send, "send ": send,
		"read": func(t *rapid.T) { r.read(rapid.IntRange(1, 6*scale).Draw(t, "bytes")) },
		"wait": func(t *rapid.T) {
			time.Sleep(time.Duration(rapid.IntRange(0, 6000).Draw(t, "ms")) * time.Millisecond)
		},
		"shut": func(t *rapid.T) {
			if step > 10 && rapid.IntRange(0, 4).Draw(t, "really") == 0 {
				r.out.shut(1001, "bye")
			}
		},
		"": func(t *rapid.T) {
			step++
			synctest.Wait()
			r.check(t)
			if queued := r.out.queuedNow(); queued > limit+biggest+chunkCost {
				t.Fatalf("%d bytes queued with a limit of %d and frames of %d at most", queued, limit, biggest)
			}
		},
	})
	r.readAll()
	time.Sleep(2 * reportPause) // the last report may be held back
	r.readAll()
	r.check(t)
	checkArrived(t, r, all)
}

func (o *Outbound) queuedNow() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.state != outOpen {
		return 0
	}
	return o.queued()
}

// checkArrived compares what the peer read with what was sent.
func checkArrived(t *rapid.T, r *rig, all []sent) {
	lines, rest := r.lines()
	r.out.mu.Lock()
	state, conn := r.out.state, r.out.conn
	r.out.mu.Unlock()
	over := state != outOpen
	said := false
	if n := len(lines); n > 0 && strings.HasPrefix(lines[n-1], "close ") {
		said = true
		lines = lines[:n-1]
	}
	if over != said && conn.err == nil && r.eof {
		t.Fatalf("ended %v, said so %v", over, said)
	}
	if rest != "" && !over {
		t.Fatalf("half a frame at the end of an open link: %q", rest)
	}
	at, missing := 0, uint64(0)
	for i, line := range lines {
		for at < len(all) && all[at].text != line {
			if !all[at].lossy {
				t.Fatalf("frame %d is not what was sent: firm frame %d is missing before %.20q", i, at, line)
			}
			missing++
			at++
		}
		if at == len(all) {
			t.Fatalf("frame %d is not what was sent: %.20q", i, line)
		}
		at++
	}
	if over {
		return
	}
	for ; at < len(all); at++ {
		if !all[at].lossy {
			t.Fatalf("firm frame %d is missing at the end of an open link", at)
		}
		missing++
	}
	if r.reported("s") != missing || len(r.reasons()) > 0 {
		t.Fatalf("%d lossy frames are missing, %d were reported; ended %q", missing, r.reported("s"), r.reasons())
	}
}
