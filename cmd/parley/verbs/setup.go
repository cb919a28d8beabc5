package verbs

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"parley/cmd/parley/config"
	"parley/cmd/parley/show"
	"parley/cmd/parley/talk"
)

// dump is the answer to setup. Source: gateways/uiv2/PROTOCOL.md, setup.
type dump struct {
	Running bool `json:"running"`
	Values  []struct {
		Name   string `json:"name"`
		Value  string `json:"value"`
		Status string `json:"status"`
	} `json:"values"`
	Errors [][2]string `json:"errors"` // name, text
}

func parseDump(raw jsontext.Value) (*dump, error) {
	d := &dump{}
	if err := talk.Decode(raw, d, "running", "values"); err != nil {
		return nil, err
	}
	return d, nil
}

// value is that of one parameter; "": none.
func (d *dump) value(name string) string {
	for _, v := range d.Values {
		if v.Name == name {
			return v.Value
		}
	}
	return ""
}

// setupRequest changes parameters.
type setupRequest struct {
	Values []setupChange `json:"values"`
}

type setupChange struct {
	Name  string  `json:"name"`
	Value *string `json:"value"` // nil: clear
}

// noChange asks for the Setup space as it is.
var noChange = talk.Question{Opcode: "setup", Payload: setupRequest{Values: []setupChange{}}, Place: talk.Daemon}

func setupVerb(d *Desk) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "setup [--NAME [VALUE]]…",
		Short: "Show or change what the Node is started with",
		Long: `Show or change the Setup space: what the Daemon starts its Node with. Without a name, all of it is shown.

--NAME VALUE sets a parameter, --NAME=VALUE too; --NAME alone clears what was set, so that the configured or the
default value counts again. Either all changes are made or none. While the Node runs, nothing can be changed.

A secret is never taken from the command line, where other users of this machine could read it: --NAME alone asks for
it on the terminal, or reads a line of standard input when that is no terminal; a blank one clears it.

"parley config explain NAME" tells what a parameter means. STATUS says where a value comes from: Set here, Configured
by file or environment, Default, Blank (there is none, and none is needed), Required (there is none, and one is needed).`,
		Example:            "  " + d.Prefix + "setup\n  " + d.Prefix + "setup --node-name attic --log-level debug\n  " + d.Prefix + "setup --log-level\n  " + d.Prefix + "setup --db-password",
		DisableFlagParsing: true,
	}
	return d.pairs(cmd, setupNames, runSetup)
}

// setupNames are the parameters, and whether each is a secret.
func setupNames() map[string]bool {
	names := map[string]bool{}
	for _, r := range config.SetupSpace(config.LoadOptions{}).Rows {
		names[r.Name] = r.Secret
	}
	return names
}

// tokenMark begins a value that holds a token of another node.
const tokenMark = "parley://"

func runSetup(c *call, names map[string]bool, given []pair) error {
	for _, p := range given {
		if names[p.name] && p.value != nil {
			return usage("--%s: other users of this machine can read the command line; give it without a value, and it is asked for", p.name)
		}
	}
	release, err := c.open(nil)
	if err != nil {
		return err
	}
	defer release()
	q, err := c.changes(names, given)
	if err != nil {
		return err
	}
	payload, err := c.s.Ask(c.ctx, q)
	if err != nil {
		return err
	}
	space, err := parseDump(payload)
	if err != nil {
		return fmt.Errorf("the answer makes no sense: %w", err)
	}
	if c.json {
		if err := c.printJSON(payload); err != nil {
			return err
		}
	}
	if err := c.refused(space, given); err != nil || c.json {
		return err
	}
	return c.showSpace(space, given)
}

// changes is the question, with the secrets that are asked for.
func (c *call) changes(names map[string]bool, given []pair) (talk.Question, error) {
	q := noChange
	changes := []setupChange{}
	for _, p := range given {
		change := setupChange{Name: p.name, Value: p.value}
		if names[p.name] {
			secret, err := c.Secrets.Ask(c.ctx, p.name)
			if err != nil {
				return q, err
			}
			if secret != "" {
				change.Value, q.Secret = &secret, true
			}
		}
		if p.value != nil && strings.Contains(*p.value, tokenMark) {
			q.Secret = true
		}
		changes = append(changes, change)
	}
	q.Payload = setupRequest{Values: changes}
	return q, nil
}

// refused is the error for changes that were not made.
func (c *call) refused(space *dump, given []pair) error {
	if len(given) == 0 {
		return nil
	}
	if space.Running {
		return errors.New("nothing was changed: the Node runs, with these settings; stop it first: " + c.Prefix + "shutdown")
	}
	var bad strings.Builder
	for _, e := range space.Errors {
		if slices.ContainsFunc(given, func(p pair) bool { return p.name == e[0] && !space.took(p) }) {
			fmt.Fprintf(&bad, "\n  %s: %s", show.Line(e[0]), show.Line(e[1]))
		}
	}
	if bad.Len() > 0 {
		return errors.New("nothing was changed:" + bad.String())
	}
	return nil
}

// took tells whether a parameter is what it was to become. One that is may be
// named among the errors all the same: it does not go with others, or what a file
// says of it is wrong. A secret is never seen to be.
func (d *dump) took(p pair) bool {
	for _, v := range d.Values {
		switch {
		case v.Name != p.name:
		case p.value == nil:
			return v.Status != statusSet
		default:
			space := config.SetupSpace(config.LoadOptions{})
			shown, ok := space.Shown(p.name, *p.value)
			return ok && v.Status == statusSet && v.Value == shown
		}
	}
	return false
}

// statusSet is that of what a user interface gave. Source:
// gateways/uiv2/PROTOCOL.md, Setup space.
const statusSet = "Set"

// showSpace prints the parameters that were given, or all, and what is wrong.
func (c *call) showSpace(space *dump, given []pair) error {
	rows := [][]string{{"NAME", "VALUE", "STATUS"}}
	for _, v := range space.Values {
		if len(given) == 0 || slices.ContainsFunc(given, func(p pair) bool { return p.name == v.Name }) {
			rows = append(rows, []string{v.Name, v.Value, v.Status})
		}
	}
	if err := c.table(rows...); err != nil {
		return err
	}
	if len(space.Errors) > 0 {
		rows = [][]string{}
		for _, e := range space.Errors {
			rows = append(rows, []string{e[0], e[1]})
		}
		if err := c.print("\nTo be put right before the Node can start:\n"); err != nil {
			return err
		}
		if err := c.table(rows...); err != nil {
			return err
		}
	}
	if space.Running && len(given) == 0 {
		return c.print("\nThe Node runs with these settings; they can be changed after: %sshutdown\n", c.Prefix)
	}
	return nil
}
