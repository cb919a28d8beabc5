package chat

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"parley/cmd/parley/show"
)

// noteTime is how long a note is shown.
const noteTime = 10 * time.Second

// noConnection begins notes that are over as soon as there is one.
const noConnection = "there is no connection"

// model is what is known and shown. The loop of the terminal library owns it.
type model struct {
	node node
	zone *time.Location
	look look

	width, height int
	down          string // why there is no connection; blank: there is one
	own           presence
	contacts      []contact // as they are listed
	talks         map[string]*conversation
	at            string  // address of the contact that is shown; blank: none
	chosen        bool    // one was shown before
	password      *string // of the database, it was right; nil: not known
	asked         bool    // the password was asked for
	sends         uint64

	entry  field
	drafts map[string]string // by address: what was typed, and not sent
	prompt *prompt           // nil: none
	help   bool
	note   string
	notes  int // tells them apart
}

// newModel is one that waits for connected.
func newModel(n node, zone *time.Location, l look) *model {
	return &model{
		node: n, zone: zone, look: l, down: "connecting",
		talks: map[string]*conversation{}, drafts: map[string]string{},
	}
}

// news are what node.Next gave. nil: there is no more.
type news []any

// noteOver ends a note.
type noteOver int

// Init implements tea.Model.
func (m *model) Init() tea.Cmd { return m.listen }

func (m *model) listen() tea.Msg { return news(m.node.Next()) }

// Update implements tea.Model.
func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	before := m.notes
	var cmd tea.Cmd
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
		m.clamp()
	case tea.KeyPressMsg:
		cmd = m.key(msg)
	case tea.PasteMsg:
		if !m.field().insert(msg.Content) {
			m.tell("that is too long; it was cut")
		}
	case noteOver:
		if int(msg) == m.notes {
			m.note = ""
		}
	case news:
		for _, n := range msg {
			m.hear(n)
		}
		m.clamp()
		if msg != nil {
			cmd = m.listen
		}
	}
	if m.notes != before {
		this := m.notes
		cmd = tea.Batch(cmd, tea.Tick(noteTime, func(time.Time) tea.Msg { return noteOver(this) }))
	}
	return m, cmd
}

// tell shows a note.
func (m *model) tell(format string, args ...any) {
	m.note = plain(fmt.Sprintf(format, args...), show.Most)
	m.notes++
}

// hear takes one piece of news or an answer.
func (m *model) hear(n any) {
	switch n := n.(type) {
	case connected:
		m.down = ""
		if strings.HasPrefix(m.note, noConnection) {
			m.note = ""
		}
		m.refresh(&n.list)
	case disconnected:
		m.down = n.why
	case missed:
		m.refresh(nil)
	case changed:
		m.change(n.contact)
	case gone:
		m.remove(n.address)
	case received:
		m.receive(n)
	case progress:
		m.progress(n)
	case answer:
		m.answer(n)
	}
	m.unchecked()
}

// talk gives the conversation with an address.
func (m *model) talk(address string) *conversation {
	c := m.talks[address]
	if c == nil {
		c = &conversation{}
		m.talks[address] = c
	}
	return c
}

// refresh asks again for what was loaded before news were missed. l is the
// address book as it is now; nil: not known.
func (m *model) refresh(l *list) {
	var again []string
	for address, t := range m.talks {
		if t.loaded || t.loading {
			again = append(again, address)
			t.loading, t.stale = false, false
		}
	}
	slices.Sort(again)
	if l != nil {
		m.setList(l)
	} else {
		m.node.Do(listAsk{})
	}
	for _, address := range again {
		if t := m.talks[address]; t != nil && !t.loading {
			m.load(address, 0)
		}
	}
}

// open loads the conversation that is shown, if it was not yet.
func (m *model) open() {
	if m.at == "" {
		return
	}
	t := m.talk(m.at)
	t.unread = 0
	if !t.loaded && !t.loading && t.locked == nil {
		m.load(m.at, 0)
	}
}

