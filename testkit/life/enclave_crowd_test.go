package life_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"parley/testkit/enclave"
)

// What a crowd of strangers may cost a node, whoever and however many they are.
const (
	crowd        = 10_000   // connections
	crowdAddress = 2500     // addresses that they come from
	crowdStays   = 3000     // of the newest that their side keeps open, if the node does not close them
	crowdFiles   = 4096     // descriptors of the node: half-open-total, see cmd/parley/config/OPTIONS.md
	ownFiles     = 100      // besides, and those of strangers who wait
	crowdMemory  = 64 << 10 // KiB of the node
)

// TestEnclaveCrowd has ten thousand strangers connect, of all kinds: silent ones,
// those who drip, lie, talk nonsense, talk much, or reset. A node has room for few
// of them, a friend talks on meanwhile, and nothing is left of them in the end.
func TestEnclaveCrowd(t *testing.T) {
	anna := joinEnclave(t, "anna", "127.0.9.70", "--enclave-max-packet", fmt.Sprint(64<<10))
	friend := another(t, "127.0.9.71", enclave.Classic)
	friend.Know(anna.ip, "Anna")
	anna.does("add", "address", friend.Address, "name", "Friend")
	eventually(t, "the friend's handshake", func() bool { return friend.Seen(anna.ip).Alias == "anna" })
	pid := anna.cmd.Process.Pid
	before, files := resident(t, pid), len(descriptors(t, pid))
	var (
		all   sync.WaitGroup
		done  atomic.Bool
		stays = make(chan net.Conn, crowdStays)
	)
	all.Go(func() {
		defer done.Store(true)
		strangers(t, anna.at, stays)
	})
	most, mostFiles, said := before, files, 0
	for !done.Load() {
		most, mostFiles = max(most, resident(t, pid)), max(mostFiles, len(descriptors(t, pid)))
		if err := friend.Say(anna.ip, fmt.Sprint("word ", said)); err != nil {
			t.Fatal(err)
		}
		anna.reads("a word of the friend", func(l line) bool { return l.From == friend.IP && l.Message == fmt.Sprint("word ", said) })
		said++
	}
	all.Wait()
	most, mostFiles = max(most, resident(t, pid)), max(mostFiles, len(descriptors(t, pid)))
	held := 0
	for _, l := range anna.contactsNow() {
		if l.State == "pending" {
			held++
		}
	}
	if held > 64 {
		t.Errorf("%d strangers wait", held)
	}
	if most > before+crowdMemory {
		t.Errorf("the node took %d KiB before, and %d", before, most)
	}
	if root && mostFiles > files+crowdFiles+ownFiles {
		t.Errorf("the node had %d descriptors open before, and %d", files, mostFiles)
	}
	close(stays)
	for c := range stays {
		_ = c.Close()
	}
	eventually(t, "the node has as many descriptors as before", func() bool { return len(descriptors(t, pid)) <= files },
		func() string { return fmt.Sprint(len(descriptors(t, pid)), " descriptors, before ", files) })
	anna.does("send", "to", "Friend", "message", "still here")
	eventually(t, "a word to the friend", func() bool { return len(friend.Heard(anna.ip)) == 1 })
	t.Logf("%d strangers: the node took %d KiB before, %d at most, %d after; %d descriptors before, %d at most; %d waited; the friend said %d words meanwhile",
		crowd, before, most, resident(t, pid), files, mostFiles, held, said)
}

// strangers connect, one after the other in several rows.
func strangers(t testing.TB, to string, stays chan net.Conn) {
	const rows = 8
	var all sync.WaitGroup
	for row := range rows {
		all.Go(func() {
			for i := row; i < crowd; i += rows {
				at := i % crowdAddress
				d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 1, byte(1+at/200), byte(1+at%200))}, Timeout: patience}
				c, err := d.Dial("tcp", to)
				if err != nil {
					if !refused(err) {
						t.Error(err)
					}
					continue
				}
				if behave(c.(*net.TCPConn), i) {
					_ = c.Close()
					continue
				}
				for {
					select {
					case stays <- c:
					case oldest := <-stays:
						_ = oldest.Close()
						continue
					}
					break
				}
			}
		})
	}
	all.Wait()
}

// refused says whether a connection was reset before it was there.
func refused(err error) bool {
	bad, ok := err.(*net.OpError)
	return ok && (bad.Err.Error() == os.NewSyscallError("connect", syscall.ECONNRESET).Error())
}

// behave says what strangers say; leaves: it does not stay.
func behave(c *net.TCPConn, i int) (leaves bool) {
	say := func(text string) { _, _ = io.WriteString(c, text) } // it may be closed by now
	switch i % 8 {
	case 0: // silent
	case 1: // half a packet of the largest kind
		say("\x00\x01\x00\x00" + `{"message":"` + strings.Repeat("x", 60<<10))
	case 2: // lies
		say([]string{"\xff\xff\xff\xff", "\x80\x00\x00\x00{}", "\x00\x01\x00\x01{}"}[i/8%3])
	case 3: // nonsense
		say([]string{"GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\x02\x00\x01", strings.Repeat("\x00\x00\x00\x01x", 6)}[i/8%3])
	case 4: // talks
		say(vector + strings.Repeat("\x00\x00\x00\x10"+`{"message":"hi"}`, 20))
	case 5: // and much
		long := `{"message":"` + strings.Repeat("y", 8<<10) + `"}`
		say(vector + strings.Repeat(string([]byte{0, 0, byte(len(long) >> 8), byte(len(long))})+long, 20))
	default: // resets, with and without a word
		if i%8 == 7 {
			say(vector[:i/8%len(vector)])
		}
		_ = c.SetLinger(0)
		return true
	}
	return false
}

// contactsNow are the contacts, as the node lists them.
func (p *person) contactsNow() []line {
	p.t.Helper()
	id := fmt.Sprint("contacts ", time.Now().UnixNano())
	b, err := json.Marshal(map[string]string{"cmd": "list", "id": id})
	if err != nil {
		p.t.Fatal(err)
	}
	p.echo(string(b))
	p.reads("a list", func(l line) bool { return l.Event == "result" && l.ID == id })
	var all []line
	for _, l := range p.all() { // the newest list is before its result
		switch {
		case l.Event == "contacts":
			all = l.Contacts
		case l.Event == "result" && l.ID == id:
			return all
		}
	}
	return nil
}
