package star

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"parley/cmd/parley/conform/suite"
	"parley/cmd/parley/starclient"
)

func itoa(n int) string { return strconv.Itoa(n) }

// unescaped is JSON as our own encoder writes it.
func unescaped(text string) string {
	var v any
	if json.Unmarshal([]byte(text), &v) != nil {
		return text
	}
	b, err := json.Marshal(v)
	if err != nil {
		return text
	}
	return string(b)
}

func slow(c suite.Case) suite.Case {
	c.Slow = true
	return c
}

// wantsEnd hears the end of a stream; the other direction's may come before it.
func (a *peer) wantsEnd(id string) {
	for !a.done() {
		f := a.next(ends(id))
		if string(f.Data) == ends(id) {
			return
		}
		a.p.Demand(strings.HasPrefix(string(f.Data), `42["socket.io-pull-stream.error.`), "%s came, not %s", shown(f), ends(id))
	}
}

// refusing is what a server does with what no client should say.
func refusing(o *Options) []suite.Case {
	all := []suite.Case{
		scene(o, "rules/arguments of the wrong kind are answered", func(p *play) {
			a := p.connect(three)
			a.refuses("", starclient.EventJoin, 5, "")
			a.refuses("", starclient.EventJoin)
			a.refuses("", starclient.EventDial, p.fresh(), nil, "d")
			a.refuses("", starclient.EventJoin, strings.Repeat("x", 100_000), "")
			a.quiet()
		}),
		scene(o, "rules/addresses of other networks are refused", func(p *play) {
			a := p.connect(three)
			for _, address := range []string{"", "nonsense", "/ip4/127.0.0.1/tcp/1/ws", "/ip4/127.0.0.1/udp/1/ws/p2p-websocket-star/ipfs/" + p.key.ID} {
				a.refuses("Invalid multiaddr", starclient.EventJoin, address, p.key.PublicKey())
			}
		}),
		scene(o, "rules/an address that would crash others is not announced", func(p *play) {
			a, b := p.visitor(three), p.connect(three)
			odd := strings.Replace(p.fresh(), "/ipfs/", "/p2p/", 1)
			b.joins(odd)
			c := p.connect(three)
			others := c.joins(p.fresh())
			a.hears(c.address)
			p.Demand(!a.heard[odd] && !strings.Contains(strings.Join(others, " "), odd), "%s was announced", odd)
		}),
		scene(o, "rules/answers that nobody waits for are ignored", func(p *play) {
			a := p.connect(three)
			for i := range 1000 {
				a.say("43" + itoa(i) + `["x"]`)
			}
			a.quiet()
		}),
	}
	for _, b := range broken {
		all = append(all, scene(o, "rules/closed after "+b.what, func(p *play) {
			a := p.connect(three)
			b.do(a)
			a.closed()
		}))
	}
	return append(all, answers(o)...)
}

// broken are frames after which nothing can be understood any more.
var broken = []struct {
	what string
	do   func(a *peer)
}{
	{"bad JSON", func(a *peer) { a.say(`42["ss-join",`) }},
	{"an unknown packet of Engine.IO", func(a *peer) { a.say("x") }},
	{"an empty frame", func(a *peer) { a.say("") }},
	{"a binary that nobody announced", func(a *peer) { a.binary(4, 1, 2, 3) }},
	{"an event where an attachment is due", func(a *peer) { a.say(chunk("d.dialer")); a.say(`42["x"]`) }},
	{"nine attachments", func(a *peer) { a.say(`459-["x"]`) }},
	{"placeholders that are nested in each other", func(a *peer) {
		a.packet(`51-["x",{"_placeholder":true,"num":{"_placeholder":true,"num":0}}]`, []byte("x"))
	}},
	{"a placeholder that is named twice", func(a *peer) {
		a.packet(`52-["x",{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]`, []byte("x"), []byte("y"))
	}},
	{"a placeholder of no attachment", func(a *peer) { a.packet(`51-["x",{"_placeholder":true,"num":7}]`, []byte("x")) }},
	{"five megabytes", func(a *peer) { a.packet(chunk("d.dialer")[1:], make([]byte, 5<<20)) }},
}

// answers are those of plain HTTP.
func answers(o *Options) []suite.Case {
	return []suite.Case{
		scene(o, "wire/a page at /", func(p *play) { p.gets("/", http.StatusOK, "") }),
		scene(o, "rules/no other transport", func(p *play) {
			p.gets("/socket.io/?EIO=3&transport=polling", http.StatusBadRequest, `{"code":0,"message":"Transport unknown"}`)
		}),
		scene(o, "rules/unknown sessions", func(p *play) {
			p.gets("/socket.io/?EIO=3&transport=websocket&sid=nobody", http.StatusBadRequest, `{"code":1,"message":"Session ID unknown"}`)
		}),
		scene(o, "rules/other paths are not found", func(p *play) {
			p.gets("/nothing/here", http.StatusNotFound, "")
			p.connect(three)
		}),
	}
}

// gets asks for a page; body: of the answer, "": any.
func (p *play) gets(path string, status int, body string) {
	at, err := starclient.URL(p.o.Address, three)
	if err != nil || p.Err != nil {
		p.check(err)
		return
	}
	u, err := url.Parse(at)
	p.check(err)
	u.Scheme = map[string]string{"ws": "http", "wss": "https"}[u.Scheme]
	u.Path, u.RawQuery, _ = strings.Cut(path, "?")
	ctx, cancel := context.WithTimeout(p.ctx, p.o.Answer)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		p.check(err)
		return
	}
	q.Close = true // a connection kept would have to be closed
	res, err := http.DefaultClient.Do(q)
	if err != nil {
		p.check(err)
		return
	}
	defer res.Body.Close()
	const bodyMost = 64 << 10
	b, err := io.ReadAll(io.LimitReader(res.Body, bodyMost))
	p.check(err)
	got := strings.TrimSpace(string(b))
	p.Demand(res.StatusCode == status && (body == "" || got == body), "%s was answered %d %.200s, not %d %s", path, res.StatusCode, got, status, body)
}

