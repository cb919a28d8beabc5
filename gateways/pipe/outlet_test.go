package pipe

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestNobodyReads: the newest lines are kept, and the first reader learns how many
// were not.
func TestNobodyReads(t *testing.T) {
	b := newBack(t)
	const all = 5000
	for i := range all {
		b.tell(i, 10)
	}
	b.fence(t)
	out := b.listen(t)
	if got, want := out.line(t), fmt.Sprintf(`{"event":"dropped","count":%d}`, all-keepMost); got != want && got != fmt.Sprintf(`{"event":"dropped","count":%d}`, all+1-keepMost) {
		t.Fatalf("%s, want %s", got, want)
	}
	first := numberOf(out.line(t))
	for i := first + 1; i < all; i++ { // and the answer to the fence, which may have come in time
		if got := out.line(t); numberOf(got) != i {
			t.Fatalf("%d is %s", i, got)
		}
	}
	if got := out.line(t); !strings.Contains(got, `"fence"`) || first != all-keepMost && first != all+1-keepMost {
		t.Error(first, got)
	}
}

// TestKept: what is kept has a limit in bytes, too, and a line that says how many
// were lost stands for those when it is lost itself.
func TestKept(t *testing.T) {
	o := newOutlet(nil, &told{}, nil, droppedLine)
	big := []byte(strings.Repeat("x", lineMost-1) + "\n")
	for range 3 * keepBytes / lineMost {
		o.put(big)
	}
	if len(o.queue) != keepBytes/lineMost || o.bytes != keepBytes || o.lost != 2*keepBytes/lineMost {
		t.Errorf("%d lines of %d bytes, %d lost", len(o.queue), o.bytes, o.lost)
	}
	join := o.next(nil)
	if want := string(droppedLine(2*keepBytes/lineMost)) + ""; string(join) != want {
		t.Errorf("%.100q", join)
	}
	join = o.next(nil)
	if len(join) != lineMost || len(o.given) != 2 || o.size != len(big)+len(droppedLine(256)) {
		t.Errorf("%d bytes, %d given", len(join), len(o.given))
	}
	o.put(big) // full again
	o.put(big) // one is lost
	o.giveBack(1)
	// There is no room for the line that was not read, nor for the word about the
	// one that was lost behind it: that makes two.
	if o.lost != 2 || o.queue[0].lost != 0 || len(o.given) != 0 || o.bytes != keepBytes {
		t.Errorf("%d lost, then %d; %d bytes", o.lost, o.queue[0].lost, o.bytes)
	}
	for range keepMost {
		o.put([]byte("\n"))
	}
	if o.lost != 2+keepBytes/lineMost || o.bytes != keepMost || len(o.queue) != keepMost {
		t.Errorf("%d lost; %d lines of %d bytes", o.lost, len(o.queue), o.bytes)
	}
}

// TestReaderGone: what a reader has not read whole is for the next, who begins with
// a whole line.
func TestReaderGone(t *testing.T) {
	b := newBack(t)
	const all = 1200
	next, readers := 0, 0
	for i := range all {
		b.tell(i, i%300)
		if i%100 != 99 {
			continue
		}
		readers++
		out := b.listen(t)
		for range 85 {
			if got := numberOf(out.line(t)); got != next {
				t.Fatalf("reader %d: %d, not %d", readers, got, next)
			}
			next++
		}
		// What it has in its buffer of whole lines, it has read.
		rest, _ := io.ReadAll(io.LimitReader(out.lines, int64(out.lines.Buffered())))
		next += strings.Count(string(rest), "\n")
		_ = out.Close()
		until(t, "end of reading", func() bool { return !opened(t, b.at(nameOut)) })
	}
	out := b.listen(t)
	for ; next < all; next++ {
		if got := numberOf(out.line(t)); got != next {
			t.Fatalf("last reader: %d, not %d", got, next)
		}
	}
}

// opened reports whether anybody in this process has a file open.
func opened(t testing.TB, path string) bool {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range all {
		if to, _ := os.Readlink("/proc/self/fd/" + fd.Name()); to == path {
			return true
		}
	}
	return false
}

