package main

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/actors/tree"
)

// slow is a writer that waits for a permit to write.
type slow struct {
	strings.Builder
	permits chan struct{} // closed: as much as anybody wants
}

func newSlow() *slow { return &slow{permits: make(chan struct{})} }

func (s *slow) Write(b []byte) (int, error) {
	<-s.permits
	return s.Builder.Write(b)
}

// lostLines is how the tests here write of lost lines.
func lostLines(w io.Writer, lines int64) { fmt.Fprintf(w, "lost %d\n", lines) }

// TestLogQueueNeverWaits fills it while nobody takes anything: whoever logs goes
// on, and the memory that it takes has an end.
func TestLogQueueNeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, lost := newSlow(), 0
		q := newLogQueue(w, lostLines, func() {}, func() { lost++ })
		line := strings.Repeat("x", 99) + "\n"
		const sent = 3 * logQueueMost / 100
		for range sent {
			fmt.Fprint(q, line)
		}
		synctest.Wait()
		kept := sent - lost
		if kept*100 > logQueueMost || (kept+1)*100 <= logQueueMost || cap(q.text) > 2*logQueueMost {
			t.Errorf("%d lines are kept, %d are lost, in %d bytes", kept, lost, cap(q.text))
		}
		close(w.permits)
		synctest.Wait()
		fmt.Fprint(q, "again\n")
		if !q.Close(time.Second, "the end\n") {
			t.Error("it does not end")
		}
		if want := strings.Repeat(line, kept) + fmt.Sprintf("lost %d\nagain\nthe end\n", lost); w.String() != want {
			t.Errorf("%d bytes are written, and end with %q", w.Len(), w.String()[max(0, w.Len()-100):])
		}
		fmt.Fprint(q, "late\n")
		q.Close(time.Second, "another end\n")
		if !strings.HasSuffix(w.String(), "the end\n") {
			t.Errorf("after the end comes %q", w.String()[max(0, w.Len()-100):])
		}
	})
}

// TestLogQueueEnds has nobody read until after the end.
func TestLogQueueEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newSlow()
		q := newLogQueue(w, lostLines, func() {}, func() {})
		fmt.Fprint(q, "one\n")
		start := time.Now()
		for range 2 {
			if q.Close(lastWords, "the end\n") {
				t.Error("it has written what nobody took")
			}
		}
		if took := time.Since(start); took != 2*lastWords {
			t.Errorf("it waits for %v", took)
		}
		close(w.permits)
		synctest.Wait()
		if w.String() != "one\nthe end\n" {
			t.Errorf("then it writes %q", w.String())
		}
	})
}

// TestLogQueueCounts has lines come and go at all speeds: they come in their
// order, each is written or counted where it would have been.
func TestLogQueueCounts(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 0))
			w, counted, turns := newSlow(), 0, 0
			q := newLogQueue(w, lostLines, func() { turns++ }, func() { counted++ })
			done, open := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(done)
				for {
					time.Sleep(time.Duration(rng.IntN(50)) * time.Millisecond)
					select {
					case w.permits <- struct{}{}:
					case <-open:
						close(w.permits)
						return
					}
				}
			}()
			const sent = 2000
			for i := range sent {
				fmt.Fprintf(q, "%d %s\n", i, strings.Repeat("x", i%2000))
				if i%400 == 0 {
					q.Turn()
				}
				if i%100 == 0 {
					time.Sleep(10 * time.Millisecond)
				}
			}
			close(open)
			<-done
			if !q.Close(time.Hour, "") {
				t.Fatal("it does not end")
			}
			next, lost := 0, 0
			for line := range strings.Lines(w.String()) {
				var n int
				if _, err := fmt.Sscanf(line, "lost %d\n", &n); err == nil {
					next, lost = next+n, lost+n
					continue
				}
				if _, err := fmt.Sscanf(line, "%d", &n); err != nil || n != next {
					t.Fatalf("seed %d: line %d is %.20q", seed, next, line)
				}
				next++
			}
			if next != sent || lost != counted || lost == 0 || turns == 0 {
				t.Errorf("seed %d: %d of %d lines, %d are told lost and %d are, %d turns", seed, next, sent, lost, counted, turns)
			}
		})
	}
}

// TestLogEnds has errors told at the end of the log, once, and counts lost lines
// for operators.
func TestLogEnds(t *testing.T) {
	var said strings.Builder
	out, err := openLog(&said, logging{format: "text"})
	if err != nil {
		t.Fatal(err)
	}
	lost := new(tree.Counter)
	out.lose()
	out.lost.Store(lost)
	out.logger.Info("hello")
	out.lose()
	err = out.end(&usageError{errors.New("no good")})
	if exitCode(err) != exitUsage || complaint(err) != "" {
		t.Errorf("%d: %q", exitCode(err), complaint(err))
	}
	if lines := strings.Split(said.String(), "\n"); len(lines) != 3 || !strings.Contains(lines[0], "INF hello") || lines[1] != "parley: no good" {
		t.Errorf("it says %q", said.String())
	}
	if n := lost.Load(); n != 1 {
		t.Errorf("%d lines are counted", n)
	}
	said.Reset()
	missing("text", false)(&said, 7)
	missing("json", false)(&said, 8)
	if !strings.Contains(said.String(), "lines=7\n") || !strings.Contains(said.String(), `"lines":8}`) {
		t.Errorf("of lost lines it says %q", said.String())
	}
}
