package verbs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"parley/cmd/parley/show"
	"parley/cmd/parley/talk"
	"parley/gateways/guard"
)

const (
	// DefaultPort is where a Daemon is found.
	DefaultPort = 5333
	// PortVariable names another port.
	PortVariable = "PARLEY_UI_PORT"
)

// Desk is where verbs work: once on the command line, or inside a shell.
type Desk struct {
	// Session gives a connection to talk on. hear gets the broadcasts until
	// release is called; nil: they are not for this verb.
	Session func(ctx context.Context, hear func(talk.Broadcast)) (s *talk.Session, release func(), err error)
	Secrets Secrets
	Prefix  string // stands before verbs in advice: "parley ", or nothing in a shell
	Port    func() uint16
}

// Secrets asks for passwords.
type Secrets interface {
	// Ask gets one; what says which.
	Ask(ctx context.Context, what string) (string, error)
	// Seen tells whether a person answers, who may mistype.
	Seen() bool
}

// Server says how the Daemon is reached, by flags.
type Server struct {
	port  string
	trust []uint

	// LocalUser asks the kernel who runs a server.
	LocalUser func(remote, local netip.AddrPort) (uid uint32, err error)
}

// Bind adds the flags.
func (s *Server) Bind(fs *pflag.FlagSet) {
	port := os.Getenv(PortVariable)
	if port == "" {
		port = strconv.Itoa(DefaultPort)
	}
	fs.StringVar(&s.port, "ui-port", port, "port of the Daemon on 127.0.0.1; also "+PortVariable)
	fs.UintSliceVar(&s.trust, "trust-user", nil, "number of a user whose servers get passwords, besides root and you")
}

// Options gives what a session needs to know.
func (s *Server) Options() (talk.Options, error) {
	port, err := strconv.ParseUint(s.port, 10, 16)
	if err != nil || port == 0 {
		return talk.Options{}, usage("--ui-port (or %s): %q is no port; give 1 to 65535", PortVariable, show.Line(s.port))
	}
	o := talk.Options{Port: uint16(port), UID: uint32(os.Geteuid()), LocalUser: s.LocalUser}
	if o.LocalUser == nil {
		o.LocalUser = guard.LocalUser
	}
	for _, uid := range s.trust {
		if uint64(uid) > 1<<32-1 {
			return talk.Options{}, usage("--trust-user: %d is no user's number", uid)
		}
		o.Trust = append(o.Trust, uint32(uid))
	}
	return o, nil
}

// Commands gives the verbs for the command line.
func Commands() []*cobra.Command { return commands(func() *Server { return &Server{} }) }

// commands are the verbs, each with a server of its own.
func commands(server func() *Server) []*cobra.Command {
	var all []*cobra.Command
	for _, verb := range verbs {
		s := server()
		secrets := &prompt{}
		d := &Desk{Session: s.once, Secrets: secrets, Prefix: "parley ", Port: func() uint16 {
			o, _ := s.Options() // a wrong port was reported when it was dialled
			return o.Port
		}}
		cmd := verb(d)
		s.Bind(cmd.Flags())
		run := cmd.RunE
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			*secrets = *newPrompt(cmd.InOrStdin())
			return run(cmd, args)
		}
		all = append(all, cmd)
	}
	return all
}

// once opens a session for one verb.
func (s *Server) once(ctx context.Context, hear func(talk.Broadcast)) (*talk.Session, func(), error) {
	o, err := s.Options()
	if err != nil {
		return nil, nil, err
	}
	o.Broadcast = hear
	session, err := talk.Open(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	return session, session.Close, nil
}

// Inside gives the verbs for a shell, to be run once each.
func Inside(d *Desk) []*cobra.Command {
	var all []*cobra.Command
	for _, verb := range verbs {
		cmd := verb(d)
		cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
			return usage("%s: %w; see: help %s", cmd.Name(), err, cmd.Name())
		})
		if check := cmd.Args; check != nil {
			cmd.Args = func(cmd *cobra.Command, args []string) error {
				if check(cmd, args) != nil { // what was given is not repeated: it may be a password
					return usage("%s takes no arguments; see: help %s", cmd.Name(), cmd.Name())
				}
				return nil
			}
		}
		all = append(all, cmd)
	}
	return all
}

