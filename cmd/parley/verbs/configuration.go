package verbs

import (
	"errors"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"parley/cmd/parley/config"
	"parley/cmd/parley/talk"
)

// configuration is what a Node runs with, as far as it means something here.
// Source: gateways/uiv2/PROTOCOL.md, configuration.
type configuration struct {
	NodeName      string    `json:"nodeName"`
	Chain         string    `json:"chainName"`
	Mode          string    `json:"neighborhoodMode"`
	Port          uint32    `json:"clandestinePort"`
	Schema        string    `json:"currentSchemaVersion"`
	PastNeighbors []string  `json:"pastNeighbors"`
	Gateways      []gateway `json:"gateways"`
}

// gateway is one that listens.
type gateway struct {
	Name      string `json:"name"`
	Address   string `json:"address"`
	Multiaddr string `json:"multiaddr,omitzero"` // blank but of the rendezvous
}

// place is where it is, for people.
func (g *gateway) place() string {
	if g.Multiaddr != "" {
		return g.Address + ", " + g.Multiaddr
	}
	return g.Address
}

func parseConfiguration(raw jsontext.Value) (*configuration, error) {
	c := &configuration{}
	return c, talk.Decode(raw, c, "clandestinePort")
}

func configurationVerb(d *Desk) *cobra.Command {
	var ask bool
	cmd := &cobra.Command{
		Use:   "configuration",
		Short: "Show what the Node runs with",
		Long: `Show what the Node runs with: what is in its database, and where its gateways listen. Without the database's password,
or with a wrong one, secrets are left out.

--password asks for it on the terminal, or reads a line of standard input when that is no terminal.`,
		Example: "  " + d.Prefix + "configuration\n  " + d.Prefix + "configuration --password --json",
	}
	cmd.Flags().BoolVar(&ask, "password", false, "ask for the database's password, and show secrets too")
	return d.verb(cmd, func(c *call) error {
		q := talk.Question{Opcode: "configuration"}
		open := c.openNode
		if !ask {
			open = func() (func(), error) { return c.open(nil) }
		}
		release, err := open()
		if err != nil {
			return err
		}
		defer release()
		if ask {
			password, err := c.Secrets.Ask(c.ctx, askCurrent)
			if err != nil {
				return err
			}
			q = secretly("configuration", passwordRequest{&password})
		}
		return c.askAndPrint(q, printConfiguration)
	})
}

func printConfiguration(c *call, raw jsontext.Value) error {
	in, err := parseConfiguration(raw)
	if err != nil {
		return err
	}
	rows := [][]string{
		{"NAME", "VALUE"},
		{"node-name", in.NodeName},
		{"chain", in.Chain},
		{"neighborhood-mode", in.Mode},
		{"clandestine-port", strconv.FormatUint(uint64(in.Port), 10)},
		{"schema version", in.Schema},
		{"past neighbors", strings.Join(in.PastNeighbors, ", ")},
	}
	for _, g := range in.Gateways {
		rows = append(rows, []string{g.Name + " gateway", g.place()})
	}
	return c.table(rows...)
}

// runtimeNames are what can be changed; none is a secret.
func runtimeNames() map[string]bool {
	names := map[string]bool{}
	for _, name := range config.Runtime() {
		names[name] = false
	}
	return names
}

func setConfigurationVerb(d *Desk) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "set-configuration --NAME VALUE…",
		Short: "Change what can be changed while the Node runs",
		Long: `Change what can be changed while the Node runs: ` + strings.Join(config.Runtime(), ", ") + `.

Several are changed one after the other, up to the first that is refused. The Setup space stays as it is: a Node that
is started anew has its values.`,
		Example:            "  " + d.Prefix + "set-configuration --log-level debug",
		DisableFlagParsing: true,
	}
	return d.pairs(cmd, runtimeNames, func(c *call, _ map[string]bool, given []pair) error {
		if len(given) == 0 {
			return usage("name what is to be changed, as in: %sset-configuration --log-level debug", c.Prefix)
		}
		for _, p := range given {
			if p.value == nil {
				return usage("--%s needs a value", p.name)
			}
		}
		release, err := c.open(nil)
		if err != nil {
			return err
		}
		defer release()
		var done [][]string
		for _, p := range given {
			q := talk.Question{Opcode: "setConfiguration", Payload: struct {
				Name  string `json:"name"`
				Value string `json:"value"`
			}{p.name, *p.value}}
			if _, err = c.s.Ask(c.ctx, q); err != nil {
				break
			}
			done = append(done, []string{p.name, *p.value})
		}
		if !c.json {
			return errors.Join(c.table(done...), err)
		}
		if err != nil {
			return err
		}
		return c.object(struct {
			Changed int `json:"changed"`
		}{len(given)})
	})
}