// load asks for a page.
func (m *model) load(address string, before uint64) {
	t := m.talk(address)
	if c := m.contact(address); c == nil || c.state == statePending || m.down != "" {
		return
	}
	if t.loading {
		t.stale = t.stale || before == 0
		return
	}
	t.loading = true
	m.node.Do(historyAsk{with: address, before: before, password: m.secret()})
}

func (m *model) receive(r received) {
	t := m.talk(r.from)
	l := &line{entry: r.entry}
	if !t.add(l) {
		return
	}
	if r.from == m.at {
		if t.up > 0 {
			t.up += len(m.rows(l))
		}
		return
	}
	t.unread++
	if c := m.contact(r.from); c != nil {
		m.tell("%s: %s", c.title(), strings.Join(strings.Fields(r.entry.text), " "))
	}
}

func (m *model) progress(p progress) {
	t := m.talk(p.to)
	if t.move(p.id, p.state) {
		return
	}
	t.remember(p.id, p.state)
	if t.loaded && !t.waits() { // it was sent from elsewhere
		m.load(p.to, 0)
	}
}

func (m *model) answer(a answer) {
	switch to := a.to.(type) {
	case historyAsk:
		m.history(to, a)
	case sendAsk:
		m.sent(to, a)
	case listAsk:
		if a.err == nil {
			m.setList(a.list)
		}
	default:
		if a.err != nil {
			m.tell("%s", a.err)
			return
		}
		if done := describe(to); done != "" {
			m.tell("%s", done)
		}
		m.node.Do(listAsk{})
	}
}

// describe says what was done.
func describe(r request) string {
	switch r := r.(type) {
	case addAsk:
		return r.address + " is a contact now"
	case acceptAsk:
		return r.address + " is accepted"
	case ignoreAsk:
		return r.address + " is ignored from now on"
	case removeAsk:
		return r.address + " is removed"
	case statusAsk:
		return "others see you as " + statuses[r.status]
	case aliasAsk:
		return "others see you as " + r.alias
	}
	return ""
}

// history takes a page.
func (m *model) history(to historyAsk, a answer) {
	t := m.talk(to.with)
	t.loading = false
	var (
		locked *lockedError
		lost   *lostError
	)
	switch {
	case errors.As(a.err, &locked):
		t.locked = locked
		m.lockedOut(locked, to.password)
		t.stale = t.stale || m.password != nil // it was not asked with that one
	case errors.As(a.err, &lost): // it is asked for again when there is a connection
	case a.err != nil:
		m.tell("the history: %s", a.err)
	case to.before == 0:
		fresh := t.reload(a.entries, a.more)
		if to.with != m.at {
			t.unread += fresh
		}
		m.unlock(to.password)
	default:
		t.prepend(a.entries, a.more)
	}
	if t.stale {
		t.stale = false
		m.load(to.with, 0)
	}
	m.clamp()
}

// sent takes what became of a message.
func (m *model) sent(to sendAsk, a answer) {
	t := m.talk(to.to)
	l := t.mine(to.n)
	if l == nil {
		return
	}
	l.rows = nil
	var lost *lostError
	switch {
	case errors.As(a.err, &lost):
		l.state = unclear
	case a.err != nil:
		l.state = refused
		m.tell("not sent: %s", a.err)
		if to.to == m.at && len(m.entry.text) == 0 {
			m.entry.set(to.text)
		}
	case a.id != "" && t.move(a.id, queued): // a page of history has brought it already
		t.lines = slices.DeleteFunc(t.lines, func(o *line) bool { return o == l })
	default:
		l.id, l.state = a.id, max(queued, t.early[a.id])
		delete(t.early, a.id)
	}
}

// setList takes the address book.
func (m *model) setList(l *list) {
	m.own, m.contacts = l.own, slices.Clone(l.contacts)
	known := map[string]bool{}
	for _, c := range m.contacts {
		known[c.address] = true
	}
	for address := range m.talks {
		if !known[address] {
			delete(m.talks, address)
			delete(m.drafts, address)
		}
	}
	m.sort()
	switch {
	case m.at != "" && !known[m.at]:
		m.vanish()
	case m.at == "" && !m.chosen:
		m.first()
	}
	m.open()
}
