package verbs

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"parley/cmd/parley/talk"
)

func peersVerb(d *Desk) *cobra.Command {
	return d.verb(&cobra.Command{
		Use:     "peers",
		Short:   "List the nodes that this one has links to",
		Long:    "List the nodes that this one has links to.",
		Example: "  " + d.Prefix + "peers",
	}, asking(talk.Question{Opcode: "peers"}, func(c *call, raw jsontext.Value) error {
		var in struct {
			Peers []gateway `json:"peers"`
		}
		if err := talk.Decode(raw, &in, "peers"); err != nil {
			return err
		}
		rows := [][]string{{"NAME", "ADDRESS"}}
		for _, p := range in.Peers {
			rows = append(rows, []string{p.Name, p.Address})
		}
		return c.list("peers", rows)
	}))
}

func channelsVerb(d *Desk) *cobra.Command {
	return d.verb(&cobra.Command{
		Use:     "channels",
		Short:   "List the channels that are open on the Node",
		Long:    "List the channels that are open on the Node, and how many subscribers each has there.",
		Example: "  " + d.Prefix + "channels",
	}, asking(talk.Question{Opcode: "channels"}, func(c *call, raw jsontext.Value) error {
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
	}))
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
	return d.verb(&cobra.Command{
		Use:   "stats",
		Short: "Show the Node's traffic and its machine's load",
		Long: `Show the Node's traffic in the last 1, 15 and 60 seconds, and its machine's load. With --json, the object has the
answers to nodeStats and hostStats as node and host.`,
		Example: "  " + d.Prefix + "stats",
	}, func(c *call) error {
		release, err := c.open(nil)
		if err != nil {
			return err
		}
		defer release()
		node, err := c.s.Ask(c.ctx, talk.Question{Opcode: "nodeStats"})
		if err != nil {
			return err
		}
		host, err := c.s.Ask(c.ctx, talk.Question{Opcode: "hostStats"})
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