// verbs are all there are, in the order of help.
var verbs = []func(*Desk) *cobra.Command{
	setupVerb, startVerb, shutdownVerb, statusVerb, descriptorVerb, connectionStatusVerb,
	configurationVerb, setConfigurationVerb, checkPasswordVerb, setPasswordVerb, changePasswordVerb,
	logsVerb, peersVerb, channelsVerb, starPeersVerb, statsVerb, crashVerb,
	contactsVerb, sendVerb, historyVerb, presenceVerb,
}

// call is one use of a verb.
type call struct {
	*Desk
	ctx   context.Context
	s     *talk.Session // nil until open
	args  []string
	out   io.Writer
	notes io.Writer // for what is not the answer
	json  bool
}

// verb completes a command with what all have in common.
func (d *Desk) verb(cmd *cobra.Command, run func(*call) error) *cobra.Command {
	if cmd.Args == nil && !cmd.DisableFlagParsing {
		cmd.Args = cobra.NoArgs
	}
	if cmd.ValidArgsFunction == nil {
		cmd.ValidArgsFunction = cobra.NoFileCompletions
	}
	asJSON := cmd.Flags().Bool("json", false, "print JSON")
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		defer context.AfterFunc(ctx, stop)() // a second Ctrl-C ends the process
		c := &call{Desk: d, ctx: ctx, args: args, out: cmd.OutOrStdout(), notes: cmd.ErrOrStderr(), json: *asJSON}
		err := run(c)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil && errors.Is(err, context.Canceled) {
			err = errors.New("interrupted")
		}
		var done quiet
		if errors.As(err, &done) {
			return done
		}
		return fmt.Errorf("%s: %w", cmd.Name(), d.Explain(err))
	}
	return cmd
}

// open connects; the caller releases.
func (c *call) open(hear func(talk.Broadcast)) (release func(), err error) {
	s, release, err := c.Session(c.ctx, hear)
	if err != nil {
		return nil, err
	}
	c.s = s
	if uid, trusted, err := s.Owner(); err == nil && !trusted {
		if _, atNode := s.AtNode(); !atNode { // a Node may be another user's: of whom, its Daemon says
			fmt.Fprintf(c.notes, "parley: note: the Daemon on port %d is run by uid %d, which is neither root nor you; it gets no passwords from here\n", c.Port(), uid)
		}
	}
	return release, nil
}

// asking makes a verb of one question: print gets the payload.
func asking(q talk.Question, print func(*call, jsontext.Value) error) func(*call) error {
	return func(c *call) error {
		release, err := c.open(nil)
		if err != nil {
			return err
		}
		defer release()
		return c.askAndPrint(q, print)
	}
}

func (c *call) askAndPrint(q talk.Question, print func(*call, jsontext.Value) error) error {
	payload, err := c.s.Ask(c.ctx, q)
	if err != nil {
		return err
	}
	if c.json {
		return c.printJSON(payload)
	}
	if err := print(c, payload); err != nil {
		return fmt.Errorf("the answer to %q makes no sense: %w", q.Opcode, err)
	}
	return nil
}

// printJSON prints a payload as it came, on one line.
func (c *call) printJSON(raw jsontext.Value) error {
	raw = raw.Clone()
	if err := raw.Compact(); err != nil {
		return err
	}
	return c.print("%s\n", show.JSON(raw))
}

// object prints something of our own as JSON.
func (c *call) object(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return c.printJSON(b)
}

func (c *call) print(format string, args ...any) error {
	if _, err := fmt.Fprintf(c.out, format, args...); err != nil {
		return fmt.Errorf("cannot print: %w", err)
	}
	return nil
}

func (c *call) table(rows ...[]string) error {
	if err := show.Table(c.out, rows...); err != nil {
		return fmt.Errorf("cannot print: %w", err)
	}
	return nil
}
