package life_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"parley/testkit/enclave"
)

// TestEnclaveTwoNodes is two people who get to know each other, with nothing but
// cat and echo.
func TestEnclaveTwoNodes(t *testing.T) {
	anna := joinEnclave(t, "anna", "127.0.9.1")
	ben := joinEnclave(t, "ben", "127.0.9.2")
	ben.does("add", "address", anna.at, "name", "Anna A.")
	anna.reads("a request of ben", func(l line) bool {
		return l.Event == "request" && l.Address == ben.ip && l.Alias == "ben" && l.Status == 1
	})
	ben.does("send", "to", "Anna A.", "message", "hello?")
	ben.reads("that it waits", func(l line) bool { return l.Event == "queued" && l.To == anna.ip && l.Name == "Anna A." })
	ben.does("list")
	if got := ben.reads("contacts", func(l line) bool { return l.Event == "contacts" }).Contacts; len(got) != 1 || got[0].Status != 0 || got[0].Alias != "" {
		t.Errorf("before it was let in, ben knows of anna %+v", got)
	}
	anna.does("accept", "address", ben.ip, "name", "Ben")
	anna.reads("what ben has said", func(l line) bool { return l.Event == "message" && l.Message == "hello?" && l.Name == "Ben" })
	ben.reads("that it was delivered", func(l line) bool { return l.Event == "delivered" && l.To == anna.ip })
	ben.sees(anna.ip, 1, "")
	anna.echo(`{"cmd":"status","status":3,"status-message":"busy"}`)
	ben.sees(anna.ip, 3, "busy")
	anna.does("alias", "alias", "A")
	ben.reads("another alias", func(l line) bool { return l.Event == "status" && l.Alias == "A" && l.Name == "Anna A." })
	anna.does("send", "to", "Ben", "message", "hello!")
	ben.reads("what anna says", func(l line) bool { return l.Event == "message" && l.Message == "hello!" && l.From == anna.ip })
	ben.end(syscall.SIGTERM)
	anna.sees(ben.ip, 0, "")
	ben.start()
	anna.sees(ben.ip, 1, "")
	anna.does("ignore", "address", "Ben")
	ben.sees(anna.ip, 0, "")
	mute(t, ben.ip, anna.at)
	if got := anna.told(ben.ip); !slices.Equal(got, []string{"hello?"}) {
		t.Errorf("anna was told %q", got)
	}
}

// mute calls a node from an address, and must be hung up on without a word.
func mute(t testing.TB, from, to string) {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.Dial("tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetReadDeadline(time.Now().Add(patience))
	if b, err := io.ReadAll(c); len(b) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%s was told %q, %v", from, b, err)
	}
}

