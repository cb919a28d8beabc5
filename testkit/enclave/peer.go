package enclave

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"
)

// Statuses. Source: Enclave, status.
const (
	Offline = iota
	Available
	Away
	Busy
)

// Spelling is how a peer says its status message.
type Spelling string

// The notes' spelling, and that of newer peers.
const (
	Classic Spelling = "status-message"
	Newer   Spelling = "statusmsg"
)

// Peer is a node of another make: its address book, a server, and a TCP connection to every friend that is online. It sends what
// the notes ask for and nothing else, and knows of no other keys. Its methods may be called from any goroutine.
type Peer struct {
	IP      string // who it is
	Address string // where it listens

	spelling Spelling
	listener net.Listener
	all      sync.WaitGroup

	mu      sync.Mutex // guards what follows
	alias   string
	status  int
	message string            // of status
	book    map[string]string // address → name
	links   []*wire
	heard   map[string][]string
	seen    map[string]Seen
	raw     map[string][]string
	closed  bool
}

// Seen is how a friend was last seen.
type Seen struct {
	Alias         string
	Status        int
	StatusMessage string
}

// wire is one connection.
type wire struct {
	net.Conn

	ip     string
	dialed bool
	mute   bool       // it is nobody's: nothing is said
	out    sync.Mutex // a packet is written whole
}

// packet is all that there is. Source: Enclave, Protocol Specification.
type packet struct {
	Alias     *string `json:"alias,omitempty"`
	Status    *int    `json:"status,omitempty"`
	Classic   *string `json:"status-message,omitempty"`
	Newer     *string `json:"statusmsg,omitempty"`
	Message   *string `json:"message,omitempty"`
	Timestamp int64   `json:"timestamp"`
}

// lengthSize is the bytes of a length.
const lengthSize = 4

// NewPeer starts a peer that listens on host:port of an IP of its own; port 0 is any.
func NewPeer(address, alias string, spelling Spelling) (*Peer, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("enclave: listen as a peer: %w", err)
	}
	p := &Peer{
		IP: ipOf(l.Addr()), Address: l.Addr().String(), spelling: spelling, listener: l, alias: alias, status: Available,
		book: map[string]string{}, heard: map[string][]string{}, seen: map[string]Seen{}, raw: map[string][]string{},
	}
	p.all.Go(p.serve)
	return p, nil
}

func ipOf(a net.Addr) string {
	host, _, _ := net.SplitHostPort(a.String())
	return host
}

func (p *Peer) serve() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return // closed
		}
		p.take(&wire{Conn: c, ip: ipOf(c.RemoteAddr())})
	}
}

// Know puts an address into the book. Who has called before may come in from now on.
func (p *Peer) Know(ip, name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.book[ip] = name
}

// Call connects to the node at host:port.
func (p *Peer) Call(address string) error {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(p.IP)}, Timeout: time.Minute}
	c, err := d.Dial("tcp", address)
	if err != nil {
		return fmt.Errorf("enclave: call: %w", err)
	}
	p.take(&wire{Conn: c, ip: ipOf(c.RemoteAddr()), dialed: true})
	return nil
}

// take checks who is at the other end. Source: Enclave, Network Protocol, 1 to 3.
func (p *Peer) take(w *wire) {
	p.mu.Lock()
	_, known := p.book[w.ip]
	w.mute = !known && !w.dialed
	gone := p.closed || w.mute
	if !gone {
		p.links = append(p.links, w)
	}
	first := packet{Alias: &p.alias, Status: &p.status}
	p.spell(&first, p.message)
	b := p.encode(first)
	p.mu.Unlock()
	if gone {
		_ = w.Close()
		return
	}
	_ = w.say(b) // a connection that fails is read as one
	p.all.Go(func() { p.read(w) })
}

func (p *Peer) spell(to *packet, message string) {
	if p.spelling == Newer {
		to.Newer = &message
	} else {
		to.Classic = &message
	}
}

