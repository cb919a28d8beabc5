package verbs

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"parley/cmd/parley/show"
	"parley/cmd/parley/talk"
)

func peersVerb(d *Desk) *cobra.Command {
	return d.verb(&cobra.Command{
		Use:   "peers",
		Short: "List the nodes that this one has links to",
		Long: `List the nodes that this one has links to: who made the link, the round trip, how long it has been there, and what goes over it. "pb" is
faster than "json", which nodes of other programs speak.`,
		Example: "  " + d.Prefix + "peers\n  " + d.Prefix + "peers --json",
	}, asking(talk.Question{Opcode: "peers"}, func(c *call, raw jsontext.Value) error {
		var in struct {
			Peers []peer `json:"peers"`
		}
		if err := talk.Decode(raw, &in, "peers"); err != nil {
			return err
		}
		rows := [][]string{{"NAME", "ADDRESS", "LINK", "LATENCY", "SINCE", "FRAMES"}}
		for i := range in.Peers {
			rows = append(rows, in.Peers[i].row(time.Now()))
		}
		return c.list("peers", rows)
	}))
}

// peer is one of the payload of peers. Source: gateways/uiv2/PROTOCOL.md, Peers
// and channels.
type peer struct {
	Name       string   `json:"name"`
	Address    string   `json:"address"`
	Dialled    bool     `json:"dialled"`
	Configured bool     `json:"configured"`
	Latency    *float64 `json:"latency"` // ms
	Since      int64    `json:"since"`   // Unix ms
	Encoding   string   `json:"encoding"`
	Foreign    bool     `json:"foreign"`
}

func (p *peer) row(now time.Time) []string {
	link, latency, since, frames := "accepted", "-", "-", p.Encoding
	if p.Dialled {
		link = "dialled"
	}
	if p.Configured {
		link += ", configured"
	}
	if p.Latency != nil {
		latency = strconv.FormatFloat(*p.Latency, 'f', 2, 64) + " ms"
	}
	if p.Since > 0 {
		since = max(0, now.Sub(time.UnixMilli(p.Since))).Round(time.Second).String()
	}
	if p.Foreign {
		frames += ", foreign"
	}
	return []string{p.Name, p.Address, link, latency, since, frames}
}

func channelsVerb(d *Desk) *cobra.Command {
	var scope string
	cmd := &cobra.Command{
		Use:   "channels",
		Short: "List the channels that are open on the Node, or in its mesh",
		Long: `List the channels that are open on the Node, and how many subscribers each has there; with --scope network those of all its mesh, and on
which nodes they are open.`,
		Example: "  " + d.Prefix + "channels\n  " + d.Prefix + "channels --scope network",
	}
	cmd.Flags().StringVar(&scope, "scope", scopeNode, "whose channels: node or network")
	if err := cmd.RegisterFlagCompletionFunc("scope", cobra.FixedCompletions([]cobra.Completion{scopeNode, scopeNetwork}, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err)
	}
	return d.verb(cmd, func(c *call) error {
		switch scope {
		case scopeNode:
			return asking(talk.Question{Opcode: "channels"}, printChannels)(c)
		case scopeNetwork:
			return asking(talk.Question{Opcode: "channels", Payload: struct {
				Scope string `json:"scope"`
			}{scope}}, printHoldings)(c)
		}
		return usage("--scope: %q is none; give node or network", show.Line(scope))
	})
}

// Scopes of channels, on the wire too.
const (
	scopeNode    = "node"
	scopeNetwork = "network"
)

func printChannels(c *call, raw jsontext.Value) error {
	var in struct {
		Channels []struct {
			Name        string `json:"name"`
			Subscribers uint64 `json:"subscribers"`
		} `json:"channels"`
	}
	if err := talk.Decode(raw, &in, "channels"); err != nil {
		return err
	}
	rows := [][]string{{"CHANNEL", "SUBSCRIBERS"}}
	for _, ch := range in.Channels {
		rows = append(rows, []string{ch.Name, strconv.FormatUint(ch.Subscribers, 10)})
	}
	return c.list("channels", rows)
}

func printHoldings(c *call, raw jsontext.Value) error {
	var in struct {
		Channels []struct {
			Name      string   `json:"name"`
			Protected bool     `json:"protected"`
			Holders   []string `json:"holders"`
		} `json:"channels"`
	}
	if err := talk.Decode(raw, &in, "channels"); err != nil {
		return err
	}
	rows := [][]string{{"CHANNEL", "PASSWORD", "NODES"}}
	for _, ch := range in.Channels {
		password := "no"
		if ch.Protected {
			password = "yes"
		}
		rows = append(rows, []string{ch.Name, password, strings.Join(ch.Holders, " ")})
	}
	return c.list("channels", rows)
}

// list prints rows behind their heading, or that there are none.
func (c *call) list(what string, rows [][]string) error {
	if len(rows) == 1 {
		return c.print("no %s\n", what)
	}
	return c.table(rows...)
}

// windows of statistics, as the wire names them.
var windows = []string{"1s", "15s", "60s"}

// traffic is that of a channel, or of all.
type traffic struct {
	Packets   map[string]uint64  `json:"packets"`
	Bandwidth map[string]float64 `json:"bandwidth"` // kb/s
	Out       map[string]uint64  `json:"out"`
}

