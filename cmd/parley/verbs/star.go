package verbs

import (
	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"parley/cmd/parley/talk"
)

func starPeersVerb(d *Desk) *cobra.Command {
	return d.verb(&cobra.Command{
		Use:   "star-peers",
		Short: "List who is at the rendezvous",
		Long: `List the addresses that are online at the Node's rendezvous, and count its connections and the dials that are open between them. Of very
many addresses it lists the first.`,
		Example: "  " + d.Prefix + "star-peers\n  " + d.Prefix + "star-peers --json",
	}, asking(talk.Question{Opcode: "starPeers"}, printStarPeers))
}

// printStarPeers prints a payload of starPeers. Source:
// gateways/uiv2/PROTOCOL.md, starPeers.
func printStarPeers(c *call, raw jsontext.Value) error {
	var in struct {
		Peers   []string `json:"peers"`
		Online  uint64   `json:"online"`
		Sockets uint64   `json:"sockets"`
		Dials   uint64   `json:"dials"`
	}
	if err := talk.Decode(raw, &in, "peers"); err != nil {
		return err
	}
	if err := c.print("connections: %d, addresses: %d, dials: %d\n", in.Sockets, in.Online, in.Dials); err != nil || len(in.Peers) == 0 {
		return err
	}
	rows := [][]string{{"ADDRESS"}}
	for _, address := range in.Peers {
		rows = append(rows, []string{address})
	}
	if err := c.print("\n"); err != nil {
		return err
	}
	if err := c.table(rows...); err != nil {
		return err
	}
	if more := in.Online - min(in.Online, uint64(len(in.Peers))); more > 0 {
		return c.print("and %d more\n", more)
	}
	return nil
}