func (p *Peer) encode(k packet) []byte {
	k.Timestamp = time.Now().Unix()
	content, err := json.Marshal(k)
	if err != nil {
		panic(err) // strings and numbers
	}
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(content))), content...)
}

func (w *wire) say(b []byte) error {
	w.out.Lock()
	defer w.out.Unlock()
	_, err := w.Write(b)
	return err
}

// read takes packets until the connection ends.
func (p *Peer) read(w *wire) {
	defer p.drop(w)
	for {
		var length [lengthSize]byte
		if _, err := io.ReadFull(w, length[:]); err != nil {
			return
		}
		content := make([]byte, binary.BigEndian.Uint32(length[:]))
		if _, err := io.ReadFull(w, content); err != nil {
			return
		}
		if p.hear(w, content) {
			return
		}
	}
}

// hear takes a packet; over: the peer goes offline.
func (p *Peer) hear(w *wire, content []byte) (over bool) {
	var k packet
	err := json.Unmarshal(content, &k)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.raw[w.ip] = append(p.raw[w.ip], string(content))
	if err != nil {
		return false
	}
	s := p.seen[w.ip]
	if k.Alias != nil {
		s.Alias = *k.Alias
	}
	if k.Status != nil {
		s.Status = *k.Status
		over = s.Status == Offline
	}
	for _, m := range []*string{k.Newer, k.Classic} {
		if m != nil {
			s.StatusMessage = *m
		}
	}
	p.seen[w.ip] = s
	if k.Message != nil {
		p.heard[w.ip] = append(p.heard[w.ip], *k.Message)
	}
	return over
}

func (p *Peer) drop(w *wire) {
	_ = w.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.links = slices.DeleteFunc(p.links, func(l *wire) bool { return l == w })
	if p.link(w.ip) == nil {
		s := p.seen[w.ip]
		s.Status = Offline
		p.seen[w.ip] = s
	}
}

// link is the newest to an address; nil: there is none.
func (p *Peer) link(ip string) *wire {
	for _, w := range slices.Backward(p.links) {
		if w.ip == ip {
			return w
		}
	}
	return nil
}

// Say sends a message to a friend that is online.
func (p *Peer) Say(ip, text string) error {
	p.mu.Lock()
	w := p.link(ip)
	p.mu.Unlock()
	if w == nil {
		return fmt.Errorf("enclave: %s is offline", ip)
	}
	return w.say(p.encode(packet{Message: &text}))
}

// Set changes how the peer is, and tells all friends.
func (p *Peer) Set(status int, message string) {
	p.mu.Lock()
	p.status, p.message = status, message
	k := packet{Status: &status}
	p.spell(&k, message)
	p.mu.Unlock()
	p.tell(k)
}

func (p *Peer) tell(k packet) {
	b := p.encode(k)
	p.mu.Lock()
	all := slices.Clone(p.links)
	p.mu.Unlock()
	for _, w := range all {
		_ = w.say(b) // a connection that fails is read as one
	}
}

// Heard is what an address has said, in order.
func (p *Peer) Heard(ip string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.heard[ip])
}

// Raw is the packets of an address, as they came.
func (p *Peer) Raw(ip string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.raw[ip])
}

// Seen is how an address was last seen.
func (p *Peer) Seen(ip string) Seen {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen[ip]
}

// Links is how many connections there are with an address.
func (p *Peer) Links(ip string) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range p.links {
		if w.ip == ip {
			n++
		}
	}
	return n
}

// Close tells all friends that the peer goes offline, and ends it. It may be called again.
func (p *Peer) Close() {
	p.mu.Lock()
	was := p.closed
	p.closed = true
	all := slices.Clone(p.links)
	p.mu.Unlock()
	if !was {
		off := Offline
		b := p.encode(packet{Status: &off})
		_ = p.listener.Close()
		for _, w := range all {
			_ = w.say(b)
			_ = w.Close()
		}
	}
	p.all.Wait()
}
