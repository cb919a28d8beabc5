package tcp

import (
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"parley/gateways/link"
)

// TestEmpty: packets without content are passed over, but not as fast as a peer
// can send them.
func TestEmpty(t *testing.T) {
	flood := make([]byte, headerSize*emptyMost)
	t.Run("flood", func(t *testing.T) {
		_, err := all(said(100, stream("a"), flood, stream("b")))
		if v := (&link.Violation{}); !errors.As(err, &v) || v.Code != closePolicy || v.Reason != reasonEmpty {
			t.Errorf("ended with %v", err)
		}
	})
	t.Run("few", func(t *testing.T) {
		if got, err := all(said(100, flood[headerSize:], stream("b"))); len(got) != 1 || !errors.Is(err, io.EOF) {
			t.Errorf("got %q, %v", got, err)
		}
	})
	t.Run("slow", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := said(100)
			for range 3 * emptyMost {
				if s.flooded() {
					t.Fatal("one a minute is a flood")
				}
				time.Sleep(time.Minute)
			}
		})
	})
}
