package verbs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/spf13/cobra"

	"parley/cmd/parley/show"
	"parley/cmd/parley/talk"
)

// levels are those of logBroadcast, least talkative first.
var levels = []string{"Error", "Warn", "Info", "Debug", "Trace"}

// subscription is the payload of subscribe.
type subscription struct {
	Opcodes  []string `json:"opcodes"`
	MinLevel string   `json:"minLogLevel,omitempty"`
}

func logsVerb(d *Desk) *cobra.Command {
	var level string
	cmd := &cobra.Command{
		Use:   "logs",
		Short: "Print the Node's log lines as they come",
		Long: `Print the Node's log lines as they come, until Ctrl-C. When the Node ends, why is told, and the next one's lines
follow as soon as it runs. With --json, each line is an object.

Lines that the Node itself does not write (its log-level) cannot be had here.`,
		Example: "  " + d.Prefix + "logs\n  " + d.Prefix + "logs --level debug",
	}
	cmd.Flags().StringVar(&level, "level", "info", "least serious lines wanted: error, warn, info, debug or trace")
	d.verb(cmd, func(c *call) error {
		at := slices.IndexFunc(levels, func(l string) bool { return strings.EqualFold(l, level) })
		if at < 0 {
			return usage("--level: %q is none; give error, warn, info, debug or trace", show.Line(level))
		}
		return c.follow(levels[at])
	})
	if err := cmd.RegisterFlagCompletionFunc("level", cobra.FixedCompletions([]string{"error", "warn", "info", "debug", "trace"}, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // only for a flag that is not there
	}
	return cmd
}

// follower prints log lines.
type follower struct {
	*call
	started chan struct{} // has room for one
	mu      sync.Mutex    // guards what follows
	broken  error         // printing failed
	stop    context.CancelFunc
}

func (c *call) follow(level string) error {
	ctx, stop := context.WithCancel(c.ctx)
	defer stop()
	f := &follower{call: c, started: make(chan struct{}, 1), stop: stop}
	release, err := c.open(f.hear)
	if err != nil {
		return err
	}
	defer release()
	user := c.ctx
	c.ctx = ctx
	defer c.s.Leave() // a shell goes on without this subscription
	err = f.run(level)
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.broken != nil:
		return f.broken
	case user.Err() != nil:
		return nil // Ctrl-C
	}
	return err
}

// hear takes a broadcast. It is called by one goroutine.
func (f *follower) hear(b talk.Broadcast) {
	var err error
	switch b.Opcode {
	case "nodeStarted":
		select {
		case f.started <- struct{}{}:
		default:
		}
	case "logBroadcast":
		if f.json {
			err = f.printJSON(b.Payload)
			break
		}
		var l logLine
		if json.Unmarshal(b.Payload, &l) == nil {
			err = f.print("%s\n", &l)
		}
	}
	if err != nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.broken = err
		f.stop()
	}
}

// fateWait is how long the Daemon may take to tell how the Node ended.
const fateWait = 2 * time.Second

func (f *follower) run(level string) error {
	for {
		if err := f.toNode(); err != nil {
			return err
		}
		q := talk.Question{Opcode: "subscribe", Payload: subscription{[]string{"logBroadcast"}, level}, Place: talk.Node}
		if _, err := f.s.Ask(f.ctx, q); err != nil {
			var ended *talk.Ended
			if errors.As(err, &ended) {
				f.note(ended.Crash)
				continue
			}
			return err
		}
		select {
		case <-f.s.Gone():
		case <-f.ctx.Done():
			return f.ctx.Err()
		}
		crash, err := f.s.Fate(f.ctx, fateWait)
		if err != nil {
			return err
		}
		f.note(crash)
	}
}

func (f *follower) note(crash *talk.Crashed) {
	how := "it hung up"
	if crash != nil {
		how = crash.String()
	}
	fmt.Fprintf(f.notes, "parley: logs: the Node has ended: %s\n", how)
}

// toNode connects to the Node, and waits for one if there is none.
func (f *follower) toNode() error {
	told := false
	for {
		// First the ear, then the question: or a Node that starts in between
		// would be missed.
		wait := subscription{Opcodes: []string{"nodeStarted", "crashed"}}
		if _, at := f.s.AtNode(); !at {
			if _, err := f.s.Ask(f.ctx, talk.Question{Opcode: "subscribe", Payload: wait, Place: talk.Daemon}); err != nil {
				return err
			}
		}
		err := f.s.ToNode(f.ctx)
		var refused *talk.Refused
		if !errors.As(err, &refused) || refused.Code != talk.CodeNoNode {
			return err
		}
		if !told {
			fmt.Fprintf(f.notes, "parley: logs: no Node is running; waiting for one (start it with: %sstart)\n", f.Prefix)
			told = true
		}
		select {
		case <-f.started:
		case <-f.s.Gone():
		case <-f.ctx.Done():
			return f.ctx.Err()
		}
	}
}
