package link

import (
	"testing"
	"testing/synctest"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"parley/messages"
	"parley/messages/linkpb"
)

// TestWrittenComesBehindTheAnswer: who closes the connection then takes no word
// from its peer. It also comes for a link that is gone.
func TestWrittenComesBehindTheAnswer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, options{})
		p := w.dial().listen()
		told := 0
		goodbye := func() {
			told++
			w.sys.Root.Send(w.link(1), &linkpb.Close{Code: 1000, Reason: "that was all"})
		}
		for _, text := range []string{"one", "two", "three"} {
			w.cast(messages.Multicast{Origin: 1, Answer: wrapperspb.String(text)}, "")
		}
		w.cast(messages.Multicast{Origin: 1, Answer: wrapperspb.String("last"), Written: goodbye}, "")
		synctest.Wait()
		p.wantEnd("one", "two", "three", "last", "close 1000 that was all")
		w.cast(messages.Multicast{Origin: 1, Answer: wrapperspb.String("too late"), Written: func() { told++ }}, "")
		synctest.Wait()
		if told != 2 {
			t.Errorf("told %d times", told)
		}
		w.stop()
	})
}