// TestOpenRaces: thousands that open and close, with and without reading, most of
// them in mid-line, end nothing. Lines come in order, and none is lost but those
// that one reader has begun and the next, which was there already, has ended.
func TestOpenRaces(t *testing.T) {
	const times = 10_000
	dir := filepath.Join(t.TempDir(), "enclave")
	p, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	o := newOutlet(p.folder, p.told, func(_ string, err error) {
		if err != nil {
			t.Error(err)
		}
	}, droppedLine)
	o.every = time.Microsecond // as if it were always the moment to look
	ctx, stop := context.WithCancel(t.Context())
	over := make(chan struct{})
	go func() {
		defer close(over)
		o.run(ctx)
	}()
	seen, told, whole, torn, lost := -1, 0, 0, 0, 0
	take := func(line string) {
		n := numberOf(strings.TrimSuffix(line, "\n"))
		if n < 0 { // the rest of one, or the end of that
			torn++
			return
		}
		if n > seen+1 {
			lost += n - seen - 1
		}
		seen = max(seen, n)
		whole++
	}
	var held *os.File // the reader before, which closes when the next is there
	for i := range times {
		f, err := os.OpenFile(filepath.Join(dir, nameOut), os.O_RDONLY|syscall.O_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		if held != nil {
			_ = held.Close()
			held = nil
		}
		if told-seen < keepMost/2 {
			o.put(progressLine(told, told%100))
			told++
		}
		lines := bufio.NewReaderSize(f, 16)
		for range i % 7 {
			_ = f.SetReadDeadline(time.Now().Add(time.Millisecond))
			line, err := lines.ReadString('\n')
			if err != nil {
				break
			}
			take(line)
		}
		for rest, _ := lines.Peek(lines.Buffered()); bytes.IndexByte(rest, '\n') >= 0; rest, _ = lines.Peek(lines.Buffered()) {
			line, _ := lines.ReadString('\n') // what it has of whole lines, it has read
			take(line)
		}
		if i%5 == 0 {
			held = f
			continue
		}
		_ = f.Close()
	}
	if held != nil {
		_ = held.Close()
	}
	f, err := os.OpenFile(filepath.Join(dir, nameOut), os.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	out := &reader{f, bufio.NewReader(f)}
	for seen < told-1 {
		take(out.line(t))
	}
	_ = f.Close()
	stop()
	<-over
	if lost > torn || told == 0 {
		t.Errorf("%d lines lost, %d torn", lost, torn)
	}
	t.Logf("%d lines, read %d times, %d torn, %d lost", told, whole, torn, lost)
}

// TestSlowReader: one that stays and does not read gets what was kept, and a word
// about the rest, where that was.
func TestSlowReader(t *testing.T) {
	b := newBack(t)
	out := b.listen(t)
	const all = 20_000
	for i := range all {
		b.tell(i, 100)
	}
	next, dropped := 0, 0
	for next < all {
		line := out.line(t)
		var n int
		if _, err := fmt.Sscanf(line, `{"event":"dropped","count":%d}`, &n); err == nil {
			dropped += n
			next += n
			continue
		}
		if got := numberOf(line); got != next {
			t.Fatalf("%.100s, not %d", line, next)
		}
		next++
	}
	if dropped == 0 {
		t.Error("all was read")
	}
}

// TestLastWords: what is there when the node ends is still written.
func TestLastWords(t *testing.T) {
	b := newBack(t)
	out := b.listen(t)
	b.tell(0, 10)
	out.line(t)
	for i := 1; i < 100; i++ {
		b.tell(i, 10)
	}
	_ = b.sys.Root.PoisonFuture(b.pipe).Wait()
	for i := 1; i < 100; i++ {
		if got := numberOf(out.line(t)); got != i {
			t.Fatalf("%d, not %d", got, i)
		}
	}
	if rest, err := io.ReadAll(out.lines); len(rest) > 0 || err != nil && !errors.Is(err, os.ErrClosed) {
		t.Errorf("%q, %v", rest, err)
	}
}
