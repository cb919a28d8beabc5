package pipe

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
)

// lines are what an inlet hands on of parts that come one after the other; an
// empty part is a writer's end.
func lines(parts ...string) (got []string) {
	i := &inlet{hand: func(line []byte) {
		if line == nil {
			got = append(got, "(too long)")
			return
		}
		got = append(got, string(line))
	}}
	for _, p := range parts {
		if i.take([]byte(p)); p == "" {
			i.end()
		}
	}
	return got
}

// TestLines: lines are the same however they come, and those that are too long are
// told of once.
func TestLines(t *testing.T) {
	long := strings.Repeat("x", lineMost)
	for _, c := range []struct {
		text string
		want []string
	}{
		{"a\nbc\n\n \r\nd\r\n", []string{"a", "bc", "d"}},
		{"a", nil},
		{"a\n" + long + "\nb\n", []string{"a", long, "b"}},
		{"a\n" + long + "x\nb\n", []string{"a", "(too long)", "b"}},
		{"a\n" + long + long + long + "\nb\n", []string{"a", "(too long)", "b"}},
	} {
		if got := lines(c.text); !slices.Equal(got, c.want) {
			t.Errorf("%.20q: %.50q", c.text, got)
		}
		for cut := 1; cut < len(c.text); cut += 1 + len(c.text)/50 {
			if got := lines(c.text[:cut], c.text[cut:]); !slices.Equal(got, c.want) {
				t.Errorf("%.20q cut at %d: %.50q", c.text, cut, got)
			}
		}
	}
	if got, want := lines("a\nb", "", "c\n", "", "", long+"x", "", "d\n"), []string{"a", "b", "c", "(too long)", "d"}; !slices.Equal(got, want) {
		t.Errorf("%.50q", got)
	}
}

// TestWriters: they come and go, with whole lines and with half ones, several at
// once, and the node reads on.
func TestWriters(t *testing.T) {
	b := newBack(t)
	for i := range 100 {
		text := fmt.Sprintf(`{"cmd":"list","id":"%d"}`, i)
		if i%3 > 0 { // it needs no end when its writer closes
			text += "\n"
		}
		b.say(t, text)
		until(t, "command", func() bool { return b.heard() == i+1 })
	}
	for i, c := range b.commands {
		if c.GetList() == nil || c.GetId() != fmt.Sprint(i) {
			t.Errorf("command %d is %v", i, c)
		}
	}
	out := b.listen(t)
	var writers sync.WaitGroup
	for w := range 5 {
		writers.Go(func() {
			for i := range 50 {
				b.say(t, fmt.Sprintf(`{"cmd":"send","to":"%d","message":"%s","id":"%d"}`+"\n", w, strings.Repeat("x", i*50), i))
			}
		})
	}
	for range 100 + 5*50 {
		if got := out.line(t); !strings.Contains(got, `"ok":true`) {
			t.Fatal(got)
		}
	}
	writers.Wait()
}

// TestLongLine: one of 64 KiB is a command, one that is longer is refused, and the
// next is one again.
func TestLongLine(t *testing.T) {
	b := newBack(t)
	out := b.listen(t)
	line := func(size int) string {
		s := `{"cmd":"send","to":"a","message":"`
		return s + strings.Repeat("x", size-len(s)-2) + "\"}\n"
	}
	b.say(t, line(lineMost)+line(lineMost+1)+line(3*lineMost)+line(100))
	want := []string{
		`{"event":"result","id":"","cmd":"x","ok":true,"reason":""}`,
		`{"event":"result","id":"","cmd":"","ok":false,"reason":"` + reasonLong + `"}`,
		`{"event":"result","id":"","cmd":"","ok":false,"reason":"` + reasonLong + `"}`,
		`{"event":"result","id":"","cmd":"x","ok":true,"reason":""}`,
	}
	got := []string{out.line(t), out.line(t), out.line(t), out.line(t)}
	slices.Sort(got) // commands are answered by others
	slices.Sort(want)
	if !slices.Equal(got, want) || b.heard() != 2 || len(b.commands[0].GetSend().GetMessage()) != lineMost-36 {
		t.Errorf("%q", got)
	}
}

// TestReplaced: a pipe that was removed is made anew, one that was replaced by
// something else is left alone until it is one again.
func TestReplaced(t *testing.T) {
	b := newBack(t)
	b.say(t, `{"cmd":"list"}`)
	until(t, "command", func() bool { return b.heard() == 1 })
	_ = os.Remove(b.at(nameIn))
	until(t, "new pipe", func() bool { _, err := os.Lstat(b.at(nameIn)); return err == nil })
	b.say(t, `{"cmd":"list"}`)
	until(t, "command", func() bool { return b.heard() == 2 })
	_ = os.Remove(b.at(nameOut))
	until(t, "new pipe", func() bool { _, err := os.Lstat(b.at(nameOut)); return err == nil })
	out := b.listen(t)
	out.line(t)
	out.line(t)
	secret := filepath.Join(t.TempDir(), "secret")
	write(t, secret, `{"cmd":"list"}`+"\n")
	_ = os.Remove(b.at(nameIn))
	link(t, secret, b.at(nameIn))
	// It looks every 2 s. What the link leads to is never read: the next command is
	// the one of the next pipe.
	_ = os.Remove(b.at(nameIn))
	fifo(t, b.at(nameIn), pipeMode)
	b.say(t, `{"cmd":"alias","alias":"x"}`)
	until(t, "command", func() bool { return b.heard() == 3 })
	if b.commands[2].GetAlias() == nil {
		t.Errorf("heard %v", b.commands[2])
	}
}

// TestTrouble: what is wrong with a pipe is told once, and that it is over.
func TestTrouble(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "enclave")
	p, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	_ = os.Remove(filepath.Join(dir, nameIn))
	link(t, "/dev/null", filepath.Join(dir, nameIn))
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		tries := 0
		i := &inlet{folder: p.folder, trouble: func(name string, err error) {
			if tries++; name != nameIn || err == nil || !strings.Contains(err.Error(), "is a symbolic link: remove it") {
				t.Errorf("%s: %v", name, err)
			}
			if tries == 3 {
				stop()
			}
		}}
		i.run(ctx)
		stop()
	})
	b := newBack(t)
	e := newEnds(b.sys, p, nil)
	for _, problem := range []error{nil, errors.New("x"), errors.New("x"), nil, nil} {
		e.trouble(nameIn, problem)
	}
}
