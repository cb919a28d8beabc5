package star

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strings"

	"parley/cmd/parley/conform/suite"
	"parley/cmd/parley/starclient"
)

const three, four = starclient.Three, starclient.Four

// Cases are all of them, for a server that challenges or does not.
func Cases(o Options) []suite.Case {
	var all []suite.Case
	for _, group := range []func(*Options) []suite.Case{connecting, joining, proving, dialling, streaming, leaving, refusing, owning, translating} {
		all = append(all, group(&o)...)
	}
	return all
}

// connecting is Engine.IO and socket.io, before there is anything to say.
func connecting(o *Options) []suite.Case {
	return []suite.Case{
		scene(o, "wire/the server speaks first", func(p *play) {
			a := p.open(three)
			hello := a.wantsLike(handshake)
			for _, part := range []string{`"upgrades":[]`, `"pingInterval":25000`, `"pingTimeout":20000`} {
				p.Demand(strings.Contains(hello, part), "%s is without %s", hello, part)
			}
			a.wants("40")
		}),
		scene(o, "wire/pings are answered", func(p *play) {
			a := p.connect(three)
			a.say("2")
			a.wants("3")
		}),
		scene(o, "rules/pings are answered with their text", func(p *play) {
			a := p.connect(three)
			a.say("2probe")
			a.wants("3probe")
		}),
		scene(o, "wire/what only says that a client lives is ignored", func(p *play) {
			a := p.connect(three)
			a.say("6")
			a.quiet()
		}),
		scene(o, "wire/unknown events are ignored", func(p *play) {
			a := p.connect(three)
			a.event("nothing of the kind", 1, true, nil)
			a.packet(`51-["nothing",{"_placeholder":true,"num":0}]`, []byte("x"))
			a.quiet()
		}),
		scene(o, "wire/other namespaces are refused", func(p *play) {
			a := p.connect(three)
			a.say("40/x,")
			a.wants(`44/x,"Invalid namespace"`)
			a.quiet()
		}),
	}
}

// joining is ss-join, and who is told.
func joining(o *Options) []suite.Case {
	return []suite.Case{
		scene(o, "wire/joins are answered with who is online", func(p *play) {
			a, b := p.connect(three), p.connect(three)
			a.joins(p.fresh())
			others := b.joins(p.fresh())
			p.Demand(slices.Contains(others, a.address), "%q is not among %q", a.address, others)
			p.Demand(!slices.Contains(others, b.address), "who joins is told of itself")
		}),
		scene(o, "wire/others hear of a join before the one who joins", func(p *play) {
			a, b := p.visitor(three), p.connect(three)
			b.joins(p.fresh())
			// b knows that it has joined and dials: what a hears first tells which was sent first.
			b.emit(starclient.EventDial, b.address, a.address, "early")
			a.hears(b.address)
			a.incoming("early", b.address)
		}),
		scene(o, "wire/several addresses of a socket", func(p *play) {
			a := p.connect(three)
			first, second := p.fresh(), p.fresh()
			a.joins(first)
			a.joins(second)
			b := p.visitor(three)
			for _, one := range []string{first, second} {
				a.address = one
				b.dials(a, "to "+one)
				a.dials(b, "from "+one)
			}
		}),
		scene(o, "wire/large ack ids come back", func(p *play) {
			a := p.connect(three)
			a.asked = 4_294_967_295
			a.joins(p.fresh())
		}),
	}
}

