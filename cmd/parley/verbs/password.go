package verbs

import (
	"errors"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"parley/cmd/parley/talk"
)

// Names of what is asked for.
const (
	askCurrent = "Database password"
	askOld     = "Old database password"
	askNew     = "New database password"
	askAgain   = "The same again"
)

const passwordHelp = `

It is asked for on the terminal, or read from standard input, one a line, when that is no terminal. It goes only to a
server that root or you run, or that the Daemon of one of them started.`

// passwordRequest is that of checkPassword and configuration.
type passwordRequest struct {
	Password *string `json:"dbPasswordOpt"` // nil: none
}

// secretly is a question with a password for the Node. The Daemon does not see it.
func secretly(opcode string, payload any) talk.Question {
	return talk.Question{Opcode: opcode, Payload: payload, Place: talk.Node, Secret: true}
}

// openNode connects to the Node: nobody types a password for nothing.
func (c *call) openNode() (release func(), err error) {
	release, err = c.open(nil)
	if err != nil {
		return nil, err
	}
	if err := c.s.ToNode(c.ctx); err != nil {
		release()
		return nil, err
	}
	return release, nil
}

func checkPasswordVerb(d *Desk) *cobra.Command {
	return d.verb(&cobra.Command{
		Use:   "check-password",
		Short: "Check the password of the Node's database",
		Long: `Check the password of the Node's database. It ends with 0 when it is right, with 1 when it is not. A blank one asks
whether the database has none.` + passwordHelp,
		Example: "  " + d.Prefix + "check-password",
	}, func(c *call) error {
		release, err := c.openNode()
		if err != nil {
			return err
		}
		defer release()
		password, err := c.Secrets.Ask(c.ctx, askCurrent)
		if err != nil {
			return err
		}
		payload, err := c.s.Ask(c.ctx, secretly("checkPassword", passwordRequest{optional(password)}))
		if err != nil {
			return err
		}
		return c.tellMatch(payload, password == "")
	})
}

// tellMatch says whether a password was right, by exit code too. blank: none was
// given.
func (c *call) tellMatch(raw jsontext.Value, blank bool) error {
	var in struct {
		Matches bool `json:"matches"`
	}
	if err := talk.Decode(raw, &in, "matches"); err != nil {
		return fmt.Errorf("the answer makes no sense: %w", err)
	}
	if c.json {
		if err := c.printJSON(raw); err != nil || in.Matches {
			return err
		}
		return quiet(exitFailed)
	}
	switch {
	case in.Matches && blank:
		return c.print("the database has no password\n")
	case in.Matches:
		return c.print("the password is right\n")
	case blank:
		return errors.New("the database has a password")
	}
	return errors.New("that is not the database's password; try again, or set the first one with: " + c.Prefix + "set-password")
}

// optional is nil for a blank one.
func optional(password string) *string {
	if password == "" {
		return nil
	}
	return &password
}

// changeRequest is that of changePassword.
type changeRequest struct {
	Old *string `json:"oldPasswordOpt"` // nil: there is none
	New string  `json:"newPassword"`
}

func setPasswordVerb(d *Desk) *cobra.Command {
	return d.verb(&cobra.Command{
		Use:     "set-password",
		Short:   "Give the Node's database its first password",
		Long:    "Give the Node's database its first password. From then on, what is secret in it is shown with the password only." + passwordHelp,
		Example: "  " + d.Prefix + "set-password",
	}, func(c *call) error { return c.changePassword(false) })
}

func changePasswordVerb(d *Desk) *cobra.Command {
	return d.verb(&cobra.Command{
		Use:     "change-password",
		Short:   "Change the password of the Node's database",
		Long:    "Change the password of the Node's database: the old one is asked for, then the new one." + passwordHelp,
		Example: "  " + d.Prefix + "change-password",
	}, func(c *call) error { return c.changePassword(true) })
}

func (c *call) changePassword(hasOld bool) error {
	release, err := c.openNode()
	if err != nil {
		return err
	}
	defer release()
	var m changeRequest
	if hasOld {
		old, err := c.Secrets.Ask(c.ctx, askOld)
		if err != nil {
			return err
		}
		m.Old = &old
	}
	if m.New, err = c.newPassword(); err != nil {
		return err
	}
	return c.askAndPrint(secretly("changePassword", m), func(c *call, _ jsontext.Value) error {
		return c.print("the password is set\n")
	})
}

// newPassword asks twice where it may be mistyped.
func (c *call) newPassword() (string, error) {
	text, err := c.Secrets.Ask(c.ctx, askNew)
	if err != nil {
		return "", err
	}
	if text == "" {
		return "", errors.New("a blank password protects nothing; nothing was changed")
	}
	if !c.Secrets.Seen() {
		return text, nil
	}
	again, err := c.Secrets.Ask(c.ctx, askAgain)
	if err != nil {
		return "", err
	}
	if again != text {
		return "", errors.New("the two are not the same; nothing was changed")
	}
	return text, nil
}
