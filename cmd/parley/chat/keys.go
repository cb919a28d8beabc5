package chat

import (
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
)

// binding is what a key does when nothing is asked.
type binding struct {
	key   string // as the terminal library names it
	also  string // the same; blank: nothing is
	shown string // in the help; blank: with the one before
	what  string
	do    func(m *model) tea.Cmd
}

// plainly makes an action of one without a command.
func plainly(do func(*model)) func(*model) tea.Cmd {
	return func(m *model) tea.Cmd {
		do(m)
		return nil
	}
}

// bindings are all keys, in the order of the help. They are set by init: the help
// itself is one of them.
var bindings []binding

func init() {
	bindings = []binding{
		{"enter", "", "Enter", "send what was typed", plainly((*model).send)},
		{"up", "ctrl+p", "Up, Down", "the contact before, or the next one", plainly(func(m *model) { m.step(-1) })},
		{"down", "ctrl+n", "", "", plainly(func(m *model) { m.step(1) })},
		{"tab", "", "Tab", "the next contact with something unread", plainly((*model).unread)},
		{"pgup", "", "PgUp, PgDn", "older or newer messages", plainly(func(m *model) { m.scroll(1) })},
		{"pgdown", "", "", "", plainly(func(m *model) { m.scroll(-1) })},
		{"ctrl+y", "", "Ctrl-Y", "accept who asks to be let in", plainly((*model).askAccept)},
		{"ctrl+x", "", "Ctrl-X", "ignore the contact, or who asks", plainly((*model).askIgnore)},
		{"ctrl+o", "", "Ctrl-O", "add a contact, or change its name", plainly((*model).askAdd)},
		{"ctrl+r", "", "Ctrl-R", "remove the contact", plainly((*model).askRemove)},
		{"ctrl+t", "", "Ctrl-T", "change your status and its message", plainly((*model).askStatus)},
		{"alt+n", "", "Alt-N", "change your alias", plainly((*model).askAlias)},
		{"ctrl+s", "", "Ctrl-S", "show locked history: give the password", plainly((*model).askHistory)},
		{"ctrl+g", "f1", "Ctrl-G, F1", "show these keys, or hide them", plainly(func(m *model) { m.help = !m.help })},
		{"esc", "", "Esc", "hide these keys, leave a question", plainly(func(m *model) { m.help = false })},
		{"ctrl+l", "", "Ctrl-L", "draw the screen anew", func(*model) tea.Cmd { return tea.ClearScreen }},
		{"ctrl+z", "", "Ctrl-Z", "back to the shell; fg returns", func(*model) tea.Cmd { return tea.Suspend }},
		{"ctrl+q", "ctrl+c", "Ctrl-Q", "end", func(*model) tea.Cmd { return tea.Quit }},
	}
}

// field is what keys go to.
func (m *model) field() *field {
	if m.prompt != nil {
		return &m.prompt.field
	}
	return &m.entry
}

// key does what a key says.
func (m *model) key(k tea.KeyPressMsg) tea.Cmd {
	name := k.String()
	if m.prompt != nil {
		switch name {
		case "enter":
			p := m.prompt
			if p.checks != nil {
				return nil
			}
			m.prompt = nil
			p.done(p.field.value())
			return nil
		case "esc":
			m.prompt = nil
			return nil
		case "ctrl+q", "ctrl+c", "ctrl+l", "ctrl+z":
		default:
			m.prompt.field.key(k)
			return nil
		}
	}
	for _, b := range bindings {
		if name == b.key || b.also != "" && name == b.also {
			return b.do(m)
		}
	}
	m.entry.key(k)
	return nil
}

// send sends what was typed.
func (m *model) send() {
	text := strings.TrimSpace(m.entry.value())
	switch {
	case text == "" || !m.maySend():
	case m.password != nil && text == strings.TrimSpace(*m.password):
		// It was typed again just when the question for it was over. It does not stay
		// where the next Enter sends it.
		m.entry.set("")
		m.sure("That is the database's password. Send it?", func() {
			if m.maySend() {
				m.sendText(text)
			}
		})
	default:
		m.sendText(text)
	}
}

// maySend tells whether a message can be sent to who is shown; if not, it says why.
func (m *model) maySend() bool {
	c := m.contact(m.at)
	switch {
	case c == nil:
		m.tell("there is nobody to send it to: Ctrl-O adds a contact")
	case c.state == statePending:
		m.tell("%s waits to be let in: Ctrl-Y accepts, then send", c.title())
	case c.state != stateFriend:
		m.tell("%s is ignored: Ctrl-Y accepts, then send", c.title())
	case m.down != "":
		m.tell(noConnection + "; what you typed stays until there is one")
	default:
		return true
	}
	return false
}

func (m *model) sendText(text string) {
	m.sends++
	t := m.talk(m.at)
	l := &line{entry: entry{own: true, text: text, at: time.Now().Unix(), state: sending}, n: m.sends, after: t.newest()}
	t.add(l)
	t.up = 0
	m.entry.set("")
	m.node.Do(sendAsk{to: m.at, text: text, n: m.sends})
}

// scroll goes a page up or down, and gets what is older.
func (m *model) scroll(pages int) {
	t := m.talks[m.at]
	if t == nil {
		return
	}
	// One row of the page before stays for orientation.
	t.up += pages * max(m.layout().body-1, 1)
	top := m.clamp()
	if pages > 0 && top && t.more {
		if first := t.oldest(); first != 0 {
			m.load(m.at, first)
		}
	}
}
