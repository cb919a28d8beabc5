package store

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"parley/messages/storepb"
)

// generation is the n-th Write of a process that is killed: the first keys
// carry its number, and one that grows.
func generation(n int) *storepb.Write {
	text := []byte(fmt.Sprint(n, " ", strings.Repeat("x", n%500)))
	m := &storepb.Write{Puts: []*storepb.Record{{Key: "pair/a", Value: text}, {Key: "pair/b", Value: text}, {Key: fmt.Sprint("each/", n%300), Value: text}}}
	if n%7 == 0 {
		m.Deletes = []string{fmt.Sprint("each/", (n+150)%300)}
	}
	return m
}

// writeOn writes one generation after the other, and says which ones are safe.
func writeOn() {
	db, err := Open(os.Getenv(dirEnv), OpenOptions{Log: quiet})
	if err != nil {
		fmt.Println(err)
		return
	}
	got, _, err := db.read("pair/a")
	n := 0
	if err == nil && len(got) == 1 {
		n = numberOf(string(got[0].GetValue())) + 1
	}
	for ; err == nil; n++ {
		m := generation(n)
		size, bad := checkWrite(m)
		errs, _ := db.commit([]write{{m, size}})
		if err = errs[0]; err == nil {
			err = bad
		}
		if err == nil {
			fmt.Println(n)
		}
	}
	fmt.Println(err)
}

func numberOf(text string) int {
	first, _, _ := strings.Cut(text, " ")
	n, err := strconv.Atoi(first)
	if err != nil {
		return -1
	}
	return n
}

// TestKill kills a process that writes as fast as it can, again and again, some
// hundred writes apart: what it said to be safe is there, and what it did not say
// is there as a whole or not at all. "make cycles" does so for a hundred thousand
// writes.
func TestKill(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	rng := rand.New(rand.NewPCG(3, 4))
	want := map[string]string{}
	done := 0
	for range killings(t, 8) {
		cmd, _, out := another(t, "write", dir)
		safe := done - 1
		for range 1 + rng.IntN(300) {
			line, err := out.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if safe = numberOf(strings.TrimSpace(line)); safe < 0 {
				t.Fatalf("the writer says %q", line)
			}
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		safe = drain(out, safe)
		_ = cmd.Wait()
		db := open(t, dir)
		if r := db.Report(); !r.whole() {
			t.Fatalf("report %+v", r)
		}
		got, _ := all(t, db, "")
		last := numberOf(got["pair/a"])
		if last != safe && last != safe+1 {
			t.Fatalf("generation %d was safe, %d is there", safe, last)
		}
		for ; done <= last; done++ {
			m := generation(done)
			for _, r := range m.GetPuts() {
				want[r.GetKey()] = string(r.GetValue())
			}
			for _, key := range m.GetDeletes() {
				delete(want, key)
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("after generation %d has %.200v, want %.200v", last, got, want)
		}
		closeDB(t, db)
	}
	t.Logf("%d writes", done)
}

// killings is how often a test kills, few unless PARLEY_CYCLES says so.
func killings(t *testing.T, few int) int {
	t.Helper()
	text := os.Getenv("PARLEY_CYCLES")
	if text == "" {
		return few
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("PARLEY_CYCLES is %q, want a number from 1 on", text)
	}
	return n
}

// drain reads what a killed process had said already.
func drain(out *bufio.Reader, safe int) int {
	for {
		line, err := out.ReadString('\n')
		if err != nil {
			return safe
		}
		safe = numberOf(strings.TrimSpace(line))
	}
}
