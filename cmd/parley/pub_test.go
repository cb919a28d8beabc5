package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestPublishLines sends more lines than any window holds.
func TestPublishLines(t *testing.T) {
	t.Parallel()
	const most = 10_000
	n := startNode(t, "--outbound-limit", "64MiB")
	reader := n.subscribe(t, "lobby", "--count", strconv.Itoa(most))
	var in strings.Builder
	var want []string
	for i := range most {
		line := fmt.Sprintf("line %d", i+1)
		if i%1000 == 7 {
			line = ""
		}
		want = append(want, line)
		in.WriteString(line)
		switch {
		case i == most-1: // the last one has no end
		case i%2 == 0:
			in.WriteString("\n")
		default:
			in.WriteString("\r\n")
		}
	}
	o := feed(t, strings.NewReader(in.String()), "pub", "lobby", "-", "--json", "--url", n.url())
	o.expect(t, 0)
	var s summary
	if err := json.Unmarshal([]byte(o.out), &s); err != nil {
		t.Fatal(err, o)
	}
	if s.Seconds <= 0 {
		t.Errorf("no time: %v", s)
	}
	s.Seconds, s.Retried = 0, 0 // a machine may be slow
	if diff := cmp.Diff(summary{OK: true, Channel: "lobby", Published: most}, s); diff != "" {
		t.Error(diff)
	}
	if code := reader.wait(); code != 0 {
		t.Fatal(code, reader.err.String())
	}
	if got := reader.out.lines(); !slices.Equal(got, want) {
		t.Error(cmp.Diff(want, got))
	}
}

func TestPublishRefuses(t *testing.T) {
	t.Parallel()
	n := startNode(t, "--max-frame", "1KiB", "--max-channels", "1")
	lines := func(text string) io.Reader { return strings.NewReader(text) }
	long := strings.Repeat("x", 2000)

	feed(t, lines("a\nb\n\xff\nc\n"), "pub", "lobby", "-", "--url", n.url()).
		expect(t, 1, "line 3 is not UTF-8; convert it, for instance: iconv -f latin1 -t utf-8")
	shell(t, `printf 'a\nb\n\377\nc\n' | iconv -f latin1 -t utf-8`)
	feed(t, lines("a\n"+long+"\nb\n"), "pub", "lobby", "--window", "1", "--url", n.url()).
		expect(t, 1, "1009 message too big; a message was larger than the node's max-frame (1 message published; line 2 was not answered)")
	n.pub(t, "lobby", long).expect(t, 1, "max-frame")
	n.pub(t, "a\nb", "x").expect(t, 1, `channel "a\nb": invalid channel; a name is 1 to 256 bytes of text without control characters`)
	n.pub(t, "\xff", "x").expect(t, 2, "not UTF-8")
	n.pub(t, "lobby", "\xff").expect(t, 1, "not UTF-8")
	n.subscribe(t, "first")
	o := n.pub(t, "second", "x", "--json")
	o.expect(t, 1, "channel limit reached", "max-channels")
	var s summary
	if err := json.Unmarshal([]byte(o.out), &s); err != nil || s.OK || s.Published != 0 || !strings.Contains(s.Error, "channel limit reached") {
		t.Errorf("%v: %v", err, o)
	}
	feed(t, lines(""), "pub", "first", "-", "--url", n.url()).expect(t, 0) // nothing is no failure
}

// TestPublishInterrupted ends a publisher that waits for more lines: what it had
// is published.
func TestPublishInterrupted(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	reader := n.subscribe(t, "lobby", "--count", "2")
	r, w := io.Pipe()
	t.Cleanup(func() { _ = w.Close() })
	p := launch(t, r, nil, "pub", "lobby", "--url", n.url())
	if _, err := io.WriteString(w, "one\ntwo\nhalf"); err != nil {
		t.Fatal(err)
	}
	if code := reader.wait(); code != 0 {
		t.Fatal(code, reader.err.String())
	}
	p.signal(syscall.SIGTERM)
	_ = w.Close()
	if code := p.wait(); code != 0 || !strings.HasPrefix(p.out.String(), "published ") {
		t.Errorf("%d %q %s", code, p.out.String(), p.err.String())
	}
}

// deliver runs a delivery of lines against a server made of a function.
func deliver(t *testing.T, ctx context.Context, window int, in string, answer func(o order, data sendData) []string) (*delivery, error) {
	t.Helper()
	w := newWire(func(frame string) []string {
		var o struct {
			order
			Data sendData `json:"data"`
		}
		if err := json.Unmarshal([]byte(frame), &o); err != nil {
			t.Errorf("%v: %s", err, frame)
		}
		if o.Command == "subscribe" {
			return []string{`{"type":"response","data":{"ok":true},"nonce":0}`}
		}
		return answer(o.order, o.Data)
	})
	d := newDelivery(&publication{channel: "c", stdin: strings.NewReader(in), window: window}, w, "")
	err := d.run(ctx)
	_ = w.Close()
	return d, err
}

func answerTo(nonce int, reason string) string {
	if reason == "" {
		return fmt.Sprintf(`{"type":"response","data":{"ok":true},"nonce":%d}`, nonce)
	}
	return fmt.Sprintf(`{"type":"response","data":{"ok":false,"reason":%q},"nonce":%d}`, reason, nonce)
}

