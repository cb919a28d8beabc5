package life_test

import (
	be "encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"testing"
	"time"
)

// TestEnclaveContactAgain has a contact removed and added, and ignored and let in,
// while its node stays up: everything that is said to it arrives, once and in order.
func TestEnclaveContactAgain(t *testing.T) {
	anna, ben := joinEnclave(t, "anna", "127.0.9.120"), joinEnclave(t, "ben", "127.0.9.121")
	anna.does("add", "address", ben.at, "name", "Ben")
	ben.does("add", "address", anna.at, "name", "Anna")
	var want []string
	say := func(text string) {
		anna.does("send", "to", "Ben", "message", text)
		want = append(want, text)
		anna.reads("that it was delivered", func(l line) bool { return l.Event == "delivered" && l.ID == "to Ben message "+text })
	}
	for i := range 3 {
		say(fmt.Sprint("first ", i))
	}
	anna.does("remove", "address", "Ben")
	anna.does("add", "name", "Ben", "address", ben.at) // in another order, for another id
	for i := range 5 {
		say(fmt.Sprint("second ", i))
	}
	anna.does("ignore", "address", "Ben")
	anna.does("accept", "address", ben.ip)
	for i := range 7 {
		say(fmt.Sprint("third ", i))
	}
	ben.reads("the last", func(l line) bool { return l.Event == "message" && l.Message == want[len(want)-1] })
	if got := ben.told(anna.ip); !slices.Equal(got, want) {
		t.Errorf("ben was told %q", got)
	}
}

// framed is a packet with its length.
func framed(content string) []byte {
	return append(be.BigEndian.AppendUint32(nil, uint32(len(content))), content...)
}

// TestEnclaveLastWords has many peers say a few things, then status 0, and close at
// once: all of it is told, and none of them is dialled for a while.
func TestEnclaveLastWords(t *testing.T) {
	const (
		peers = 40
		words = 10
		quiet = 5 * time.Second // a peer that just broke off is dialled again after 1.5 s at most
	)
	anna := joinEnclave(t, "anna", "127.0.9.130")
	type peer struct {
		ip string
		l  *net.TCPListener
		c  net.Conn
	}
	var all []*peer
	for i := range peers {
		p := &peer{ip: fmt.Sprintf("127.0.9.%d", 131+i)}
		l, err := net.Listen("tcp", p.ip+":0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		p.l = l.(*net.TCPListener)
		anna.does("add", "address", l.Addr().String())
		all = append(all, p)
	}
	for _, p := range all {
		_ = p.l.SetDeadline(time.Now().Add(patience))
		c, err := p.l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		p.c = c
		if _, err := c.Write(framed(`{"status":1,"alias":"p","timestamp":1}`)); err != nil {
			t.Fatal(err)
		}
		anna.sees(p.ip, 1, "")
		head := make([]byte, 4)
		if _, err := io.ReadFull(c, head); err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(io.Discard, c, int64(be.BigEndian.Uint32(head))); err != nil { // or to close would be to reset
			t.Fatal(err)
		}
	}
	var want []string
	var last []byte
	for i := range words {
		want = append(want, fmt.Sprint("word ", i))
		last = append(last, framed(fmt.Sprintf(`{"message":%q}`, want[i]))...)
	}
	last = append(last, framed(`{"status":0,"timestamp":1}`)...)
	for _, p := range all {
		if _, err := p.c.Write(last); err != nil {
			t.Fatal(err)
		}
		_ = p.c.Close()
	}
	wait := quiet // for the first: for who has called the others meanwhile, no more is needed than a moment
	for _, p := range all {
		anna.sees(p.ip, 0, "")
		_ = p.l.SetDeadline(time.Now().Add(wait))
		wait = 50 * time.Millisecond
		if c, err := p.l.Accept(); err == nil {
			_ = c.Close()
			t.Errorf("%s was dialled again", p.ip)
		}
		if got := anna.told(p.ip); !slices.Equal(got, want) {
			t.Errorf("of %s was told %q", p.ip, got)
		}
	}
}