func (p *play) check(err error) {
	if err != nil {
		p.Fail("%w", err)
	}
}

// owning is whose a stream is.
func owning(o *Options) []suite.Case {
	return []suite.Case{
		scene(o, "rules/the id of a dial that lives is taken", func(p *play) {
			a, b := p.two()
			a.dials(b, "d")
			a.refuses("Dial id in use", starclient.EventDial, a.address, b.address, "d")
			a.sends(b, "d.dialer", []byte("untouched"))
		}),
		scene(o, "rules/the id of a dial that is over is free", func(p *play) {
			a, b := p.two()
			for range 3 {
				a.dials(b, "d")
				a.say(ends("d.dialer"))
				b.wants(ends("d.dialer"))
				b.say(ends("d.listener"))
				a.wants(ends("d.listener"))
				for !a.done() && a.ask(starclient.EventDial, a.address, p.fresh(), "d") == `["Dial id in use"]` { // until the server has seen it, too
					continue
				}
			}
		}),
		scene(o, "rules/strangers cannot speak into a stream, nor end it", func(p *play) {
			a, b := p.two()
			c := p.visitor(three)
			a.dials(b, "d")
			for _, id := range []string{"d.dialer", "d.listener"} {
				c.packet(chunk(id)[1:], []byte("injected"))
				c.say(accept(id))
				c.say(ends(id))
			}
			c.say("2")
			for text := ""; text != "3" && !c.done(); { // that no such stream is there may be said
				text = string(c.next("3").Data)
				p.Demand(text == "3" || strings.HasPrefix(text, `42["socket.io-pull-stream.error.`), "%.200s came", text)
			}
			a.sends(b, "d.dialer", []byte("own"))
			b.sends(a, "d.listener", []byte("own"))
		}),
		scene(o, "rules/the same id is another's dial with others", func(p *play) {
			a, b := p.two()
			c, d := p.two()
			a.dials(b, "d")
			c.dials(d, "d")
			a.sends(b, "d.dialer", []byte("a"))
			c.sends(d, "d.dialer", []byte("c"))
			c.say(ends("d.dialer"))
			d.wants(ends("d.dialer"))
			b.quiet()
		}),
		slow(scene(o, "rules/who does not answer a dial is given up", func(p *play) {
			a, b := p.two()
			id := a.emit(starclient.EventDial, a.address, b.address, "d")
			a.wants(accept("d.dialer"))
			b.incoming("d", a.address)
			// The server waits for ten seconds.
			if p.Err == nil {
				p.Err = pause(p.ctx, ackTime)
			}
			a.wantsAll("43" + itoa(id) + `["Dial timed out"]`)
		})),
	}
}

// ackTime is what clients have to answer. Source: gateways/star/PROTOCOL.md, Limits.
const ackTime = 10 * time.Second

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// translating is Engine.IO 4 beside 3.
func translating(o *Options) []suite.Case {
	return []suite.Case{
		scene(o, "rules/Engine.IO 4: connects when asked to", func(p *play) {
			a := p.connect(four)
			a.say("40/x,")
			a.wants(`44/x,{"message":"Invalid namespace"}`)
		}),
		scene(o, "rules/Engine.IO 4: joins and is heard of", func(p *play) {
			a := p.visitor(three)
			b := p.visitor(four)
			a.hears(b.address)
			c := p.visitor(three)
			b.hears(c.address)
		}),
		scene(o, "rules/Engine.IO 4: dials and is dialled by 3", func(p *play) {
			a, b := p.visitor(three), p.visitor(four)
			a.dials(b, "one")
			b.dials(a, "two")
			for _, data := range [][]byte{[]byte("hello"), {}, {4}} {
				a.sends(b, "one.dialer", data)
				b.sends(a, "one.listener", data)
				b.sends(a, "two.dialer", data)
			}
		}),
	}
}

// What a server may take for a receiver that does not read, and when its sender must have heard of it.
const (
	takenMost  = 256 << 20 // bytes
	silentMost = 45 * time.Second
)

// unread sends to somebody who does not read until the server takes no more, and then waits for a sign of life.
func (p *play) unread() {
	a, b := p.two()
	a.dials(b, "d")
	if p.Err != nil {
		return
	}
	over := make(chan error, 1)
	go func() {
		data := make([]byte, 64<<10)
		for sent := 0; sent < takenMost; sent += len(data) {
			if err := a.w.Packet(chunk("d.dialer")[1:], data); err != nil {
				over <- nil // the case is over
				return
			}
		}
		over <- fmt.Errorf("the server took %d bytes for who does not read", takenMost)
	}()
	for end, text := time.Now().Add(silentMost), ""; text != "3" && text != "6" && p.Err == nil; {
		f, err := a.w.HearBy(end, nil)
		if text = string(f.Data); err == nil && !strings.HasPrefix(text, `42["ws-peer"`) {
			p.Demand(text == "3" || text == "6", "%s came, not a sign of life", shown(f))
		}
		p.check(err)
	}
	a.w.Cut()
	p.check(<-over)
}