// another starts a peer of another make.
func another(t testing.TB, ip string, spelling enclave.Spelling) *enclave.Peer {
	t.Helper()
	p, err := enclave.NewPeer(ip+":0", "other", spelling)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// TestEnclaveAnotherMake has a peer that knows nothing but the notes take part in
// all of it.
func TestEnclaveAnotherMake(t *testing.T) {
	for i, spelling := range []enclave.Spelling{enclave.Classic, enclave.Newer} {
		t.Run(string(spelling), func(t *testing.T) {
			anna := joinEnclave(t, "anna", fmt.Sprintf("127.0.9.%d", 10+i))
			o := another(t, fmt.Sprintf("127.0.9.%d", 20+i), spelling)
			unknown(t, anna, o)
			o.Set(enclave.Busy, "away")
			anna.sees(o.IP, 3, "away")
			anna.echo(`{"cmd":"status","status":2,"status-message":"lunch"}`)
			eventually(t, "the peer sees a status", func() bool {
				return o.Seen(anna.ip) == enclave.Seen{Alias: "anna", Status: enclave.Away, StatusMessage: "lunch"}
			})
			anna.end(syscall.SIGTERM)
			eventually(t, "the peer sees that anna is offline", func() bool { return o.Seen(anna.ip).Status == enclave.Offline && o.Links(anna.ip) == 0 })
			o.Close()
			anna.start()
			waits(t, anna, o.IP, spelling)
			anna.does("ignore", "address", "Other")
			mute(t, o.IP, anna.at)
		})
	}
}

// unknown is a peer that calls, is held, and is let in.
func unknown(t *testing.T, anna *person, o *enclave.Peer) {
	o.Know(anna.ip, "Anna")
	if err := o.Call(anna.at); err != nil {
		t.Fatal(err)
	}
	held := []string{"one", "two", "three"}
	for _, text := range held {
		if err := o.Say(anna.ip, text); err != nil {
			t.Fatal(err)
		}
	}
	anna.reads("a request", func(l line) bool {
		return l.Event == "request" && l.Address == o.IP && l.Held == 3 && l.Alias == "other"
	})
	if raw := o.Raw(anna.ip); len(raw) > 0 {
		t.Errorf("the unknown caller was told %q", raw)
	}
	anna.does("accept", "address", o.IP, "name", "Other")
	eventually(t, "held messages", func() bool { return len(anna.told(o.IP)) == 3 })
	if got := anna.told(o.IP); !slices.Equal(got, held) {
		t.Errorf("anna was told %q", got)
	}
	eventually(t, "the handshake", func() bool { return o.Seen(anna.ip) == enclave.Seen{Alias: "anna", Status: enclave.Available} })
	anna.does("send", "to", "Other", "message", "hello")
	anna.reads("that it was sent", func(l line) bool { return l.Event == "sent" && l.To == o.IP })
	eventually(t, "a message", func() bool { return slices.Equal(o.Heard(anna.ip), []string{"hello"}) })
}

// waits leaves messages for a peer that is offline, and kills the node.
func waits(t *testing.T, anna *person, ip string, spelling enclave.Spelling) {
	var want []string
	for i := range 20 {
		want = append(want, fmt.Sprint("m", i))
		anna.does("send", "to", "Other", "message", want[i])
		if i%7 == 6 {
			anna.end(syscall.SIGKILL)
			anna.start()
		}
	}
	o := another(t, ip, spelling)
	o.Know(anna.ip, "Anna")
	if err := o.Call(anna.at); err != nil {
		t.Fatal(err)
	}
	eventually(t, "what has waited", func() bool { return len(o.Heard(anna.ip)) >= len(want) })
	if got := o.Heard(anna.ip); !slices.Equal(got, want) {
		t.Errorf("the peer heard %q", got)
	}
}

// program runs a verb of the program, which must succeed.
func program(t *testing.T, args ...string) string {
	t.Helper()
	out, err := said(args...)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

// said is what a verb of the program prints.
func said(args ...string) (out []byte, err error) {
	at, err := binary()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(at, args...)
	var trouble strings.Builder
	cmd.Stderr = &trouble
	if out, err = cmd.Output(); err != nil {
		err = fmt.Errorf("parley %s: %w\n%s", strings.Join(args, " "), err, trouble.String())
	}
	return out, err
}

// TestBenchEnclave runs all scenarios, small. Nothing here depends on how long it
// takes.
func TestBenchEnclave(t *testing.T) {
	type run struct {
		Target   string
		Messages uint64
		Time     *struct{ Count uint64 }
		Memory   *struct {
			Prefix int64 `json:"prefix_kib"`
			Online int64 `json:"online_kib"`
		}
	}
	for _, c := range []struct {
		scenario string
		flags    []string
		runs     int
		check    func(r run) bool
	}{
		{"burst", nil, 2, func(r run) bool { return r.Messages > 0 }},
		{"burst", []string{"--foreign"}, 2, func(r run) bool { return r.Messages > 0 }},
		{"outbox", nil, 2, func(r run) bool { return r.Messages > 0 && r.Time.Count == r.Messages }},
		{"friends", []string{"--friends", "20"}, 1, func(r run) bool { return r.Memory.Online > 0 }},
		{"prefix", []string{"--friends", "20"}, 1, func(r run) bool { return r.Memory.Prefix > 0 }},
		{"latency", []string{"--rate", "500"}, 2, func(r run) bool { return r.Messages == 100 && r.Time.Count == 100 }},
	} {
		t.Run(c.scenario+strings.Join(c.flags, " "), func(t *testing.T) {
			flags := append([]string{"bench", "enclave", "--json", "--scenario", c.scenario, "--duration", "200ms", "--settle", "10ms"}, c.flags...)
			var r struct{ Runs []run }
			if err := json.Unmarshal([]byte(program(t, flags...)), &r); err != nil || len(r.Runs) != c.runs {
				t.Fatalf("%v, %+v", err, r)
			}
			for _, one := range r.Runs {
				if !c.check(one) {
					t.Errorf("%+v", one)
				}
			}
		})
	}
	at, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(at, "bench", "enclave", "--duration", "100ms", "--against-limit=false", "--goal-rate", "1e12").CombinedOutput()
	var code *exec.ExitError
	if !errors.As(err, &code) || code.ExitCode() != 1 || !strings.Contains(string(out), "messages a second is") {
		t.Errorf("a goal that nobody reaches: %v, %s", err, out)
	}
}
