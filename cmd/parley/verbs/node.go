package verbs

import (
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"parley/cmd/parley/show"
	"parley/cmd/parley/talk"
)

func startVerb(d *Desk) *cobra.Command {
	return d.verb(&cobra.Command{
		Use:   "start",
		Short: "Start the Node",
		Long: `Start the Node with what is in the Setup space, and wait until it is ready.

Prints its process id and its port for user interfaces. When it cannot start, the reason and its last words are shown.`,
		Example: "  " + d.Prefix + "start\n  " + d.Prefix + "start --json",
	}, asking(talk.Question{Opcode: "start", Place: talk.Daemon}, func(c *call, raw jsontext.Value) error {
		var in struct {
			PID  uint32 `json:"newProcessId"`
			Port uint16 `json:"redirectUiPort"`
		}
		if err := talk.Decode(raw, &in, "newProcessId", "redirectUiPort"); err != nil {
			return err
		}
		return c.print("the Node runs: pid %d, user interfaces on port %d\n", in.PID, in.Port)
	}))
}

const (
	// hangUp is how long a Node may take to end its connections once it has
	// answered shutdown. Source: gateways/uiv2/PROTOCOL.md, shutdown.
	hangUp = 5 * time.Second
	// goneTimeout is how long its process may take to end then.
	goneTimeout = 15 * time.Second
	// goneEvery is how often the Daemon is asked whether it has.
	goneEvery = 20 * time.Millisecond
)

func shutdownVerb(d *Desk) *cobra.Command {
	return d.verb(&cobra.Command{
		Use:     "shutdown",
		Short:   "Stop the Node in order",
		Long:    "Stop the Node in order, and wait until its process has ended. The Daemon goes on.",
		Example: "  " + d.Prefix + "shutdown",
	}, func(c *call) error {
		release, err := c.open(nil)
		if err != nil {
			return err
		}
		defer release()
		_, err = c.s.Ask(c.ctx, talk.Question{Opcode: "shutdown"})
		var ended *talk.Ended
		if errors.As(err, &ended) && ended.Crash != nil && ended.Crash.Requested {
			err = nil // it was in a hurry, or somebody else was first
		}
		if err != nil {
			return err
		}
		if err := c.gone(); err != nil {
			return err
		}
		if c.json {
			return c.object(struct {
				Stopped bool `json:"stopped"`
			}{true})
		}
		return c.print("the Node has ended\n")
	})
}

// gone waits until a Node that answered has ended.
func (c *call) gone() error {
	if _, at := c.s.AtNode(); at {
		if err := c.wait(c.s.Gone(), hangUp); err != nil {
			return err
		}
	}
	if _, at := c.s.AtNode(); at {
		return fmt.Errorf("the Node agreed, but did not hang up within %v: it is stuck; look with: %sstatus, then end its process", hangUp, c.Prefix)
	}
	for end := time.Now().Add(goneTimeout); time.Now().Before(end); {
		payload, err := c.s.Ask(c.ctx, noChange)
		if c.ctx.Err() != nil {
			return err
		}
		if err != nil {
			return nil // no Daemon any more, so nobody can tell
		}
		if space, err := parseDump(payload); err != nil || !space.Running {
			return err
		}
		if err := c.wait(nil, goneEvery); err != nil {
			return err
		}
	}
	return fmt.Errorf("the Node agreed, but its process is still there after %v; look with: %sstatus, then end it", goneTimeout, c.Prefix)
}

// wait returns when something has happened, or the time is over.
func (c *call) wait(happened <-chan struct{}, limit time.Duration) error {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-happened:
	case <-timer.C:
	case <-c.ctx.Done():
		return c.ctx.Err()
	}
	return nil
}

