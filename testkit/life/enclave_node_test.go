package life_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// person is a Node that takes part in Enclave, and who sits before it: what is
// typed goes through echo, and what is read comes from cat.
type person struct {
	t    testing.TB
	name string
	ip   string
	dir  string
	at   string // where friends connect, once it has started
	port uint16 // for user interfaces; 0: it has none
	bare bool   // it has no user interfaces
	deaf bool   // nobody sits before it
	cmd  *exec.Cmd
	over chan struct{} // closed when the node has ended

	reading sync.WaitGroup

	mu    sync.Mutex
	said  strings.Builder // stderr
	lines []line          // that cat has read, of all lives
	texts []string        // the same
}

// line is what a front end is told. Source: gateways/enclave/PROTOCOL.md, Front
// ends.
type line struct {
	Event         string
	Address       string
	From          string
	To            string
	Name          string
	Message       string
	ID            string
	Cmd           string
	OK            bool
	Reason        string
	Alias         string
	Status        int
	StatusMessage string `json:"status-message"`
	Held          int
	Contacts      []line
	State         string
}

// Write collects what the node says on stderr.
func (p *person) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.said.Write(b)
}

func (p *person) log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.said.String()
	return s[max(0, len(s)-lastSaid):]
}

// joinEnclave starts a node at an IP of its own.
func joinEnclave(t testing.TB, name, ip string, args ...string) *person {
	t.Helper()
	p := &person{t: t, name: name, ip: ip, dir: directory(t), at: ip + ":0"}
	p.start(args...)
	return p
}

// start starts the node, again at the same place if it has run before.
func (p *person) start(args ...string) {
	p.t.Helper()
	at, err := binary()
	if err != nil {
		p.t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(p.at)
	words := []string{
		"node", "--node-name", p.name, "--clandestine-port", "0", "--metrics-address", "off", "--star-address", "off",
		"--enclave-address", p.ip, "--enclave-port", port, "--data-directory", p.dir,
	}
	if !p.bare {
		words = append(words, "--ui-port", "0")
	}
	p.cmd = exec.Command(at, append(words, args...)...)
	p.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "NO_COLOR=1"}
	p.cmd.Stderr, p.over = p, make(chan struct{})
	out, err := p.cmd.StdoutPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { p.end(syscall.SIGTERM) })
	text, err := bufio.NewReader(out).ReadString('\n')
	go func(cmd *exec.Cmd, over chan struct{}) {
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Wait() // its state is looked at by who asks
		close(over)
	}(p.cmd, p.over)
	var ready struct{ UI, Enclave string }
	text, ok := strings.CutPrefix(text, "ready ")
	if err != nil || !ok || json.Unmarshal([]byte(text), &ready) != nil || ready.Enclave == "" {
		p.t.Fatalf("%s did not get ready: %v; it said\n%s", p.name, err, p.log())
	}
	p.at = ready.Enclave
	if ready.UI != "" {
		ui, err := net.ResolveTCPAddr("tcp", ready.UI)
		if err != nil {
			p.t.Fatal(err)
		}
		p.port = uint16(ui.Port)
	}
	if !p.deaf {
		p.cat()
	}
}

// end ends the node, if it still runs, and waits until all was read that it had
// to say. In order it must end with 0.
func (p *person) end(s syscall.Signal) {
	p.t.Helper()
	select {
	case <-p.over:
		return
	default:
	}
	_ = p.cmd.Process.Signal(s)
	<-p.over
	if f, err := os.OpenFile(p.pipe("out"), os.O_RDWR, 0); err == nil { // cat may still wait for the node to open it
		_ = f.Close()
	}
	p.reading.Wait()
	if code := p.cmd.ProcessState.ExitCode(); s == syscall.SIGTERM && code != 0 {
		p.t.Errorf("%s ended with %d", p.name, code)
	}
	if p.t.Failed() {
		p.t.Logf("%s said\n%s", p.name, p.log())
	}
}

func (p *person) pipe(name string) string { return filepath.Join(p.dir, "enclave", name) }

