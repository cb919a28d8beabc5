package verbs

import (
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/spf13/cobra"

	"parley/cmd/parley/show"
	"parley/cmd/parley/talk"
)

// progressWait is how long what becomes of a message is waited for. Source:
// gateways/uiv2/PROTOCOL.md, messageState.
const progressWait = 500 * time.Millisecond

// progress is the payload of messageState.
type progress struct {
	ID    string `json:"id"`
	State string `json:"state"`
}

func sendVerb(d *Desk) *cobra.Command {
	return d.verb(&cobra.Command{
		Use:   "send NAME MESSAGE",
		Short: "Send a message to a friend",
		Long: `Send a message to a friend, by name or address. Several words are one message. It is done when the Node has taken the message. What
became of it in the first moment is told: "queued" waits in your Node, "sent" was handed to the network, "delivered" was acknowledged by
the friend's Node.`,
		Example: "  " + d.Prefix + "send Ann 'see you at two'\n  " + d.Prefix + "send fc12::3 Hello",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 2 {
				return usage("send: give a name and a message, as in: %ssend Ann 'see you at two'", d.Prefix)
			}
			return nil
		},
	}, func(c *call) error {
		news := make(chan progress, 8) // more than one message has
		release, err := c.open(func(b talk.Broadcast) {
			var p progress
			if b.Opcode != "messageState" || json.Unmarshal(b.Payload, &p) != nil {
				return
			}
			select {
			case news <- p:
			default:
			}
		})
		if err != nil {
			return err
		}
		defer release()
		defer c.s.Leave() // a shell goes on without this subscription
		return c.send(news)
	})
}

func (c *call) send(news <-chan progress) error {
	q := talk.Question{Opcode: "subscribe", Payload: subscription{Opcodes: []string{"messageState"}}, Place: talk.Node}
	if _, err := c.s.Ask(c.ctx, q); err != nil {
		return err
	}
	id := rand.Text()
	payload, err := c.s.Ask(c.ctx, talk.Question{Opcode: "sendMessage", Place: talk.Node, Payload: struct {
		To      string `json:"to"`
		Message string `json:"message"`
		ID      string `json:"id"`
	}{c.args[0], strings.Join(c.args[1:], " "), id}})
	if err != nil {
		return err
	}
	var in struct {
		ID string `json:"messageId"`
	}
	if err := talk.Decode(payload, &in, "messageId"); err != nil {
		return fmt.Errorf("the answer to \"sendMessage\" makes no sense: %w", err)
	}
	state := c.becomes(id, news)
	if c.json {
		return c.object(struct {
			ID    string `json:"messageId"`
			State string `json:"state"`
		}{in.ID, state})
	}
	switch state {
	case "queued":
		return c.print("queued: it goes as soon as the friend's node can be reached\n")
	case "":
		return c.print("taken\n")
	}
	return c.print("%s\n", show.Line(state))
}

// becomes is how far a message has come when nothing more is heard of it; blank:
// nothing was.
func (c *call) becomes(id string, news <-chan progress) (state string) {
	late := time.NewTimer(progressWait)
	defer late.Stop()
	for {
		select {
		case p := <-news:
			if p.ID == id {
				state = p.State
			}
			if state == "delivered" {
				return state
			}
		case <-late.C:
			return state
		case <-c.s.Gone():
			return state
		case <-c.ctx.Done():
			return state
		}
	}
}
