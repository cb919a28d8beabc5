//go:build linux

package field

import (
	"context"
	"fmt"
	"net/netip"

	"parley/cmd/parley/bench/crowd"
	"parley/cmd/parley/bench/gauge"
	"parley/cmd/parley/bench/report"
	"parley/cmd/parley/bench/wire"
)

// The names of targets.
const (
	TargetServer    = "server"
	TargetLimit     = "limit"
	TargetLimitJoin = "limit-join"
)

// Target is a server under load.
type Target struct {
	Name  string
	Procs gauge.Processes // none when they are not known

	doors   []crowd.Door // one a URL and source address
	publish *crowd.Door  // of publishers; nil: that of all
}

// Door is where connection i goes: all URLs and sources in turn.
func (t *Target) Door(i int) crowd.Door { return t.doors[i%len(t.doors)] }

// publisher is where publisher i goes, after n other connections.
func (t *Target) publisher(n, i int) crowd.Door {
	if t.publish != nil {
		return *t.publish
	}
	return t.Door(n + i)
}

// PublishAt sends all publishers to another URL than the subscribers.
func (t *Target) PublishAt(ctx context.Context, url string) error {
	d, err := crowd.Resolve(ctx, url)
	if err != nil {
		return err
	}
	t.publish = &d
	return nil
}

// NewTarget resolves a server's addresses.
func NewTarget(ctx context.Context, name string, o *report.Options, urls []string, pids []int) (*Target, error) {
	t := &Target{Name: name, Procs: pids}
	sources := []netip.Addr{{}}
	if len(o.Sources) > 0 {
		sources = nil
		for _, s := range o.Sources {
			a, err := netip.ParseAddr(s)
			if err != nil {
				return nil, fmt.Errorf("field: invalid source address %q", s)
			}
			sources = append(sources, a)
		}
	}
	for _, u := range urls {
		d, err := crowd.Resolve(ctx, u)
		if err != nil {
			return nil, err
		}
		d.Origin = o.Origin
		for _, s := range sources {
			d.Source = s
			t.doors = append(t.doors, d)
		}
	}
	// A wrong --pid is better known before the run than after it.
	if _, err := t.Procs.CPU(); err != nil {
		return nil, err
	}
	return t, nil
}

// Connect opens connection i to a target and subscribes it to channels.
func Connect(ctx context.Context, o *report.Options, t *Target, i int, channels ...string) (*crowd.Member, error) {
	return connect(ctx, o, t.Door(i), channels...)
}

func connect(ctx context.Context, o *report.Options, d crowd.Door, channels ...string) (*crowd.Member, error) {
	m, err := crowd.Dial(ctx, d, o.Timeout)
	if err != nil {
		return nil, err
	}
	for _, c := range channels {
		if err := Subscribe(m, o, c, ""); err != nil {
			m.Leave()
			return nil, err
		}
	}
	return m, nil
}

// Subscribe subscribes a connection that has not joined a crowd. A refusal is an error with the server's reason.
func Subscribe(m *crowd.Member, o *report.Options, channel, password string) error {
	ok, reason, err := m.Ask(wire.AppendSubscribe(nil, o.SubscribeKey, channel, password, "s"), o.Timeout)
	if err != nil {
		return fmt.Errorf("field: subscribe to %q: %w", channel, err)
	}
	if !ok {
		return fmt.Errorf("field: subscribe to %q: refused: %q", channel, reason)
	}
	return nil
}