// cat reads what the node says, until it ends.
func (p *person) cat() {
	p.t.Helper()
	cmd := exec.Command("cat", p.pipe("out"))
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		p.t.Fatal(err)
	}
	p.reading.Go(func() {
		for r := bufio.NewReader(out); ; {
			text, err := r.ReadString('\n')
			if err != nil {
				break
			}
			var l line
			if text == "\n" || json.Unmarshal([]byte(text), &l) != nil {
				continue
			}
			p.mu.Lock()
			p.lines, p.texts = append(p.lines, l), append(p.texts, strings.TrimSuffix(text, "\n"))
			p.mu.Unlock()
		}
		_ = cmd.Wait() // it ends with the node, however that ends
	})
}

// echo types a line.
func (p *person) echo(text string) {
	p.t.Helper()
	if out, err := exec.Command("sh", "-c", `echo "$1" > "$0"`, p.pipe("in"), text).CombinedOutput(); err != nil {
		p.t.Fatalf("echo at %s: %v: %s", p.name, err, out)
	}
}

// does types a command, which must succeed.
func (p *person) does(cmd string, more ...string) {
	p.t.Helper()
	id := quoted(strings.Join(more, " "))
	p.echo(`{"cmd":` + quoted(cmd) + `,` + pairs(more) + `"id":` + id + `}`)
	got := p.reads("result of "+cmd, func(l line) bool { return l.Event == "result" && l.Cmd == cmd && quoted(l.ID) == id })
	if !got.OK {
		p.t.Fatalf("%s cannot %s: %s", p.name, cmd, got.Reason)
	}
}

// pairs are keys and strings, as members of an object.
func pairs(all []string) (s string) {
	for pair := range slices.Chunk(all, 2) {
		s += quoted(pair[0]) + ":" + quoted(pair[1]) + ","
	}
	return s
}

// reads waits until a line has come that is meant.
func (p *person) reads(what string, is func(line) bool) (found line) {
	p.t.Helper()
	eventually(p.t, p.name+" reads "+what, func() bool {
		for _, l := range p.all() {
			if is(l) {
				found = l
				return true
			}
		}
		return false
	}, p.log)
	return found
}

// all is what was read so far.
func (p *person) all() []line {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.lines)
}

// last is the newest lines, for people.
func (p *person) last() string {
	const most = 50
	all := p.all()
	return fmt.Sprintf("%d lines, the last are %+v", len(all), all[max(0, len(all)-most):])
}

// told is the texts of an address that were read so far.
func (p *person) told(from string) (texts []string) {
	for _, l := range p.all() {
		if l.Event == "message" && l.From == from {
			texts = append(texts, l.Message)
		}
	}
	return texts
}

// sees waits until a contact has a status and its message.
func (p *person) sees(address string, status int, message string) {
	p.t.Helper()
	eventually(p.t, p.name+" sees "+address, func() bool {
		all := p.all()
		slices.Reverse(all)
		i := slices.IndexFunc(all, func(l line) bool { return l.Event == "status" && l.Address == address })
		return i >= 0 && all[i].Status == status && all[i].StatusMessage == message
	}, p.log)
}

// remembers is what a contact has said, as the node's history has it.
func (p *person) remembers(with string) (texts []string) {
	p.t.Helper()
	u := connect(p.t, p.port)
	defer u.leave()
	for before := uint64(0); ; {
		var h struct {
			Entries []struct {
				Serial  uint64 `json:"serial"`
				Own     bool   `json:"own"`
				Message string `json:"message"`
			} `json:"entries"`
			More bool `json:"more"`
		}
		u.ask("history", fmt.Sprintf(`{"with":%s,"most":1000,"before":%d}`, quoted(with), before)).want(p.t).into(p.t, &h)
		var page []string
		for _, e := range h.Entries {
			if !e.Own {
				page = append(page, e.Message)
			}
		}
		texts = append(page, texts...)
		if !h.More {
			return texts
		}
		before = h.Entries[0].Serial
	}
}