// TestSlowDown has a server that refuses at random: every line arrives once, in
// order if the window is 1, and what was overtaken is counted.
func TestSlowDown(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		window := rapid.IntRange(1, 8).Draw(r, "window")
		count := rapid.IntRange(0, 30).Draw(r, "lines")
		refuse := rapid.SliceOfN(rapid.Bool(), 200, 200).Draw(r, "refuse")
		var want, got []string
		for i := range count {
			want = append(want, strconv.Itoa(i))
		}
		var d *delivery
		var err error
		synctest.Test(t, func(t *testing.T) {
			n := 0
			d, err = deliver(t, t.Context(), window, strings.Join(want, "\n"), func(o order, data sendData) []string {
				n++
				if n < len(refuse) && refuse[n] {
					return []string{answerTo(o.Nonce, "slow down")}
				}
				got = append(got, data.Message)
				return []string{answerTo(o.Nonce, "")}
			})
		})
		if err != nil || d.published != count {
			r.Fatalf("%d of %d published: %v", d.published, count, err)
		}
		late := 0
		for i := range got {
			if slices.ContainsFunc(got[:i], func(s string) bool { return number(s) > number(got[i]) }) {
				late++
			}
		}
		if window == 1 && late > 0 {
			r.Fatalf("out of order with a window of 1: %q", got)
		}
		if late != d.overtaken {
			r.Fatalf("%d overtaken, counted %d: %q", late, d.overtaken, got)
		}
		slices.SortFunc(got, func(a, b string) int { return number(a) - number(b) })
		if !slices.Equal(got, want) {
			r.Fatalf("published %q, want %q", got, want)
		}
	})
}

func number(s string) int { n, _ := strconv.Atoi(s); return n }

// TestSlowDownForEver waits longer and longer, and gives up.
func TestSlowDownForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start, tries := time.Now(), 0
		_, err := deliver(t, t.Context(), 1, "a\nb", func(o order, _ sendData) []string {
			tries++
			return []string{answerTo(o.Nonce, "slow down")}
		})
		if took := time.Since(start); err == nil || took < giveUp || took > giveUp+longestPause || tries > 50 {
			t.Errorf("after %v and %d tries: %v", took, tries, err)
		}
	})
}

// TestDeliveryFails is what a relay may do to a publisher.
func TestDeliveryFails(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(o order, data sendData) []string
		err    string
	}{
		"gone": {
			func(o order, _ sendData) []string { return []string{answerTo(o.Nonce, "channel does not exist")} },
			`channel "c": channel does not exist; the subscription ended meanwhile: start again`,
		},
		"lost": {
			func(order, sendData) []string {
				return []string{`{"type":"error","data":{"reason":"channel lost","channel":"c"},"nonce":""}`}
			},
			"channel lost",
		},
		"closed": {func(order, sendData) []string { return []string{"close 1001: bye"} }, "closed by the server: 1001 bye"},
		"ended while it waits": {
			func(o order, _ sendData) []string { return []string{answerTo(o.Nonce, "slow down"), "close 1011: oh"} },
			"closed by the server: 1011 oh",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, err := deliver(t, t.Context(), 1, "a\nb", c.answer)
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("want %q, got %v", c.err, err)
				}
			})
		})
	}
}

// TestInterruptGrace ends a delivery to a relay that answers no more.
func TestInterruptGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		start := time.Now()
		d, err := deliver(t, ctx, 2, "a\nb\nc", func(o order, data sendData) []string {
			if data.Message == "a" {
				return []string{answerTo(o.Nonce, "")}
			}
			cancel()
			return nil
		})
		if !errors.Is(err, errInterrupted) || !strings.Contains(err.Error(), "1 message published; line 2 was not answered") || d.published != 1 {
			t.Errorf("%d published: %v", d.published, err)
		}
		if took := time.Since(start); took != interruptGrace {
			t.Errorf("it took %v", took)
		}
	})
}

// TestReadLines reads them in pieces of every size.
func TestReadLines(t *testing.T) {
	for in, want := range map[string][]string{
		"":               nil,
		"\n":             {""},
		"a":              {"a"},
		"a\n":            {"a"},
		"a\r\nb\r\n":     {"a", "b"},
		"a\rb\n\n\r\nc ": {"a\rb", "", "", "c "},
		strings.Repeat("x", 3*lineBuffer) + "\ny": {strings.Repeat("x", 3*lineBuffer), "y"},
	} {
		for _, r := range []io.Reader{strings.NewReader(in), iotest.OneByteReader(strings.NewReader(in)), iotest.DataErrReader(strings.NewReader(in))} {
			l := newLines(t.Context(), "", r)
			var got []string
			for text := range l.next {
				got = append(got, text)
			}
			if l.err != nil || !slices.Equal(got, want) {
				t.Errorf("%.20q: got %.20q, %v", in, got, l.err)
			}
		}
	}
	l := newLines(t.Context(), "", iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader("ab"))))
	for text := range l.next {
		t.Errorf("got %q of a broken input", text)
	}
	if l.err == nil || !strings.Contains(l.err.Error(), "line 1 cannot be read") {
		t.Error(l.err)
	}
}
