package chat

import (
	"fmt"
	"strings"
	"time"

	"parley/cmd/parley/show"
)

const (
	// timeWidth is "15:04 ".
	timeWidth = 6
	// nameWidth is how much of a name stands before a message, at most.
	nameWidth = 12
	// stateWidth is the widest delivery with a blank before.
	stateWidth = len(" delivered")
	// linesEach is how many rows one message gets at most.
	linesEach = 200
	// textLeast is how narrow a message may get before its delivery is left out.
	textLeast = 10
)

// ownName stands before messages of our own.
const ownName = ">"

// body is the part of a conversation that fits, or what is to be said instead.
func (m *model) body(l layout) []string {
	if m.help {
		return m.helpRows(l)
	}
	c := m.contact(m.at)
	switch {
	case c == nil && len(m.contacts) > 0:
		return m.said(l, "Up and Down choose a contact.")
	case c == nil && m.down == "":
		return m.said(l, "There are no contacts yet.", "", "Ctrl-O adds one by its address. Who calls from elsewhere appears here and waits until you accept.")
	case c == nil:
		return nil
	case c.state == statePending:
		return m.said(l, c.title()+" asks to be let in, from "+plain(c.address, nameMost)+".",
			fmt.Sprintf("It says: %s. Messages held for you: %d.", describePresence(c.presence), c.held), "",
			"Ctrl-Y accepts, and shows you its messages. Ctrl-X ignores it from now on. If you do neither, it is turned away.")
	case c.state == stateIgnored:
		return m.said(l, c.title()+" is ignored: its calls are turned away.", "", "Ctrl-Y accepts it, Ctrl-R removes it.")
	}
	t := m.talk(m.at)
	rows := m.allRows(t)
	if head := m.above(t, l); head != "" {
		rows = append([]string{head}, rows...)
	}
	end := len(rows) - t.up
	return rows[max(end-l.body, 0):max(end, 0)]
}

// said are texts, each in rows of its own.
func (m *model) said(l layout, texts ...string) []string {
	var rows []string
	for _, text := range texts {
		for _, row := range wrap(text, l.pane) {
			rows = append(rows, fit(row, l.pane))
		}
	}
	return rows
}

// above is what stands above the oldest message; blank: nothing.
func (m *model) above(t *conversation, l layout) string {
	text := ""
	switch {
	case t.loading:
		text = "-- loading --"
	case t.locked != nil:
		text = "-- the history is locked: Ctrl-S --"
	case t.more:
		text = "-- there is more above: PgUp --"
	case t.loaded && len(t.lines) == 0:
		text = "-- nothing was said yet --"
	}
	if text == "" {
		return ""
	}
	return m.look.soft.Styled(fit(text, l.pane))
}

// allRows are those of a conversation, with a row before each new day.
func (m *model) allRows(t *conversation) []string {
	var (
		rows []string
		day  string
		pane = m.layout().pane
	)
	for _, l := range t.lines {
		if d := m.time(l.at).Format(time.DateOnly); d != day {
			day = d
			rows = append(rows, m.look.soft.Styled(fit("-- "+d+" --", pane)))
		}
		rows = append(rows, m.rows(l)...)
	}
	return rows
}

// Times that have a date of four digits, in Unix s. Others come from peers whose
// clocks are nonsense.
const (
	earliest int64 = 0
	latest   int64 = 253402300799
)

func (m *model) time(at int64) time.Time {
	return time.Unix(min(max(at, earliest), latest), 0).In(m.zone)
}

// rows are those of one line.
func (m *model) rows(l *line) []string {
	pane := m.layout().pane
	name, style := ownName, m.look.own
	if !l.own {
		style = m.look.name
		name = strings.TrimRight(fit(m.speaker(), min(width(m.speaker()), nameWidth)), " ")
	}
	if l.rows != nil && l.columns == pane && l.name == name {
		return l.rows
	}
	indent := timeWidth + width(name) + 1
	columns, state := pane-indent, ""
	if l.own && columns-stateWidth >= textLeast {
		columns -= stateWidth
		state = fmt.Sprintf("%*s", stateWidth, deliveries[l.state])
	}
	var texts []string
	for part := range strings.Lines(l.text + "\n") {
		texts = append(texts, wrap(plain(strings.TrimRight(part, "\r\n"), show.Most), columns)...)
	}
	for len(texts) > 1 && texts[len(texts)-1] == "" {
		texts = texts[:len(texts)-1]
	}
	if over := len(texts) - linesEach; over > 0 {
		texts = append(texts[:linesEach-1], fmt.Sprintf("(%d more rows)", over+1))
	}
	l.rows, l.columns, l.name = nil, pane, name
	for i, text := range texts {
		row := strings.Repeat(" ", indent) + fit(text, columns)
		if i == 0 {
			row = m.look.soft.Styled(m.time(l.at).Format("15:04")) + " " + style.Styled(name) + " " + fit(text, columns)
		}
		if state != "" && i == 0 {
			row += m.delivery(l.state, state)
		} else if state != "" {
			row += strings.Repeat(" ", stateWidth)
		}
		l.rows = append(l.rows, row)
	}
	return l.rows
}

func (m *model) delivery(d delivery, text string) string {
	if d == unclear || d == refused {
		return m.look.warn.Styled(text)
	}
	return m.look.soft.Styled(text)
}

// speaker is what the other one is called in the conversation that is shown.
func (m *model) speaker() string {
	if c := m.contact(m.at); c != nil {
		return c.title()
	}
	return ""
}

// clamp keeps the window within the conversation. It tells whether its begin is
// shown.
func (m *model) clamp() (top bool) {
	t := m.talks[m.at]
	if t == nil || m.width < leastWidth || m.height < leastHeight {
		return false
	}
	l := m.layout()
	n := len(m.allRows(t))
	if m.above(t, l) != "" {
		n++
	}
	most := max(n-l.body, 0)
	t.up = min(max(t.up, 0), most)
	return t.up == most
}

// helpRows are all keys.
func (m *model) helpRows(l layout) []string {
	var rows []string
	for _, b := range bindings {
		if b.shown != "" {
			rows = append(rows, fit(fmt.Sprintf("%-11s %s", b.shown, b.what), l.pane))
		}
	}
	legend := "Marks: + available  ~ away  ! busy  ? asks  x ignored"
	return append(rows, strings.Repeat(" ", l.pane), fit(legend, l.pane))
}
