package chat

import (
	"github.com/charmbracelet/x/ansi"
)

// look says how things are told apart. What colour tells, a word or a mark tells
// too: the terminal library leaves colours out where there are none.
type look struct {
	bar, rule, name, own, soft, warn ansi.Style
	status                           [4]ansi.Style
	list                             ansi.Style // the contact that is shown
	fresh                            ansi.Style // something is unread
}

// looks is the only one there is. It has the terminal's own colours.
func looks() look {
	s := func() ansi.Style { return ansi.NewStyle() }
	return look{
		bar:  s().Reverse(true),
		rule: s().Faint(),
		name: s().Bold().ForegroundColor(ansi.Cyan),
		own:  s().Bold().ForegroundColor(ansi.Green),
		soft: s().Faint(),
		warn: s().Bold().ForegroundColor(ansi.Yellow),
		status: [4]ansi.Style{
			offline:   s().Faint(),
			available: s().ForegroundColor(ansi.Green),
			away:      s().ForegroundColor(ansi.Yellow),
			busy:      s().ForegroundColor(ansi.Red),
		},
		list:  s().Reverse(true),
		fresh: s().Bold(),
	}
}

// Marks stand before contacts.
const (
	markPending = "?"
	markIgnored = "x"
)

// marks of friends by status.
var marks = [...]string{offline: " ", available: "+", away: "~", busy: "!"}

// mark is what stands before a contact.
func (c *contact) mark() string {
	switch c.state {
	case statePending:
		return markPending
	case stateIgnored:
		return markIgnored
	}
	return marks[min(c.presence.status, busy)]
}
