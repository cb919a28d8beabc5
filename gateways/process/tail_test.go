package process

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode"

	"pgregory.net/rapid"
)

// However the bytes come in pieces, the last lines are those of all of them.
func TestTailProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		line := rapid.StringOf(rapid.RuneFrom([]rune("ab \t\x1b\u202e\u00e9€\xff")))
		lines := rapid.SliceOfN(line, 0, 60).Draw(t, "lines")
		text := strings.Join(lines, "\n")
		if rapid.Bool().Draw(t, "large") { // wraps the ring around
			text = strings.Repeat("x", rapid.IntRange(ringSize-100, 3*ringSize).Draw(t, "before")) + "\n" + text
		}
		var want []string
		for l := range strings.SplitSeq(text, "\n") {
			if p := plain([]byte(l)); p != "" {
				want = append(want, p)
			}
		}
		want = want[max(0, len(want)-linesMost):]
		last := newTail(nil)
		for left := []byte(text); len(left) > 0; {
			n := rapid.IntRange(1, min(len(left), readSize)).Draw(t, "n")
			last.keep(left[:n])
			left = left[n:]
		}
		got := last.lines()
		if len(got) < len(want) { // the first may have been cut off
			want = want[len(want)-len(got):]
		}
		if !slices.Equal(got, want) {
			t.Fatalf("got %q, want %q", got, want)
		}
		for _, l := range got {
			if len(l) > lineMost+len("…") || strings.IndexFunc(l, func(r rune) bool { return !unicode.IsPrint(r) && r != '\ufffd' }) >= 0 {
				t.Fatalf("line %q", l)
			}
		}
	})
}

func TestLinesAreCut(t *testing.T) {
	var got []string
	last := newTail(func(l string) { got = append(got, l) })
	last.readFrom(iotest.OneByteReader(strings.NewReader(strings.Repeat("é", lineMost) + "\n\n  \nshort\r\nno end")))
	want := []string{strings.Repeat("é", lineMost/2) + "…", "short", "no end"}
	if !slices.Equal(got, want) || !slices.Equal(last.lines(), want) {
		t.Errorf("passed on %q and kept %q, want %q", got, last.lines(), want)
	}
}

// Lines that come too fast are counted, and the count is told.
func TestLineRate(t *testing.T) {
	var got []string
	last := newTail(func(l string) { got = append(got, l) })
	now := last.filled
	flood := bytes.Repeat([]byte("a line\n"), 1000)
	last.pass(flood, now)
	last.pass([]byte("cut "), now)
	if len(got) != lineBurst {
		t.Fatalf("%d lines at once", len(got))
	}
	now = now.Add(time.Second)
	last.pass([]byte("in two\n"), now)
	want := []string{fmt.Sprintf("(%d lines left out: they came too fast)", 1000-lineBurst), "cut in two"}
	if !slices.Equal(got[lineBurst:], want) {
		t.Errorf("got %q, want %q", got[lineBurst:], want)
	}
	got = nil
	for range 10 {
		now = now.Add(time.Second)
		last.pass(flood, now)
	}
	if n := len(got); n < 10*lineRate || n > 10*(lineRate+1)+lineRate { // with one confession each, and what the second before left
		t.Errorf("%d lines in 10 s", n)
	}
}

// A flood costs no allocations.
func TestFloodAllocates(t *testing.T) {
	last := newTail(func(string) {})
	b := bytes.Repeat([]byte("flood\n"), readSize/6)
	now := last.filled
	last.pass(b, now)
	if n := testing.AllocsPerRun(100, func() {
		last.keep(b)
		last.pass(b, now)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkFlood(b *testing.B) {
	last := newTail(func(string) {})
	chunk := bytes.Repeat([]byte("flood\n"), readSize/6)
	b.SetBytes(int64(len(chunk)))
	for b.Loop() {
		last.keep(chunk)
		last.pass(chunk, last.filled)
	}
}

// TestLastWordsReadLate: who reads a pipe gets its turn when the deadline is over.
func TestLastWordsReadLate(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close() // held: there is no end
	_ = r.SetReadDeadline(time.Unix(1, 0))
	if _, err := w.WriteString("one\ntwo\nthree"); err != nil {
		t.Fatal(err)
	}
	last := newTail(nil)
	last.readFrom(&lasting{r, len("one\ntwo\n")})
	if got := fmt.Sprint(last.lines()); got != "[one two]" {
		t.Errorf("got %s", got)
	}
}
