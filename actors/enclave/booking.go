package enclave

import (
	"slices"
	"strconv"
	"strings"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/messages/enclavepb"
)

// onAsked takes a command about the book. Those about one friend do not come here.
func (b *book) onAsked(ctx actor.Context, m *asked) {
	if len(b.waiting) == changesMost {
		answer(ctx, m, refused(m, reasonBusy))
		return
	}
	b.waiting = append(b.waiting, m)
	b.next(ctx)
}

// decide says what a command changes, or what is wrong with it, for people.
func (b *book) decide(m *enclavepb.Command) (e *edit, problem string) {
	switch c := m.GetBody().(type) {
	case *enclavepb.Command_Add:
		return b.befriend(c.Add.GetAddress(), c.Add.GetName(), c.Add.GetNotes())
	case *enclavepb.Command_Accept:
		return b.befriend(c.Accept.GetAddress(), c.Accept.GetName(), "")
	case *enclavepb.Command_Ignore:
		return b.ignore(c.Ignore.GetAddress())
	case *enclavepb.Command_Remove:
		if c := b.find(c.Remove.GetAddress()); c != nil {
			return &edit{address: c.GetAddress()}, ""
		}
		return nil, noContact(c.Remove.GetAddress())
	}
	return nil, "the address book does not know this command"
}

// befriend makes a friend of an address, or of a contact. Of one that is a contact,
// what is not given stays.
func (b *book) befriend(text, name, notes string) (e *edit, problem string) {
	addr, port, ok := parseAddress(text)
	if !ok {
		c := b.find(text)
		if c == nil {
			return nil, strconv.Quote(text) + " is no address: write an IP, or IP:port"
		}
		addr, _, _ = parseAddress(c.GetAddress())
	}
	if problem = wrongName(name); problem != "" {
		return nil, problem
	}
	if problem = wrongText("a note", strings.ReplaceAll(notes, "\n", " "), notesMost); problem != "" {
		return nil, problem
	}
	address := addr.String()
	for _, other := range b.contacts {
		if name != "" && strings.EqualFold(other.GetName(), name) && other.GetAddress() != address {
			return nil, strconv.Quote(name) + " is the name of " + other.GetAddress() + ": choose another"
		}
	}
	c := b.draft(address)
	if c == nil {
		return nil, reasonBookFull
	}
	c.State = enclavepb.State_STATE_FRIEND
	if port != 0 {
		c.Port = port
	}
	if own, at, ok := parseAddress(b.o.Local); ok && dialAddress(addr, c.GetPort()) == dialAddress(own, at) {
		return nil, strconv.Quote(text) + " is the address of this node: write that of somebody else's"
	}
	if name != "" {
		c.Name = name
	}
	if notes != "" {
		c.Notes = notes
	}
	return &edit{address: address, contact: c}, ""
}

// ignore closes the door to a contact, or to an address that is none yet.
func (b *book) ignore(text string) (e *edit, problem string) {
	address := canonical(text)
	if c := b.find(text); c != nil {
		address = c.GetAddress()
	}
	if address == "" {
		return nil, noContact(text)
	}
	c := b.draft(address)
	if c == nil {
		return nil, reasonBookFull
	}
	c.State = enclavepb.State_STATE_IGNORED
	return &edit{address: address, contact: c}, ""
}

// draft is a contact that may be changed; nil: there is no room for a new one.
func (b *book) draft(address string) *enclavepb.Contact {
	if c := b.contacts[address]; c != nil {
		return proto.CloneOf(c)
	}
	if len(b.contacts) >= contactsMost {
		return nil
	}
	return &enclavepb.Contact{Address: address}
}

// find is the contact of that name or address; nil: there is none.
func (b *book) find(text string) *enclavepb.Contact {
	for _, c := range b.contacts {
		if text != "" && c.GetName() == text {
			return c
		}
	}
	return b.contacts[canonical(text)]
}

// apply makes a change that is stored, tells of it, and answers.
func (b *book) apply(ctx actor.Context, e *edit) {
	if e.contact == nil {
		delete(b.contacts, e.address)
		ctx.Send(b.met.friends, &parted{e.address})
	} else {
		if now := b.contacts[e.address]; now != nil { // it may have been seen meanwhile
			e.contact.LastSeen, e.contact.Presence = now.GetLastSeen(), now.GetPresence()
		}
		b.contacts[e.address] = e.contact
		ctx.Send(b.met.friends, &introduced{e.contact}) // before strangers brings the links of a new friend there
		ctx.Send(b.met.strangers, &decided{e.address, e.contact.GetState()})
	}
	answer(ctx, e.ask, done(e.ask))
}

// list begins an answer. Friends adds how everybody is, strangers who waits.
func (b *book) list(ctx actor.Context, a *asked) {
	r := done(a)
	for _, c := range b.contacts {
		r.Contacts = append(r.Contacts, proto.CloneOf(c))
	}
	ctx.Send(b.met.friends, &listing{a, r})
}

// byName sorts contacts as people get them.
func byName(all []*enclavepb.Contact) {
	slices.SortFunc(all, func(a, b *enclavepb.Contact) int {
		if by := strings.Compare(a.GetName(), b.GetName()); by != 0 {
			return by
		}
		return strings.Compare(a.GetAddress(), b.GetAddress())
	})
}
