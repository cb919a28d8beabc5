package chat

import (
	"fmt"
	"strings"
)

// prompt is a question that takes the place of what is typed.
type prompt struct {
	title  string // plain
	field  field
	done   func(text string)
	checks *string // password that is being checked: Enter has to wait; nil: none is
}

func (m *model) ask(title, preset string, done func(string)) *prompt {
	m.prompt = &prompt{title: title, done: done}
	m.prompt.field.set(preset)
	return m.prompt
}

// shown gives the contact that is shown, or says that there is none.
func (m *model) shown() *contact {
	c := m.contact(m.at)
	if c == nil {
		m.tell("there is no contact here: Ctrl-O adds one")
	}
	return c
}

// do asks the node, if there is a connection.
func (m *model) do(r request) {
	if m.down != "" {
		m.tell(noConnection + "; try again when there is")
		return
	}
	m.node.Do(r)
}

func (m *model) askAccept() {
	c := m.shown()
	if c == nil {
		return
	}
	if c.state == stateFriend {
		m.tell("%s is a contact already", c.title())
		return
	}
	address, ignored := c.address, c.state == stateIgnored
	m.ask("Accept "+plain(address, nameMost)+" under the name (blank: its own):", c.name, func(name string) {
		if ignored {
			m.do(addAsk{address: address, name: strings.TrimSpace(name)})
			return
		}
		m.do(acceptAsk{address: address, name: strings.TrimSpace(name)})
	})
}

// sure asks before something is done that cannot be taken back.
func (m *model) sure(title string, do func()) {
	m.ask(title+" Type yes:", "", func(text string) {
		if strings.EqualFold(strings.TrimSpace(text), "yes") {
			do()
			return
		}
		m.tell("nothing was done")
	})
}

func (m *model) askIgnore() {
	if c := m.shown(); c != nil {
		r := ignoreAsk{address: c.address}
		m.sure(fmt.Sprintf("Ignore %s?", c.title()), func() { m.do(r) })
	}
}

func (m *model) askRemove() {
	if c := m.shown(); c != nil {
		r := removeAsk{address: c.address}
		m.sure(fmt.Sprintf("Remove %s, and what waits for it?", c.title()), func() { m.do(r) })
	}
}

func (m *model) askAdd() {
	m.ask("Add: IP address or ip:port, and a name:", "", func(text string) {
		address, name, _ := strings.Cut(strings.TrimSpace(text), " ")
		if address == "" {
			m.tell("nothing was done")
			return
		}
		m.do(addAsk{address: address, name: strings.TrimSpace(name)})
	})
}

func (m *model) askStatus() {
	preset := statuses[min(m.own.status, busy)]
	if m.own.status == offline {
		preset = statuses[available]
	}
	m.ask("Status (available, away, busy) and a message:", strings.TrimSpace(preset+" "+m.own.message), func(text string) {
		word, message, _ := strings.Cut(strings.TrimSpace(text), " ")
		for status := available; status <= busy; status++ {
			if word != "" && strings.HasPrefix(statuses[status], strings.ToLower(word)) && (len(word) > 1 || status == busy) {
				m.do(statusAsk{status: status, message: strings.TrimSpace(message)})
				return
			}
		}
		m.tell("%q is no status: give available, away or busy, then what others are to read", word)
	})
}

func (m *model) askAlias() {
	m.ask("Your alias:", m.own.alias, func(text string) {
		alias := strings.TrimSpace(text)
		if alias == "" {
			m.tell("an alias cannot be blank; nothing was changed")
			return
		}
		m.do(aliasAsk{alias: alias})
	})
}
