package chat

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"parley/cmd/parley/show"
)

const (
	// The smallest window that is drawn, in columns and rows.
	leastWidth, leastHeight = 20, 6
	// listWidth is that of contacts in the usual window; it grows with the window.
	listWidth, listMost = 20, 30
	// listLeast is the narrowest window that has room for contacts.
	listLeast = 56
	// frameRows are above and below the messages: own status, whom they are with,
	// notes, what is typed, keys.
	frameRows = 5
)

// layout is where things are.
type layout struct {
	list int // columns of contacts; 0: no room
	pane int // columns of messages
	body int // rows of messages
}

func (m *model) layout() layout {
	l := layout{pane: m.width, body: max(m.height-frameRows, 1)}
	if m.width >= listLeast {
		l.list = min(max(listWidth, m.width/4), listMost)
		l.pane = m.width - l.list - len(divider)
	}
	return l
}

// divider is between contacts and messages.
const divider = " | "

// View implements tea.Model.
func (m *model) View() tea.View {
	v := tea.View{AltScreen: true}
	if m.width < leastWidth || m.height < leastHeight {
		v.SetContent(fit(fmt.Sprintf("at least %dx%d, please", leastWidth, leastHeight), m.width))
		return v
	}
	l := m.layout()
	rows := []string{m.look.bar.Styled(m.top())}
	left, right := m.left(l), m.right(l)
	for i, r := range right {
		if l.list > 0 {
			r = left[i] + m.look.rule.Styled(divider) + r
		}
		rows = append(rows, r)
	}
	rows = append(rows, m.notice())
	typed, cursor := m.typed()
	rows = append(rows, typed, m.look.soft.Styled(m.keys()))
	v.SetContent(strings.Join(rows, "\n"))
	v.Cursor = tea.NewCursor(cursor, m.height-2)
	v.Cursor.Blink = false
	return v
}

// top says how others see this node.
func (m *model) top() string {
	text := " parley chat  "
	if m.own.alias != "" {
		text += plain(m.own.alias, nameMost) + "  "
	}
	text += describePresence(m.own)
	state := "connected "
	if m.down != "" {
		state = "not connected "
	}
	if room := m.width - len(state) - 1; room > 0 {
		return fit(text, room) + " " + state
	}
	return fit(text, m.width)
}

// describePresence says a status and its message.
func describePresence(p presence) string {
	text := statuses[min(p.status, busy)]
	if p.message != "" {
		text += ": " + plain(p.message, show.Most)
	}
	return text
}

// left is the list of contacts, as many rows as right has.
func (m *model) left(l layout) []string {
	if l.list == 0 {
		return nil
	}
	rows := []string{m.look.fresh.Styled(fit("Contacts", l.list))}
	first := 0
	if at := m.index(m.at); at >= l.body {
		first = at - l.body + 1
	}
	for i := range l.body {
		row := strings.Repeat(" ", l.list)
		if first+i < len(m.contacts) {
			row = m.listed(&m.contacts[first+i], l.list)
		}
		rows = append(rows, row)
	}
	return rows
}

// listed is one contact of the list.
func (m *model) listed(c *contact, columns int) string {
	count := ""
	switch t := m.talks[c.address]; {
	case c.state == statePending && c.held > 0:
		count = fmt.Sprintf(" %d", c.held)
	case t != nil && t.unread > 0:
		count = fmt.Sprintf(" %d", t.unread)
	}
	text := fit(c.mark()+" "+c.title(), columns-len(count)) + count
	switch {
	case c.address == m.at:
		return m.look.list.Styled(text)
	case c.state == statePending:
		return m.look.warn.Styled(text)
	case count != "":
		return m.look.fresh.Styled(text)
	case c.state == stateIgnored:
		return m.look.soft.Styled(text)
	}
	return m.look.status[min(c.presence.status, busy)].Styled(text)
}

// right is whom the conversation is with, and its part that fits.
func (m *model) right(l layout) []string {
	rows := []string{m.look.fresh.Styled(fit(m.whom(), l.pane))}
	body := m.body(l)
	for i := range l.body {
		row := strings.Repeat(" ", l.pane)
		if i < len(body) {
			row = body[i]
		}
		rows = append(rows, row)
	}
	return rows
}

func (m *model) whom() string {
	c := m.contact(m.at)
	if c == nil {
		return ""
	}
	text := c.title()
	if address := plain(c.address, nameMost); text != address {
		text += "  " + address
	}
	switch c.state {
	case statePending:
		return text + "  asks to be let in"
	case stateIgnored:
		return text + "  ignored"
	}
	if c.name != "" && c.presence.alias != "" && c.name != c.presence.alias {
		text += `  "` + plain(c.presence.alias, nameMost) + `"`
	}
	return text + "  " + describePresence(c.presence)
}

// notice is the row between messages and what is typed.
func (m *model) notice() string {
	t := m.talks[m.at]
	switch {
	case m.note != "":
		return m.look.warn.Styled(fit(m.note, m.width))
	case m.down != "":
		return m.look.warn.Styled(fit("no connection: "+plain(m.down, show.Most), m.width))
	case t != nil && t.up > 0:
		return m.look.soft.Styled(fit("-- there is more below: PgDn --", m.width))
	case m.layout().list == 0 && m.elsewhere() > 0:
		return m.look.fresh.Styled(fit(fmt.Sprintf("-- news: Tab (%d) --", m.elsewhere()), m.width))
	}
	return m.look.rule.Styled(strings.Repeat("-", m.width))
}

// typed is the row that is typed in, and where the cursor is.
func (m *model) typed() (row string, cursor int) {
	title, f := ">", &m.entry
	if m.prompt != nil {
		title, f = m.prompt.title, &m.prompt.field
	}
	room := max(m.width/3, leastWidth/2) // for what is typed, at least
	title = strings.TrimRight(fit(title, min(width(title), m.width-room)), " ") + " "
	text, at := f.show(m.width - width(title))
	row = fit(title+text, m.width)
	if m.prompt != nil {
		row = m.look.warn.Styled(title) + fit(text, m.width-width(title))
	}
	return row, width(title) + at
}

// keys are the ones that are of use now.
func (m *model) keys() string {
	text := "Enter send  Up/Down contact  Tab unread  PgUp/PgDn scroll  ^G keys  ^Q end"
	c := m.contact(m.at)
	switch {
	case m.prompt != nil && m.prompt.checks != nil:
		text = "Esc leave it"
	case m.prompt != nil:
		text = "Enter do it  Esc leave it"
	case m.help:
		text = "Esc back  ^Q end"
	case c == nil:
		text = "^O add a contact  ^T status  Alt-N alias  ^G keys  ^Q end"
	case c.state == statePending:
		text = "^Y accept  ^X ignore  Up/Down contact  Tab unread  ^G keys  ^Q end"
	case c.state == stateIgnored:
		text = "^Y accept  ^R remove  Up/Down contact  Tab unread  ^G keys  ^Q end"
	case m.talks[m.at] != nil && m.talks[m.at].locked != nil:
		text = "^S password  " + text
	}
	return fit(text, m.width)
}