// proving is the challenge.
func proving(o *Options) []suite.Case {
	all := []suite.Case{
		scene(o, "wire/an RSA key proves an address", func(p *play) {
			key, err := starclient.NewRSA(2048)
			if err != nil {
				p.Fail("%w", err)
				return
			}
			p.connect(three).joinsAs(key.Address("127.0.0.1", firstPort), key)
		}),
		scene(o, "wire/no key, no address", func(p *play) {
			p.connect(three).refuses("Crypto Challenge required but no Id provided", starclient.EventJoin, p.fresh(), "")
		}),
		scene(o, "wire/another's address is refused", func(p *play) {
			other := p.other()
			p.connect(three).refuses("", starclient.EventJoin, p.fresh(), other.PublicKey())
		}),
		scene(o, "wire/another's signature is refused", func(p *play) {
			a, address := p.connect(three), p.fresh()
			nonce := a.begins(address, p.key)
			a.refuses("Signature Invalid", starclient.EventJoin, address, a.signs(nonce, p.other()))
		}),
		scene(o, "rules/what is no key is refused", func(p *play) {
			a := p.connect(three)
			for _, data := range []string{"00", "zz", "080112", strings.Repeat("ff", 100)} {
				a.refuses("Crypto error", starclient.EventJoin, p.fresh(), data)
			}
		}),
		scene(o, "rules/another's address is refused by name", func(p *play) {
			p.connect(three).refuses("Id is not matching", starclient.EventJoin, p.fresh(), p.other().PublicKey())
		}),
		scene(o, "rules/a short key also has the id of its hash", func(p *play) {
			a := p.connect(three)
			a.joins(starclient.AddressOf("127.0.0.1", firstPort, p.key.Hash))
		}),
		scene(o, "rules/a nonce is of use once", func(p *play) {
			a, address := p.connect(three), p.fresh()
			signature := a.signs(a.begins(address, p.key), p.key)
			p.Demand(joined.MatchString(a.ask(starclient.EventJoin, address, signature)), "the join failed")
			a.refuses("", starclient.EventJoin, address, signature)
		}),
		scene(o, "rules/a nonce is of use to its socket", func(p *play) {
			a, b, address := p.connect(three), p.connect(three), p.fresh()
			signature := a.signs(a.begins(address, p.key), p.key)
			b.refuses("", starclient.EventJoin, address, signature)
		}),
		scene(o, "rules/a nonce is for its address", func(p *play) {
			a, first, second := p.connect(three), p.fresh(), p.fresh()
			signature := a.signs(a.begins(first, p.key), p.key)
			a.begins(second, p.key)
			a.refuses("Signature Invalid", starclient.EventJoin, second, signature)
		}),
		scene(o, "rules/who proves an address takes it over", func(p *play) {
			a, b, c := p.visitor(three), p.connect(three), p.visitor(three)
			b.joins(a.address)
			c.dials(b, "over")
			a.refuses("Not authorized for this address", starclient.EventDial, a.address, c.address, "mine")
		}),
	}
	if !o.Challenge {
		for i := range all {
			all[i].Needs = "the server does not challenge its clients"
		}
	}
	return append(all, unproven(o))
}

// unproven is what holds where nobody proves anything.
func unproven(o *Options) suite.Case {
	c := scene(o, "rules/an address that is in use stays whose it is", func(p *play) {
		a, b := p.visitor(three), p.connect(three)
		b.refuses("Address in use", starclient.EventJoin, a.address, "")
		a.refuses("Peer not found", starclient.EventDial, a.address, p.fresh(), "mine")
	})
	if o.Challenge {
		c.Needs = "the server challenges its clients"
	}
	return c
}

// other is somebody else's key.
func (p *play) other() *starclient.Identity {
	key, err := starclient.NewEd25519()
	if err != nil {
		p.Fail("%w", err)
	}
	return key
}

// dialling is ss-dial.
func dialling(o *Options) []suite.Case {
	return []suite.Case{
		scene(o, "wire/a dial, in order", func(p *play) {
			a, b := p.two()
			a.dials(b, "d")
			a.quiet()
			b.quiet()
		}),
		scene(o, "wire/dialling oneself", func(p *play) {
			a := p.visitor(three)
			id := a.emit(starclient.EventDial, a.address, a.address, "d")
			a.wants(accept("d.dialer"))
			ack := a.incoming("d", a.address)
			a.say(accept("d.dialer"))
			a.say("43" + ack + "[]")
			a.wants(accept("d.listener"), "43"+itoa(id)+"[]")
		}),
		scene(o, "wire/who is dialled may refuse", func(p *play) {
			a, b := p.two()
			id := a.emit(starclient.EventDial, a.address, b.address, "d")
			a.wants(accept("d.dialer"))
			b.say("43" + b.incoming("d", a.address) + `["not \u006eow"]`)
			a.refused("not now", unescaped(a.answer(id)), starclient.EventDial)
		}),
		scene(o, "wire/nobody is there", func(p *play) {
			a := p.visitor(three)
			a.refuses("Peer not found", starclient.EventDial, a.address, p.fresh(), "d")
		}),
		scene(o, "wire/from another's address", func(p *play) {
			a, b := p.two()
			a.refuses("Not authorized for this address", starclient.EventDial, b.address, a.address, "d")
			a.refuses("Not authorized for this address", starclient.EventDial, p.fresh(), p.fresh(), "d")
			b.quiet()
		}),
		scene(o, "wire/before joining", func(p *play) {
			p.connect(three).refuses("Not authorized for this address", starclient.EventDial, p.fresh(), p.fresh(), "d")
		}),
	}
}

