package messages_test

import (
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/protobuf/proto"

	"parley/messages"
	"parley/messages/linkpb"
	"parley/messages/relaypb"
)

// TestSharedEncodesOnce has many readers want the frame at the same moment.
func TestSharedEncodesOnce(t *testing.T) {
	const readers = 64
	for range 100 {
		var (
			encoded atomic.Int32
			all     sync.WaitGroup
			start   = make(chan struct{})
			frames  [readers][]byte
		)
		s := &messages.Shared{Message: &relaypb.Message{Channel: "x", Message: []byte(`"hello"`)}}
		for i := range readers {
			all.Go(func() {
				<-start
				frames[i] = s.Frame(messages.SlotRelay, func(m proto.Message) []byte {
					encoded.Add(1)
					return m.(*relaypb.Message).GetMessage()
				})
			})
		}
		close(start)
		all.Wait()
		if n := encoded.Load(); n != 1 {
			t.Fatalf("encoded %d times", n)
		}
		for _, f := range frames {
			if string(f) != `"hello"` || &f[0] != &frames[0][0] {
				t.Fatalf("a reader got %q, or a copy", f)
			}
		}
	}
}

// TestSharedRemembersNothing keeps what the first encoder made, even that
// there is none.
func TestSharedRemembersNothing(t *testing.T) {
	s := &messages.Shared{}
	calls := 0
	for range 3 {
		if f := s.Frame(messages.SlotRelay, func(proto.Message) []byte { calls++; return nil }); f != nil {
			t.Errorf("frame %q", f)
		}
	}
	if calls != 1 {
		t.Errorf("encoded %d times", calls)
	}
}

func TestCharge(t *testing.T) {
	const unit = 16 << 10
	for _, c := range []struct {
		size int
		want uint32
	}{
		{0, 1},
		{1, 1},
		{unit - 1, 1},
		{unit, 2},
		{unit + 1, 2},
		{2*unit - 1, 2},
		{2 * unit, 3},
		{1<<20 - 1, 64},
		{1 << 20, 65}, // a link's credit
		{4 << 20, 257},
		{math.MaxInt32, 131072},
	} {
		if got := messages.Charge(c.size); got != c.want {
			t.Errorf("%d bytes hold %d, want %d", c.size, got, c.want)
		}
	}
	if got := messages.Charge(1<<20 - 1); got != messages.ChargeAll {
		t.Errorf("a MiB holds %d, all there is are %d", got, messages.ChargeAll)
	}
}

// TestLoads weigh what they carry; all else is control and weighs nothing.
func TestLoads(t *testing.T) {
	payload, nonce := make([]byte, 1000), make([]byte, 10)
	for _, c := range []struct {
		m    any
		want int // bytes, beyond those of an empty one
	}{
		{&messages.Multicast{Size: 1000}, 1000},
		{&messages.Multicast{Members: make([]uint64, 1000)}, 0}, // shared with others
		{&relaypb.Send{Message: payload, Nonce: nonce}, 1010},
		{&relaypb.Send{Channel: "x"}, 0},
	} {
		l, ok := c.m.(messages.Load)
		if !ok {
			t.Errorf("%T is no load", c.m)
			continue
		}
		var empty messages.Load = &relaypb.Send{}
		if _, ok := l.(*messages.Multicast); ok {
			empty = &messages.Multicast{}
		}
		if own := empty.Bytes(); own < 100 || own > 500 {
			t.Errorf("an empty %T weighs %d", c.m, own)
		}
		if got := l.Bytes() - empty.Bytes(); got != c.want {
			t.Errorf("%T weighs %d more than an empty one, want %d", c.m, got, c.want)
		}
	}
	for _, m := range []any{
		&relaypb.Subscribe{}, &relaypb.Unsubscribe{}, &relaypb.List{}, &relaypb.Answer{}, &relaypb.Error{},
		&linkpb.Opened{}, &linkpb.Accepted{}, &linkpb.Closed{}, &linkpb.Close{}, &linkpb.Settled{}, &linkpb.Malformed{},
	} {
		if _, ok := m.(messages.Load); ok {
			t.Errorf("%T is a load: a full queue would lose it", m)
		}
	}
}

// TestLate lists the messages that are no news when their receiver is gone, and
// some of those that are.
func TestLate(t *testing.T) {
	for m, want := range map[any]bool{
		&linkpb.Accepted{}: true, &linkpb.Closed{}: true, &linkpb.Close{}: true, &linkpb.Settled{}: true, &linkpb.Malformed{}: true,
		&relaypb.Answer{}: true, &relaypb.Error{}: true,
		&relaypb.Send{}: true, &relaypb.Subscribe{}: true, &relaypb.Unsubscribe{}: true, &relaypb.List{}: true,
		&linkpb.Opened{}: false, &linkpb.Drain{}: false,
		&relaypb.HealthRequest{}: false, &relaypb.NodeStatsRequest{}: false,
	} {
		if _, got := m.(interface{ IgnoreDeadLetterLogging() }); got != want {
			t.Errorf("%s may get lost: %v, want %v", fmt.Sprintf("%T", m), got, want)
		}
	}
}
