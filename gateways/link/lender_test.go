package link

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
	"pgregory.net/rapid"

	"parley/messages"
	"parley/testkit"
)

// loans are words in memory that is used again: what is given back is spoilt at
// once.
type loans struct {
	words

	mu   sync.Mutex
	back map[proto.Message]int // times that it was given back
}

func (l *loans) AppendFrames(dst []byte, f Framing, m proto.Message) ([]byte, error) {
	if b, ok := m.(*wrapperspb.BytesValue); ok {
		return f.AppendFrame(dst, b.GetValue()), nil
	}
	payload, err := l.Append(nil, m)
	if err != nil {
		return dst, err
	}
	return f.AppendFrame(dst, payload), nil
}

// AppendParts makes three parts of a text in memory, if it is not too short.
func (l *loans) AppendParts(dst []byte, parts []Part, f Framing, m proto.Message) ([]byte, []Part, error) {
	b, ok := m.(*wrapperspb.BytesValue)
	if !ok {
		dst, err := l.AppendFrames(dst, f, m)
		return dst, parts, err
	}
	text, third := b.GetValue(), len(b.GetValue())/3
	if third == 0 {
		return dst, parts, nil
	}
	dst = append(dst, '(')
	parts = append(parts, Part{len(dst), text[:third]})
	dst = append(dst, '|')
	parts = append(parts, Part{len(dst), text[third : 2*third]}, Part{len(dst), text[2*third:]})
	return append(dst, ")\n"...), parts, nil
}

func (l *loans) GiveBack(m proto.Message) {
	b, ok := m.(*wrapperspb.BytesValue)
	if !ok {
		return
	}
	for i := range b.GetValue() {
		b.Value[i] = '#'
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.back[m]++
}

// lentTo makes a link write a text that is in memory of its own, and returns what
// its peer is to hear.
func (l *loans) lentTo(w *world, member int, m *wrapperspb.BytesValue) (line string) {
	text, third := string(m.GetValue()), len(m.GetValue())/3
	w.sys.Root.Send(w.link(member), &messages.Paced{Message: m, Size: len(text)})
	if third == 0 {
		return text
	}
	return "(" + text[:third] + "|" + text[third:] + ")"
}

// TestLentIsGivenBackOnce has a peer read at any speed, and go away: what it
// hears was never given back before, and what was written is given back once.
func TestLentIsGivenBackOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := &loans{back: map[proto.Message]int{}}
		w := newWorld(t, options{window: 20_000, kind: func(k *Kind) { k.OutboundLimit, k.Codec = 16<<20, l }})
		member := 0
		rapid.Check(timeless{t}, func(t *rapid.T) {
			p := w.dial()
			member++
			var (
				lent []*wrapperspb.BytesValue
				want []string
				got  bytes.Buffer
			)
			t.Repeat(map[string]func(*rapid.T){
				"lend": func(t *rapid.T) {
					size := rapid.OneOf(rapid.IntRange(1, 100), rapid.IntRange(1, 2*roomMost)).Draw(t, "size")
					m := wrapperspb.Bytes(bytes.Repeat([]byte{'a' + byte(len(want)%26)}, size))
					lent = append(lent, m)
					want = append(want, l.lentTo(w, member, m))
				},
				"other": func(t *rapid.T) {
					text := strings.Repeat("y", rapid.IntRange(1, roomMost).Draw(t, "size"))
					want = append(want, text)
					w.say(member, text)
				},
				"read": func(t *rapid.T) { p.copy(&got, rapid.IntRange(1, 4*roomMost).Draw(t, "bytes")) },
			})
			cut := rapid.Bool().Draw(t, "cut")
			if !cut {
				p.copy(&got, 1<<30)
			}
			_ = p.Close()
			synctest.Wait()
			heard := strings.Split(got.String(), "\n")
			for i, line := range heard {
				if i < len(want) && !strings.HasPrefix(want[i], line) || i >= len(want) && line != "" || !cut && i < len(want) && line != want[i] {
					t.Fatalf("line %d of %d is %.40q, %d bytes", i, len(want), line, len(line))
				}
			}
			l.mu.Lock()
			defer l.mu.Unlock()
			for i, m := range lent {
				if n := l.back[m]; n > 1 || !cut && n != 1 {
					t.Fatalf("message %d was given back %d times", i, n)
				}
			}
			clear(l.back)
		})
		w.stop()
	})
}

// copy is some that keeps what it read.
func (p *peer) copy(to *bytes.Buffer, n int) {
	b := make([]byte, min(n, 64<<10))
	for n > 0 {
		_ = p.SetReadDeadline(time.Now().Add(time.Nanosecond))
		got, err := p.Read(b[:min(n, len(b))])
		to.Write(b[:got])
		if n -= got; err != nil {
			break
		}
		synctest.Wait()
	}
	_ = p.SetReadDeadline(time.Time{})
}

// TestLostIsNotGivenBack: of a peer that takes nothing, what was on its way may
// still be read.
func TestLostIsNotGivenBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := &loans{back: map[proto.Message]int{}}
		w := newWorld(t, options{window: 1000, kind: func(k *Kind) { k.Codec = l }})
		p := w.dial()
		var all []*wrapperspb.BytesValue
		for _, size := range []int{3000, 3 * roomMost, 3 * roomMost, 3000} {
			all = append(all, wrapperspb.Bytes(bytes.Repeat([]byte{'x'}, size)))
			l.lentTo(w, 1, all[len(all)-1])
		}
		time.Sleep(11 * time.Second) // longer than a write may take
		_ = p.Close()
		synctest.Wait()
		var back string
		for _, m := range all {
			back += fmt.Sprint(l.back[m])
		}
		if back != "1000" { // what the kernel left of the first was copied
			t.Errorf("given back: %s", back)
		}
		w.stop()
	})
}

// TestLentThroughTLS, where the connection copies everything.
func TestLentThroughTLS(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sys := testkit.System(t)
		l := &loans{back: map[proto.Message]int{}}
		r := newRig(t, sys, 1000, true, func(k *Kind) { k.Codec = l })
		const frames = 6
		var want []string
		for i := range frames {
			m := wrapperspb.Bytes(bytes.Repeat([]byte{'a' + byte(i)}, 40_000))
			want = append(want, string(m.GetValue()))
			r.out.send(nil, chunk{wire: m.GetValue(), frames: 1, whole: m}, chunk{wire: frame(""), frames: 1})
		}
		r.readAll()
		if got, _ := r.lines(); strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("%d lines came, or others", len(got))
		}
		for m, n := range l.back {
			if n != 1 {
				t.Errorf("%.10v given back %d times", m, n)
			}
		}
		if len(l.back) != frames {
			t.Errorf("%d given back", len(l.back))
		}
		r.close()
		testkit.Stop(t, sys)
	})
}
