package verbs

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"parley/cmd/parley/show"
	"parley/cmd/parley/talk"
)

// contact is one of the address book. Source: gateways/uiv2/PROTOCOL.md, People.
type contact struct {
	Address       string `json:"address"`
	Port          uint16 `json:"port"`
	Name          string `json:"name"`
	State         string `json:"state"`
	Alias         string `json:"alias"`
	Status        uint8  `json:"status"`
	StatusMessage string `json:"statusMessage"`
	LastSeen      int64  `json:"lastSeen"`
	Held          uint32 `json:"held"`
}

// statusNames are what people call statuses.
var statusNames = [...]string{"offline", "available", "away", "busy"}

func statusName(n uint8) string {
	if int(n) < len(statusNames) {
		return statusNames[n]
	}
	return "status " + strconv.Itoa(int(n))
}

// presence is how somebody is, for people.
func presence(status uint8, message string) string {
	if message == "" {
		return statusName(status)
	}
	return statusName(status) + ": " + message
}

// standing is how a contact is, for people.
func (c *contact) standing() string {
	switch c.State {
	case "friend":
		return presence(c.Status, c.StatusMessage)
	case "pending":
		return "waits to be let in"
	}
	return c.State
}

// addContact is the payload of addContact and acceptContact.
type addContact struct {
	Address string `json:"address"`
	Name    string `json:"name,omitzero"`
	Notes   string `json:"notes,omitzero"`
}

// wanted is what arguments of contacts ask for.
func wanted(args []string, notes string) (talk.Question, error) {
	const advice = "list them, or: add ADDRESS [NAME], accept ADDRESS [NAME], ignore ADDRESS, remove NAME, import [FILE]"
	if len(args) == 0 {
		return talk.Question{Opcode: "contacts"}, nil
	}
	opcode, names := "", 0 // names: how many may follow the address
	switch args[0] {
	case "add":
		opcode, names = "addContact", 1
	case "accept":
		opcode, names = "acceptContact", 1
	case "ignore":
		opcode = "ignoreContact"
	case "remove":
		opcode = "removeContact"
	default:
		return talk.Question{}, usage("%q is nothing to do with contacts; %s", show.Line(args[0]), advice)
	}
	switch {
	case len(args) == 1:
		return talk.Question{}, usage("%s: who is missing; %s", args[0], advice)
	case len(args) > 2+names:
		return talk.Question{}, usage("%s: %q is too much; put names of several words in quotes", args[0], show.Line(args[2+names]))
	case notes != "" && opcode != "addContact":
		return talk.Question{}, usage("%s takes no --notes; give them with: add", args[0])
	}
	m := addContact{Address: args[1], Notes: notes}
	if len(args) > 2 {
		m.Name = args[2]
	}
	return talk.Question{Opcode: opcode, Payload: m}, nil
}

func contactsVerb(d *Desk) *cobra.Command {
	var notes string
	cmd := &cobra.Command{
		Use:   "contacts [add|accept|ignore|remove|import] [ADDRESS] [NAME]",
		Short: "List the people that the Node knows, or change the list",
		Long: `List the people that the Node knows, or change the list. An ADDRESS is an IP, IP:port or [IP]:port. To ignore or remove
a contact, its name will do.

  add ADDRESS [NAME]      makes a friend, or changes the name, port and notes of one
  accept ADDRESS [NAME]   lets somebody in who waits
  ignore ADDRESS          closes the door, now and later
  remove ADDRESS          forgets a contact, with what waits for it
  import [FILE]           takes over the friends, the ignored, alias and status message of the public Enclave program
                          (~/.enclave/config.json)`,
		Example: "  " + d.Prefix + "contacts\n  " + d.Prefix + "contacts add fc12::3 Ann --notes 'from work'\n  " + d.Prefix + "contacts accept 10.0.0.3",
		Args:    cobra.ArbitraryArgs, ValidArgsFunction: completeContacts,
	}
	cmd.Flags().StringVar(&notes, "notes", "", "what to remember of a friend, for add")
	if err := cmd.RegisterFlagCompletionFunc("notes", cobra.NoFileCompletions); err != nil {
		panic(err) // only for a flag that is not there
	}
	return d.verb(cmd, func(c *call) error {
		if len(c.args) > 0 && c.args[0] == "import" {
			return c.importBook()
		}
		q, err := wanted(c.args, notes)
		if err != nil {
			return err
		}
		print := printDone
		if q.Opcode == "contacts" {
			print = printContacts
		}
		return asking(q, print)(c)
	})
}

func completeContacts(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return []cobra.Completion{"add", "accept", "ignore", "remove", "import"}, cobra.ShellCompDirectiveNoFileComp
	}
	if args[0] == "import" {
		return nil, cobra.ShellCompDirectiveDefault
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}

func printDone(c *call, _ jsontext.Value) error { return c.print("done\n") }

func printContacts(c *call, raw jsontext.Value) error {
	var in struct {
		Own struct {
			Alias         string `json:"alias"`
			Status        uint8  `json:"status"`
			StatusMessage string `json:"statusMessage"`
		} `json:"own"`
		Contacts []contact `json:"contacts"`
		More     bool      `json:"more"`
	}
	if err := talk.Decode(raw, &in, "own", "contacts"); err != nil {
		return err
	}
	if err := c.print("you are %s, %s\n", show.Line(in.Own.Alias), show.Line(presence(in.Own.Status, in.Own.StatusMessage))); err != nil || len(in.Contacts) == 0 {
		return err
	}
	rows := [][]string{{"NAME", "ADDRESS", "HOW", "CALLS ITSELF", "MESSAGES", "LAST SEEN"}}
	for _, p := range in.Contacts {
		held, seen := "", ""
		if p.Held > 0 {
			held = strconv.FormatUint(uint64(p.Held), 10)
		}
		if p.LastSeen > 0 {
			seen = clock(p.LastSeen)
		}
		rows = append(rows, []string{p.Name, place(p.Address, p.Port), p.standing(), p.Alias, held, seen})
	}
	if err := c.print("\n"); err != nil {
		return err
	}
	if err := c.table(rows...); err != nil {
		return err
	}
	if in.More {
		return c.print("and more\n")
	}
	return nil
}

