//go:build linux

package ui

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"parley/cmd/parley/bench/gauge"
)

// scenario makes all its runs. limit is the words of the command that serves the yardstick.
type scenario func(ctx context.Context, o *Options, limit []string) ([]Run, error)

var scenarios = map[string]scenario{
	Ready: ready, Start: start, Crash: crash, Broadcast: broadcast, Talk: talk, RSS: rss,
}

// Do runs the scenario of the options. limit is the words of the command that serves the yardstick.
func Do(ctx context.Context, o *Options, limit []string) ([]Run, error) {
	return scenarios[o.Scenario](ctx, o, limit)
}

// The names of targets.
const (
	targetDaemon = "Daemon"
	targetNode   = "Node"
	targetLimit  = "limit"
)

// node is a Node that a Daemon has started.
type node struct {
	Process int `json:"newProcessId"`
	Port    int `json:"redirectUiPort"`
}

// codeRunning is the error of a Daemon whose Node runs already. Source: gateways/uiv2/PROTOCOL.md, Errors.
const codeRunning = 1<<63 | 3

// startNode has the Daemon start its Node.
func startNode(f *face) (n node, err error) {
	answer, err := f.ask("start", "{}")
	var refused *refusal
	if errors.As(err, &refused) && refused.Code == codeRunning {
		return n, fmt.Errorf("%w; shut the Node down first", err)
	}
	if err != nil {
		return n, err
	}
	if err := json.Unmarshal(answer, &n); err != nil || n.Process == 0 || n.Port == 0 {
		return n, fmt.Errorf("ui: start was answered %s: %w", answer, err)
	}
	return n, nil
}

// nodeQuestion is what a Node is asked to see that it is there.
const nodeQuestion = "descriptor"

// visit connects to a Node and asks it something.
func visit(ctx context.Context, o *Options, n node) (*face, error) {
	f, err := dial(ctx, n.Port, o.Timeout)
	if err != nil {
		return nil, err
	}
	if _, err := f.ask(nodeQuestion, "{}"); err != nil {
		f.leave()
		return nil, err
	}
	return f, nil
}

// gone waits until the Daemon tells that a Node has ended.
func gone(daemon *face, n node) error {
	return daemon.await("crashed", func(payload json.RawMessage) bool {
		var c struct {
			Process int `json:"processId"`
		}
		return json.Unmarshal(payload, &c) == nil && c.Process == n.Process
	})
}

// endNode shuts a Node down and waits for its end. at is connected to it.
func endNode(daemon, at *face, n node) error {
	if _, err := at.ask("shutdown", "{}"); err != nil {
		return err
	}
	return gone(daemon, n)
}

// dump is the request that changes nothing.
const dump = `{"values":[]}`

// ready starts Daemons, each twice: in an empty data directory, and in the one that it has left.
func ready(ctx context.Context, o *Options, _ []string) ([]Run, error) {
	phases := []string{"fresh", "again"}
	listens, answers := [2]gauge.Histogram{}, [2]gauge.Histogram{}
	for range o.Repeat {
		err := temporary(func(dir string) error {
			for i := range phases {
				if err := once(ctx, o, dir, &listens[i], &answers[i]); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	var runs []Run
	for i, phase := range phases {
		runs = append(runs, Run{Target: targetDaemon, Phase: phase, Times: o.Repeat, Listens: listens[i].Summary(), Latency: answers[i].Summary()})
	}
	return runs, nil
}

// once starts a Daemon, asks it something, and stops it.
func once(ctx context.Context, o *Options, dir string, listens, answers *gauge.Histogram) error {
	began := time.Now()
	d, err := daemonIn(ctx, dir)
	if err != nil {
		return err
	}
	err = func() error {
		f, err := dial(ctx, d.port, o.Timeout)
		if err != nil {
			return err
		}
		defer f.leave()
		if _, err := f.ask("setup", dump); err != nil {
			return err
		}
		answers.Record(int64(time.Since(began)))
		listens.Record(int64(d.listened))
		return nil
	}()
	return errors.Join(err, d.stop())
}

// start has a Node started and shut down again and again.
func start(ctx context.Context, o *Options, _ []string) ([]Run, error) {
	var answers, nodes gauge.Histogram
	err := withDaemon(ctx, o, func(d *process) error {
		f, err := dial(ctx, d.port, o.Timeout)
		if err != nil {
			return err
		}
		defer f.leave()
		for range o.Repeat {
			began := time.Now()
			n, err := startNode(f)
			if err != nil {
				return err
			}
			answers.Record(int64(time.Since(began)))
			at, err := visit(ctx, o, n)
			if err != nil {
				return err
			}
			nodes.Record(int64(time.Since(began)))
			err = endNode(f, at, n)
			at.leave()
			if err != nil {
				return err
			}
		}
		return nil
	})
	return []Run{{Target: targetNode, Times: o.Repeat, Answer: answers.Summary(), Latency: nodes.Summary()}}, err
}