// streaming is what goes through a dial.
func streaming(o *Options) []suite.Case {
	return []suite.Case{
		scene(o, "wire/chunks keep their boundaries", func(p *play) {
			a, b := p.two()
			a.dials(b, "d")
			for _, data := range [][]byte{[]byte("hello"), {}, {4}, bytes.Repeat([]byte{0, 255}, 50_000)} {
				a.sends(b, "d.dialer", data)
				b.sends(a, "d.listener", data)
			}
		}),
		scene(o, "wire/base64 is binary", func(p *play) {
			a, b := p.two()
			a.dials(b, "d")
			a.say(chunk("d.dialer"))
			a.say("b4" + base64.StdEncoding.EncodeToString([]byte("hello")))
			b.wants(chunk("d.dialer"))
			b.wantsBinary([]byte("hello"))
		}),
		scene(o, "wire/ends and errors go through", func(p *play) {
			a, b := p.two()
			a.dials(b, "d")
			a.say(ends("d.dialer"))
			b.wants(ends("d.dialer"))
			b.sends(a, "d.listener", []byte("still"))
			failed := `42["socket.io-pull-stream.error.d.listener","why"]`
			b.say(failed)
			a.wants(failed)
		}),
		scene(o, "wire/nothing is lost before the other side reads", func(p *play) {
			a, b := p.two()
			id := a.emit(starclient.EventDial, a.address, b.address, "d")
			a.wants(accept("d.dialer"))
			a.packet(chunk("d.dialer")[1:], []byte("early"))
			ack := b.incoming("d", a.address)
			b.say("43" + ack + "[]")
			b.wants(accept("d.listener"))
			a.answer(id)
			b.quiet()
			b.say(accept("d.dialer"))
			b.wants(chunk("d.dialer"))
			b.wantsBinary([]byte("early"))
		}),
		scene(o, "wire/two dials of the same two", func(p *play) {
			a, b := p.two()
			a.dials(b, "one")
			b.dials(a, "two")
			a.sends(b, "one.dialer", []byte("1"))
			a.sends(b, "two.listener", []byte("2"))
			b.sends(a, "one.listener", []byte("3"))
			b.sends(a, "two.dialer", []byte("4"))
		}),
		slow(scene(o, "rules/who is not read hears that the server lives", func(p *play) { p.unread() })),
	}
}

// leaving is how clients go.
func leaving(o *Options) []suite.Case {
	gone := func(p *play, b *peer, address string) {
		for !b.done() { // what b says may be faster than what a does
			if answer := b.ask(starclient.EventDial, b.address, address, "gone"); answer == `["Peer not found"]` {
				return
			}
			b.wants(accept("gone.dialer"))
		}
	}
	return []suite.Case{
		scene(o, "wire/ss-leave", func(p *play) {
			a, b := p.two()
			a.event(starclient.EventLeave, a.address)
			a.quiet()
			b.refuses("Peer not found", starclient.EventDial, b.address, a.address, "d")
			a.refuses("Not authorized for this address", starclient.EventDial, a.address, b.address, "d")
			a.joins(p.fresh())
		}),
		scene(o, "wire/ss-leave of another's address does nothing", func(p *play) {
			a, b := p.two()
			a.event(starclient.EventLeave, b.address)
			a.quiet()
			a.dials(b, "d")
		}),
		scene(o, "wire/who disconnects ends streams and addresses", func(p *play) {
			a, b := p.two()
			a.dials(b, "d")
			a.say("41")
			b.wantsEnd("d.dialer")
			gone(p, b, a.address)
		}),
		scene(o, "wire/who vanishes ends streams and addresses", func(p *play) {
			a, b := p.two()
			a.dials(b, "d")
			if !a.done() {
				a.w.Cut()
			}
			b.wantsEnd("d.dialer")
			gone(p, b, a.address)
		}),
	}
}