// nodeStats is the payload of nodeStats. Source: gateways/uiv2/PROTOCOL.md.
type nodeStats struct {
	Relay struct {
		Clients     uint64            `json:"clients"`
		Connections map[string]uint64 `json:"channel_connections"`
	} `json:"relay"`
	Network  traffic            `json:"network"`
	Channels map[string]traffic `json:"channels"`
}

// hostStats is the payload of hostStats.
type hostStats struct {
	Load   map[string]float64 `json:"cpu"`
	Memory struct {
		Used      uint64 `json:"used"`
		Available uint64 `json:"cache"`
		Total     uint64 `json:"total"`
	} `json:"mem"`
	Disks []struct {
		Mount string `json:"mount"`
		Used  uint64 `json:"used"`
		Free  uint64 `json:"free"`
		Total uint64 `json:"total"`
	} `json:"disk"`
	Network struct {
		Bytes map[string]uint64 `json:"bytes"`
	} `json:"network"`
}

func statsVerb(d *Desk) *cobra.Command {
	var of string
	cmd := &cobra.Command{
		Use:   "stats",
		Short: "Show the Node's traffic and its machine's load",
		Long: `Show the Node's traffic in the last 1, 15 and 60 seconds, and its machine's load; with --node those of another node of its mesh. With
--json, the object has the answers to nodeStats and hostStats as node and host.`,
		Example: "  " + d.Prefix + "stats\n  " + d.Prefix + "stats --node node2",
	}
	cmd.Flags().StringVar(&of, "node", "", "node of the mesh, by name; without it this one")
	if err := cmd.RegisterFlagCompletionFunc("node", cobra.NoFileCompletions); err != nil {
		panic(err)
	}
	return d.verb(cmd, func(c *call) error {
		release, err := c.open(nil)
		if err != nil {
			return err
		}
		defer release()
		var payload any
		if of != "" {
			payload = struct {
				Node string `json:"node"`
			}{of}
		}
		node, err := c.s.Ask(c.ctx, talk.Question{Opcode: "nodeStats", Payload: payload})
		if err != nil {
			return err
		}
		host, err := c.s.Ask(c.ctx, talk.Question{Opcode: "hostStats", Payload: payload})
		if err != nil {
			return err
		}
		if c.json {
			return c.object(struct {
				Node jsontext.Value `json:"node"`
				Host jsontext.Value `json:"host"`
			}{node, host})
		}
		var n nodeStats
		if err := talk.Decode(node, &n, "relay", "network"); err != nil {
			return fmt.Errorf("the answer to \"nodeStats\" makes no sense: %w", err)
		}
		var h hostStats
		if err := talk.Decode(host, &h, "cpu", "mem"); err != nil {
			return fmt.Errorf("the answer to \"hostStats\" makes no sense: %w", err)
		}
		return c.printStats(&n, &h)
	})
}

func (c *call) printStats(n *nodeStats, h *hostStats) error {
	if err := c.print("clients: %d, channels: %d\n\n", n.Relay.Clients, len(n.Relay.Connections)); err != nil {
		return err
	}
	rows := append([][]string{{"TRAFFIC", "LAST 1 s", "15 s", "60 s"}}, n.Network.rows("")...)
	for _, name := range slices.Sorted(maps.Keys(n.Channels)) {
		one := n.Channels[name]
		rows = append(rows, one.rows(name+": ")...)
	}
	if err := c.table(rows...); err != nil {
		return err
	}
	if err := c.print("\n"); err != nil {
		return err
	}
	rows = [][]string{
		{"HOST", ""},
		{"load, 1, 5, 15 min", fmt.Sprintf("%.2f  %.2f  %.2f", h.Load["1m"], h.Load["5m"], h.Load["15m"])},
		{"memory", fmt.Sprintf("%s used, %s available of %s", size(h.Memory.Used), size(h.Memory.Available), size(h.Memory.Total))},
	}
	for _, d := range h.Disks {
		rows = append(rows, []string{"disk " + d.Mount, fmt.Sprintf("%s used, %s free of %s", size(d.Used), size(d.Free), size(d.Total))})
	}
	if in, ok := h.Network.Bytes["60s_in"]; ok {
		rows = append(rows, []string{"network, last 60 s", fmt.Sprintf("%s in, %s out", size(in), size(h.Network.Bytes["60s_out"]))})
	}
	return c.table(rows...)
}

// rows are the three lines of a traffic.
func (t *traffic) rows(of string) [][]string {
	packets, rate, out := []string{of + "messages"}, []string{of + "kb/s"}, []string{of + "deliveries"}
	for _, w := range windows {
		packets = append(packets, strconv.FormatUint(t.Packets[w], 10))
		rate = append(rate, strconv.FormatFloat(t.Bandwidth[w], 'f', 1, 64))
		out = append(out, strconv.FormatUint(t.Out[w], 10))
	}
	return [][]string{packets, rate, out}
}

// size is a number of bytes for people.
func size(n uint64) string {
	const step = 1024
	if n < step {
		return strconv.FormatUint(n, 10) + " B"
	}
	f, unit := float64(n), -1
	for f >= step && unit < len("KMGTPE")-1 {
		f /= step
		unit++
	}
	return fmt.Sprintf("%.1f %ciB", f, "KMGTPE"[unit])
}