func descriptorVerb(d *Desk) *cobra.Command {
	return d.verb(&cobra.Command{
		Use:     "descriptor",
		Short:   "Print how other nodes reach this one",
		Long:    "Print the Node's descriptor, for the neighbors of other nodes. It holds a token: show it to those only who may connect.",
		Example: "  " + d.Prefix + "descriptor",
	}, asking(talk.Question{Opcode: "descriptor"}, func(c *call, raw jsontext.Value) error {
		var in struct {
			Descriptor *string `json:"nodeDescriptorOpt"`
		}
		if err := talk.Decode(raw, &in); err != nil {
			return err
		}
		if in.Descriptor == nil {
			return c.print("none: other nodes cannot reach this one; name its address with: %ssetup --ip ADDRESS (or --public-url), and have it listen there (--relay-address)\n", d.Prefix)
		}
		return c.print("%s\n", show.Line(*in.Descriptor))
	}))
}

// stages say what connectionStatus means. Source: gateways/uiv2/PROTOCOL.md.
var stages = map[string]string{
	"NotConnected":        "not connected to other nodes",
	"ConnectedToNeighbor": "linked to another node, not yet in step with its mesh",
	"RouteFound":          "in step with the mesh",
}

// stage is one for people.
func stage(name string) string {
	if text := stages[name]; text != "" {
		return name + ": " + text
	}
	return name
}

// stageOf reads the payload of connectionStatus and connectionChange.
func stageOf(raw jsontext.Value) (string, error) {
	var in struct {
		Stage string `json:"stage"`
	}
	err := talk.Decode(raw, &in, "stage")
	return in.Stage, err
}

func connectionStatusVerb(d *Desk) *cobra.Command {
	return d.verb(&cobra.Command{
		Use:     "connection-status",
		Short:   "Tell how far the Node is connected to others",
		Long:    "Tell how far the Node is connected to other nodes: NotConnected, ConnectedToNeighbor or RouteFound.",
		Example: "  " + d.Prefix + "connection-status",
	}, asking(talk.Question{Opcode: "connectionStatus"}, func(c *call, raw jsontext.Value) error {
		name, err := stageOf(raw)
		if err != nil {
			return err
		}
		return c.print("%s\n", show.Line(stage(name)))
	}))
}

// crashNotice is how long a Node may take to crash.
const crashNotice = 3 * time.Second

func crashVerb(d *Desk) *cobra.Command {
	var actor, message string
	cmd := &cobra.Command{
		Use:   "crash",
		Short: "Make the Node crash, for tests",
		Long: `Make a supervisor of the Node panic, which ends the Node. It takes notice only when it was started with crash-point
message. Prints how the Daemon saw it end.`,
		Example: "  " + d.Prefix + "crash --actor clients --message 'only a test'",
	}
	cmd.Flags().StringVar(&actor, "actor", "", "supervisor that panics")
	cmd.Flags().StringVar(&message, "message", "crash was asked for", "what it says")
	return d.verb(cmd, func(c *call) error {
		if actor == "" {
			return usage("--actor: name the supervisor that is to panic, as in: %scrash --actor clients", c.Prefix)
		}
		release, err := c.open(nil)
		if err != nil {
			return err
		}
		defer release()
		if err := c.s.Tell(c.ctx, "crash", struct {
			Actor   string `json:"actor"`
			Message string `json:"panicMessage"`
		}{actor, message}); err != nil {
			return err
		}
		if err := c.wait(c.s.Gone(), crashNotice); err != nil {
			return err
		}
		if _, at := c.s.AtNode(); at {
			return errors.New("the Node took no notice: either it was not started with crash-point message (" + c.Prefix +
				"setup --crash-point message), or it has no such supervisor")
		}
		crash, err := c.s.Fate(c.ctx, crashNotice)
		switch {
		case err != nil:
			return err
		case crash == nil:
			return errors.New("the Node is gone, but the Daemon does not tell how")
		case c.json:
			return c.printJSON(crash.Raw)
		}
		return c.print("the Node crashed: %s\n", crash)
	})
}