// place is an address, with its port where that is not the usual one.
func place(address string, port uint16) string {
	switch {
	case port == 0:
		return address
	case strings.Contains(address, ":"):
		address = "[" + address + "]"
	}
	return address + ":" + strconv.Itoa(int(port))
}

// clock is a time of the wire for people, where they are.
func clock(unix int64) string { return time.Unix(unix, 0).Format(time.DateTime) }

func presenceVerb(d *Desk) *cobra.Command {
	var message string
	cmd := &cobra.Command{
		Use:   "presence available|away|busy",
		Short: "Change how friends see you",
		Long: `Change how friends see you, until the Node ends. Without --message, what you said with it before stays; a blank one takes it
away.`,
		Example:   "  " + d.Prefix + "presence away --message 'back at two'\n  " + d.Prefix + "presence available --message ''",
		ValidArgs: statusNames[1:],
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || statusOf(args[0]) == 0 {
				return usage("presence: write one of: %s", strings.Join(statusNames[1:], ", "))
			}
			return nil
		},
		ValidArgsFunction: cobra.FixedCompletions(statusNames[1:], cobra.ShellCompDirectiveNoFileComp),
	}
	cmd.Flags().StringVar(&message, "message", "", "what friends read beside it")
	if err := cmd.RegisterFlagCompletionFunc("message", cobra.NoFileCompletions); err != nil {
		panic(err) // only for a flag that is not there
	}
	return d.verb(cmd, func(c *call) error {
		m := setStatus{Status: statusOf(c.args[0])}
		if cmd.Flags().Changed("message") {
			m.Message = &message
		}
		return asking(talk.Question{Opcode: "setStatus", Payload: m}, printDone)(c)
	})
}

// setStatus is the payload of that opcode.
type setStatus struct {
	Status  int     `json:"status"`
	Message *string `json:"statusMessage,omitzero"` // nil: it stays
}

// statusOf is the status of a name that people can choose; 0: there is none.
func statusOf(name string) int {
	for i, n := range statusNames {
		if n == name {
			return i
		}
	}
	return 0
}

// history is the payload of that opcode.
type history struct {
	With     string  `json:"with"`
	Most     uint    `json:"most,omitzero"`
	Before   uint64  `json:"before,omitzero"`
	Password *string `json:"dbPasswordOpt,omitzero"` // nil: none
}

func historyVerb(d *Desk) *cobra.Command {
	var m history
	cmd := &cobra.Command{
		Use:   "history NAME",
		Short: "Show what was said with a contact",
		Long: `Show what was said with a contact, oldest first: the newest 100 messages, or as many as --most says (1,000 at most). Of those before,
--before shows more: it takes the number that stands before a message.

When the database has a password, it is needed.` + passwordHelp,
		Example: "  " + d.Prefix + "history Ann\n  " + d.Prefix + "history Ann --most 20 --before 118",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage("history: name one contact, as in: %shistory Ann", d.Prefix)
			}
			return nil
		},
	}
	cmd.Flags().UintVar(&m.Most, "most", 0, "messages to show; 0: 100")
	cmd.Flags().Uint64Var(&m.Before, "before", 0, "show those before the message of this number")
	for _, name := range []string{"most", "before"} {
		if err := cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions); err != nil {
			panic(err) // only for a flag that is not there
		}
	}
	return d.verb(cmd, func(c *call) error {
		m.With = c.args[0]
		release, err := c.open(nil)
		if err != nil {
			return err
		}
		defer release()
		err = c.askAndPrint(talk.Question{Opcode: "history", Payload: m}, printHistory)
		var refused *talk.Refused
		if !errors.As(err, &refused) || refused.Code != talk.CodeBadPassword {
			return err
		}
		password, err := c.Secrets.Ask(c.ctx, askCurrent)
		if err != nil {
			return err
		}
		m.Password = &password
		return c.askAndPrint(secretly("history", m), printHistory)
	})
}

func printHistory(c *call, raw jsontext.Value) error {
	var in struct {
		Entries []struct {
			Serial    uint64 `json:"serial"`
			Own       bool   `json:"own"`
			Message   string `json:"message"`
			Timestamp int64  `json:"timestamp"`
			State     string `json:"state"`
		} `json:"entries"`
		More bool `json:"more"`
	}
	if err := talk.Decode(raw, &in, "entries"); err != nil {
		return err
	}
	if in.More {
		before := "with a lower number" // nothing of this page could be read
		if len(in.Entries) > 0 {
			before = strconv.FormatUint(in.Entries[0].Serial, 10)
		}
		if err := c.print("(older ones: --before %s)\n", before); err != nil {
			return err
		}
	}
	for _, e := range in.Entries {
		who := "<"
		if e.Own {
			who = ">"
		}
		state := ""
		if e.Own && e.State != "delivered" {
			state = "  (" + show.Line(e.State) + ")"
		}
		if err := c.print("%d  %s  %s %s%s\n", e.Serial, clock(e.Timestamp), who, show.Text(e.Message), state); err != nil {
			return err
		}
	}
	return nil
}
