package link

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/messages/linkpb"
)

// TestHushedLinkIsHeard says nothing any more on a link, and takes what its peer
// says until that hangs up, as fast as its server wants it.
func TestHushedLinkIsHeard(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, options{})
		p := w.dial()
		for range 100 {
			p.say("message")
		}
		wantHeard(t, w, creditLimit, "full")
		w.say(1, "before")
		w.sys.Root.Send(w.link(1), &linkpb.Close{Code: 4000, Reason: "enough", Listen: true})
		w.say(1, "after")
		time.Sleep(4 * closeLinger)
		wantHeard(t, w, creditLimit, "hushed")
		w.sys.Root.Send(w.link(1), &linkpb.Settled{All: true})
		wantHeard(t, w, 100, "goes on")
		time.Sleep(4 * closeLinger)
		p.say("last")
		wantHeard(t, w, 101, "later")
		p.listen().wantEnd("before", "close 4000 enough")
		synctest.Wait()
		if !w.isGone(w.servers[0]) || w.net.Open() != 0 {
			t.Errorf("gone: %v, %d ends open", w.isGone(w.servers[0]), w.net.Open())
		}
		w.stop()
	})
}

// TestHushedLinkIsClosed has a server hear enough of a peer that does not hang up.
func TestHushedLinkIsClosed(t *testing.T) {
	for name, unread := range map[string]bool{"reads": false, "does not read": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld(t, options{window: 2000})
				p := w.dial()
				for range 10 {
					w.say(1, strings.Repeat("x", 499))
					if !unread {
						synctest.Wait()
						p.take(500)
					}
				}
				w.sys.Root.Send(w.link(1), &linkpb.Close{Code: 4000, Listen: true})
				time.Sleep(4 * closeLinger)
				p.say("still here")
				wantHeard(t, w, 1, "hushed")
				w.sys.Root.Send(w.link(1), &linkpb.Close{Code: 4000})
				synctest.Wait()
				p.say("and here")
				wantHeard(t, w, 1, "closed")
				time.Sleep(closeLinger + time.Millisecond)
				synctest.Wait()
				if n := w.net.Open(); n != 1 {
					t.Errorf("%d ends open, want the peer's only", n)
				}
				_ = p.Close()
				w.stop()
			})
		})
	}
}
