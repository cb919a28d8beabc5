package chat

// What stands where the password is typed.
const (
	secretTitle    = "Database password, to show the history:"
	checkingTitle  = "Checking the password..."
	wrongTitle     = "That is not the database's password. Try again:"
	uncheckedTitle = "The password was not checked. Try again:"
	shownTitle     = "The history is shown. Enter goes on:"
)

// askHistory asks for the password where there is a history that needs one.
func (m *model) askHistory() {
	c := m.shown()
	switch {
	case c == nil:
	case c.state == statePending:
		m.tell("%s waits to be let in, and has no history", c.title())
	case m.talk(m.at).loaded && m.talk(m.at).locked == nil: // what is typed now is a password all the same
		m.askSecret(shownTitle).done = func(string) {}
	default:
		m.askSecret(secretTitle)
	}
}

func (m *model) askSecret(title string) *prompt {
	p := m.ask(title, "", nil)
	p.field.secret = true
	p.done = func(text string) { m.check(p, text) }
	return p
}

// check has the node find out whether a password is right. That takes a while, and
// longer after wrong ones: until then there is a question in the place where
// messages are typed. Whoever believes that nothing has happened, and types the
// password again, must not send it to somebody.
func (m *model) check(p *prompt, text string) {
	if text == "" {
		return
	}
	if m.down != "" {
		m.prompt = p
		m.tell(noConnection + "; try again when there is")
		return
	}
	c := m.shown()
	if c == nil || c.state == statePending {
		return
	}
	m.note = "" // it may be about the one before
	m.ask(checkingTitle, "", nil).field.secret = true
	m.prompt.checks = &text
	m.load(m.at, 0)
}

// secret is the password to ask with: one that is being checked, or the one that
// was right; nil: none is known.
func (m *model) secret() *string {
	if m.prompt != nil && m.prompt.checks != nil {
		return m.prompt.checks
	}
	return m.password
}

// askAgain gives the question back, with what was typed during the check.
func (m *model) askAgain(title string) {
	typed := m.prompt.field
	m.askSecret(title).field = typed
}

// unchecked gives the question back when no answer will come: the connection is
// lost, or the contact gone.
func (m *model) unchecked() {
	if m.prompt == nil || m.prompt.checks == nil {
		return
	}
	if t := m.talks[m.at]; t == nil || !t.loading {
		m.askAgain(uncheckedTitle)
	}
}

// lockedOut asks for the password, unless somebody is typing, who would type into
// the wrong place. password is the one that was given; nil: none.
func (m *model) lockedOut(why *lockedError, password *string) {
	known := password != nil && password == m.password
	if known {
		m.password = nil
	}
	typing := len(m.entry.text) > 0 || m.help
	switch {
	case m.prompt != nil && m.prompt.checks != nil && m.prompt.checks == password:
		m.askAgain(wrongTitle)
	case m.prompt != nil, m.password != nil: // it is asked for; or another one was right meanwhile
	case why.wrong && (typing || !known): // or the question was left while this one was checked
		m.tell("That is not the database's password: Ctrl-S asks for it")
	case why.wrong:
		m.asked = true
		m.askSecret(wrongTitle)
	case !m.asked && !typing:
		m.asked = true
		m.askSecret(secretTitle)
	}
}

// unlock is for when history came. password is the one that was right; nil: it
// needs none.
func (m *model) unlock(password *string) {
	fresh := password != nil && password != m.password
	if fresh {
		m.password = password
	}
	if p := m.prompt; p != nil && p.field.secret {
		if p.checks != nil && len(p.field.text) == 0 {
			m.prompt = nil
			m.tell("the password is right")
		} else { // the rest of what is being typed is no message either
			p.title, p.checks, p.done = shownTitle, nil, func(string) {}
		}
	}
	if !fresh {
		return
	}
	for _, t := range m.talks {
		t.locked = nil
	}
	m.open()
}
