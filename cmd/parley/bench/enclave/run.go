//go:build linux

package enclave

import (
	"context"
	"errors"
	"fmt"
)

// scenario does one round against one server.
type scenario func(context.Context, *Options, *server) (Run, error)

var scenarios = map[string]scenario{Burst: burst, Outbox: outbox, Friends: friends, Prefix: friends, Latency: latency}

// Do makes all rounds, each with a fresh node. They alternate with those of the yardstick, so that what the machine does besides
// falls on both. limitWords are those of the command that is the bare loop.
func Do(ctx context.Context, o *Options, limitWords []string) ([]Run, error) {
	starts := []func() (*server, error){func() (*server, error) { return startNode(ctx, o, o.Scenario == Outbox) }}
	switch {
	case !o.Against:
	case o.Scenario == Outbox:
		starts = append(starts, func() (*server, error) { return startNode(ctx, o, false) })
	case o.Scenario == Burst, o.Scenario == Latency:
		starts = append(starts, func() (*server, error) { return startLimit(ctx, o, limitWords) })
	}
	var runs []Run
	for round := range o.Repeat {
		for _, start := range starts {
			r, err := once(ctx, o, start)
			if err != nil {
				return runs, fmt.Errorf("%w (round %d)", err, round+1)
			}
			r.Round = round + 1
			runs = append(runs, r)
		}
	}
	return runs, nil
}

func once(ctx context.Context, o *Options, start func() (*server, error)) (r Run, err error) {
	s, err := start()
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	if s.front != nil && o.Scenario != Friends && o.Scenario != Prefix {
		err = s.front.do(ctx, o.Timeout, command{Cmd: "add", Address: peerIP, Name: peerName})
	}
	if err == nil {
		r, err = scenarios[o.Scenario](ctx, o, s)
	}
	r.Target = s.name
	return r, err
}
