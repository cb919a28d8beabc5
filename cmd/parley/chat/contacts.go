package chat

import (
	"cmp"
	"slices"
	"strings"
)

// title is what a contact is called, plain: the name that was given here, what it
// calls itself in quotes, or its address.
func (c *contact) title() string {
	text := plain(c.called(), nameMost)
	if c.claims() {
		text = `"` + text + `"`
	}
	return text
}

// called is title as it came, without quotes.
func (c *contact) called() string {
	switch {
	case strings.TrimSpace(c.name) != "":
		return c.name
	case c.claims():
		return c.presence.alias
	}
	return c.address
}

// claims tells whether only the other one says what it is called.
func (c *contact) claims() bool {
	return strings.TrimSpace(c.name) == "" && strings.TrimSpace(c.presence.alias) != ""
}

// rank puts who waits first, and who is ignored last.
func (c *contact) rank() int {
	switch c.state {
	case statePending:
		return 0
	case stateFriend:
		return 1
	}
	return 2
}

// sort puts contacts in the order in which they are listed.
func (m *model) sort() {
	slices.SortStableFunc(m.contacts, func(a, b contact) int {
		return cmp.Or(
			cmp.Compare(a.rank(), b.rank()),
			strings.Compare(strings.ToLower(a.called()), strings.ToLower(b.called())),
			strings.Compare(a.address, b.address),
		)
	})
}

// index is where an address is listed; -1: nowhere.
func (m *model) index(address string) int {
	return slices.IndexFunc(m.contacts, func(c contact) bool { return c.address == address })
}

// contact gives one; nil: the address is none.
func (m *model) contact(address string) *contact {
	if i := m.index(address); i >= 0 {
		return &m.contacts[i]
	}
	return nil
}

// change takes a contact as it is now.
func (m *model) change(c contact) {
	if old := m.contact(c.address); old != nil {
		*old = c
	} else {
		m.contacts = append(m.contacts, c)
		if c.state == statePending {
			m.tell("%s asks to be let in", c.title())
		}
	}
	m.sort()
	switch {
	case c.address == m.at:
		m.open()
	case m.at == "" && !m.chosen:
		m.first()
	}
}

// remove takes an address off the list.
func (m *model) remove(address string) {
	i := m.index(address)
	if i < 0 {
		return
	}
	m.contacts = slices.Delete(m.contacts, i, i+1)
	delete(m.talks, address)
	delete(m.drafts, address)
	if address == m.at {
		m.vanish()
	}
}

// vanish is for when the contact that is shown is none any more. No other takes
// its place: what is being typed would go to the wrong one.
func (m *model) vanish() {
	m.at = ""
	m.entry.set("")
	m.tell("the contact that was shown here is gone; Up and Down choose another one")
}

// first shows the first contact, or else who waits.
func (m *model) first() {
	if len(m.contacts) == 0 {
		return
	}
	m.show(m.contacts[max(slices.IndexFunc(m.contacts, func(c contact) bool { return c.state == stateFriend }), 0)].address)
}

// show goes to a contact. What was typed stays with the one before.
func (m *model) show(address string) {
	if address == m.at {
		return
	}
	if m.at != "" {
		delete(m.drafts, m.at)
		if text := m.entry.value(); text != "" {
			m.drafts[m.at] = text
		}
	}
	m.at, m.chosen = address, true
	m.entry.set(m.drafts[address])
	m.open()
	m.clamp()
}

// step goes up or down the list.
func (m *model) step(by int) {
	i := m.index(m.at)
	if i < 0 {
		m.first()
		return
	}
	if i += by; i >= 0 && i < len(m.contacts) {
		m.show(m.contacts[i].address)
	}
}

// fresh tells whether somebody waits, or has said something that was not shown.
func (m *model) fresh(c *contact) bool {
	t := m.talks[c.address]
	return c.state == statePending || t != nil && t.unread > 0
}

// elsewhere is how many contacts that are not shown have something new.
func (m *model) elsewhere() (n int) {
	for i := range m.contacts {
		if c := &m.contacts[i]; c.address != m.at && m.fresh(c) {
			n++
		}
	}
	return n
}

// unread goes to the next contact that has something new.
func (m *model) unread() {
	from := m.index(m.at)
	for i := 1; i < len(m.contacts); i++ {
		c := &m.contacts[(from+i)%len(m.contacts)]
		if m.fresh(c) {
			m.show(c.address)
			return
		}
	}
	m.tell("nothing is unread")
}
