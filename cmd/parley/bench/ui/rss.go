//go:build linux

package ui

import (
	"context"

	"parley/cmd/parley/bench/crowd"
	"parley/cmd/parley/bench/gauge"
)

// rss looks at the memory of processes that have nothing to do.
func rss(ctx context.Context, o *Options, _ []string) (runs []Run, err error) {
	err = withDaemon(ctx, o, func(d *process) error {
		m := &Memory{Conversations: o.UIs * o.Conversations}
		if m.DaemonKiB, err = settled(ctx, o, d.pid); err != nil {
			return err
		}
		if err := m.converse(ctx, o, d); err != nil {
			return err
		}
		if err := m.node(ctx, o, d); err != nil {
			return err
		}
		runs = append(runs, Run{Target: targetDaemon, Memory: m})
		return nil
	})
	return runs, err
}

// settled is a process's resident memory, KiB, when it has sat for a while.
func settled(ctx context.Context, o *Options, pid int) (int64, error) {
	if err := wait(ctx, o.Settle); err != nil {
		return 0, err
	}
	m, err := gauge.Processes{pid}.Memory()
	return m.Resident, err
}

// node measures a Node.
func (m *Memory) node(ctx context.Context, o *Options, d *process) error {
	f, err := dial(ctx, d.port, o.Timeout)
	if err != nil {
		return err
	}
	defer f.leave()
	n, err := startNode(f)
	if err != nil {
		return err
	}
	at, err := visit(ctx, o, n)
	if err != nil {
		return err
	}
	defer at.leave()
	if m.NodeKiB, err = settled(ctx, o, n.Process); err != nil {
		return err
	}
	return endNode(f, at, n)
}

// converse measures how a Daemon grows by conversations, connections left out.
func (m *Memory) converse(ctx context.Context, o *Options, d *process) error {
	faces := make([]*face, o.UIs)
	defer func() {
		for _, f := range faces {
			if f != nil {
				f.leave()
			}
		}
	}()
	ask := func(n int) error {
		return crowd.Gather(ctx, len(faces), dialParallel, func(_ context.Context, i int) (err error) {
			if faces[i] == nil { // it outlives the context of Gather
				if faces[i], err = dial(ctx, d.port, o.Timeout); err != nil {
					return err
				}
			}
			for range n {
				if _, err := faces[i].ask(o.Opcode, payloadOf(o.Opcode)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := ask(1); err != nil {
		return err
	}
	before, err := settled(ctx, o, d.pid)
	if err != nil {
		return err
	}
	if err := ask(o.Conversations); err != nil {
		return err
	}
	after, err := settled(ctx, o, d.pid)
	if err != nil {
		return err
	}
	m.PerConversation = float64(after-before) * 1024 / float64(m.Conversations)
	return nil
}
