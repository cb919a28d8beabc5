package star

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"parley/cmd/parley/conform/suite"
	"parley/cmd/parley/starclient"
	"parley/gateways/ws"
)

// Options say what is tried, and how.
type Options struct {
	Address   string        // of the server, host:port or a URL
	Challenge bool          // it challenges its clients
	Answer    time.Duration // the longest wait for what must come
}

// play is one case while it runs.
type play struct {
	suite.Play

	ctx   context.Context
	o     *Options
	key   *starclient.Identity
	peers []*peer
}

// ports tell addresses apart that are of one key: of cases, and of clients in a case.
var ports atomic.Int64

// Ports of addresses.
const (
	firstPort = 10000
	somePorts = 50000
)

// fresh is an address that nobody has.
func (p *play) fresh() string {
	return p.key.Address("127.0.0.1", firstPort+int(ports.Add(1)%somePorts))
}

// scene makes a case of its steps.
func scene(o *Options, name string, steps func(p *play)) suite.Case {
	return suite.Case{Name: name, Run: func(ctx context.Context) error {
		key, err := starclient.NewEd25519()
		if err != nil {
			return err
		}
		p := &play{ctx: ctx, o: o, key: key}
		defer func() {
			for _, one := range p.peers {
				one.w.Close()
			}
		}()
		steps(p)
		return p.Err
	}}
}

// open connects and hears nothing yet.
func (p *play) open(version int) *peer {
	a := &peer{p: p, heard: map[string]bool{}}
	if p.Err != nil {
		return a
	}
	ctx, cancel := context.WithTimeout(p.ctx, p.o.Answer)
	defer cancel()
	w, err := starclient.Open(ctx, p.o.Address, version)
	var refused *ws.Refused
	switch {
	case errors.As(err, &refused):
		p.Fail("the WebSocket was refused with %s", refused.Status)
	case err != nil:
		p.Fail("%w: %w", suite.ErrUnreachable, err)
	default:
		a.w = w
		p.peers = append(p.peers, a)
	}
	return a
}

// handshake is what every connection begins with.
var handshake = shape(`^0\{.*"sid":"[^"]+".*\}$`)

// connect is open, and what a client waits for before it says anything.
func (p *play) connect(version int) *peer {
	a := p.open(version)
	a.wantsLike(handshake)
	if version == starclient.Four {
		a.say("40")
		a.wantsLike(shape(`^40\{"sid":"[^"]+"\}$`))
	} else {
		a.wants("40")
	}
	return a
}

// visitor has joined.
func (p *play) visitor(version int) *peer {
	a := p.connect(version)
	a.joins(p.fresh())
	return a
}

// two have joined.
func (p *play) two() (a, b *peer) { return p.visitor(starclient.Three), p.visitor(starclient.Three) }

// Challenges finds out whether a server challenges its clients.
func Challenges(ctx context.Context, o Options) (bool, error) {
	var challenge bool
	c := scene(&o, "", func(p *play) {
		a := p.connect(starclient.Three)
		answer := a.ask(starclient.EventJoin, p.fresh(), "")
		switch {
		case joined.MatchString(answer):
		case refusal.MatchString(answer):
			challenge = true
		default:
			p.Fail("ss-join was answered %s", answer)
		}
	})
	err := c.Run(ctx)
	return challenge, err
}
