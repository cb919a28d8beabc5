package chat

import (
	"fmt"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"parley/cmd/parley/talk"
)

// wanted are the broadcasts that are subscribed to.
var wanted = []string{"contactRequest", "contactStatus", "messageReceived", "messageState"}

// pageMost is how many entries are asked for at once.
const pageMost = 100

// question makes a request one of MASQNode-UIv2. Source: gateways/uiv2/PROTOCOL.md,
// People.
func question(r request) talk.Question {
	object := func(opcode string, members map[string]any) talk.Question {
		return talk.Question{Opcode: opcode, Payload: members}
	}
	switch r := r.(type) {
	case historyAsk:
		members := map[string]any{"with": r.with, "most": pageMost}
		if r.before != 0 {
			members["before"] = r.before
		}
		if r.password != nil {
			members["dbPasswordOpt"] = *r.password
		}
		q := object("history", members)
		q.Secret = r.password != nil
		return q
	case sendAsk:
		return object("sendMessage", map[string]any{"to": r.to, "message": r.text})
	case addAsk:
		return object("addContact", map[string]any{"address": r.address, "name": r.name})
	case acceptAsk:
		return object("acceptContact", map[string]any{"address": r.address, "name": r.name})
	case ignoreAsk:
		return object("ignoreContact", map[string]any{"address": r.address})
	case removeAsk:
		return object("removeContact", map[string]any{"address": r.address})
	case statusAsk:
		return object("setStatus", map[string]any{"status": r.status, "statusMessage": r.message})
	case aliasAsk:
		return object("setAlias", map[string]any{"alias": r.alias})
	}
	return object("contacts", nil) // listAsk
}

// read completes an answer with its payload.
func (a *answer) read(raw jsontext.Value) error {
	switch a.to.(type) {
	case listAsk:
		l, err := readList(raw)
		a.list = l
		return err
	case historyAsk:
		var in struct {
			Entries []wireEntry `json:"entries"`
			More    bool        `json:"more"`
		}
		if err := talk.Decode(raw, &in, "entries"); err != nil {
			return err
		}
		a.more = in.More
		for _, e := range in.Entries {
			a.entries = append(a.entries, entry{
				serial: e.Serial, own: e.Own, text: e.Message, at: e.Timestamp, id: e.ID, state: parseDelivery(e.State),
			})
		}
	case sendAsk:
		var in struct {
			ID string `json:"messageId"`
		}
		if err := talk.Decode(raw, &in, "messageId"); err != nil {
			return err
		}
		a.id = in.ID
	}
	return nil
}

type wireEntry struct {
	Serial    uint64 `json:"serial"`
	Own       bool   `json:"own"`
	Message   string `json:"message"`
	Timestamp int64  `json:"timestamp"`
	ID        string `json:"messageId"`
	State     string `json:"state"`
}

type wirePresence struct {
	Alias   string `json:"alias"`
	Status  uint32 `json:"status"`
	Message string `json:"statusMessage"`
}

func (p *wirePresence) presence() presence {
	return presence{alias: p.Alias, status: min(p.Status, busy), message: p.Message}
}

type wireContact struct {
	Address string `json:"address"`
	Name    string `json:"name"`
	State   string `json:"state"`
	Held    uint32 `json:"held"`
	wirePresence
}

func (c *wireContact) contact() contact {
	return contact{address: c.Address, name: c.Name, state: c.State, presence: c.presence(), held: int(c.Held)}
}

func readList(raw jsontext.Value) (*list, error) {
	var in struct {
		Own      wirePresence  `json:"own"`
		Contacts []wireContact `json:"contacts"`
	}
	if err := talk.Decode(raw, &in, "own", "contacts"); err != nil {
		return nil, err
	}
	l := &list{own: in.Own.presence()}
	for _, c := range in.Contacts {
		l.contacts = append(l.contacts, c.contact())
	}
	return l, nil
}

func parseDelivery(name string) delivery {
	return delivery(max(slices.Index(deliveries[:sending], name), 0))
}

// readNews understands a broadcast; nil: it is not for here.
func readNews(b talk.Broadcast) (any, error) {
	switch b.Opcode {
	case "contactRequest", "contactStatus":
		var in wireContact
		if err := talk.Decode(b.Payload, &in, "address", "state"); err != nil {
			return nil, fmt.Errorf("%s: %w", b.Opcode, err)
		}
		switch in.State {
		case stateFriend, stateIgnored, statePending:
			return changed{in.contact()}, nil
		}
		return gone{in.Address}, nil
	case "messageReceived":
		var in struct {
			wireEntry
			From string `json:"from"`
		}
		if err := talk.Decode(b.Payload, &in, "from", "message"); err != nil {
			return nil, fmt.Errorf("%s: %w", b.Opcode, err)
		}
		return received{from: in.From, entry: entry{serial: in.Serial, text: in.Message, at: in.Timestamp}}, nil
	case "missed": // this side did not read fast enough
		return missed{}, nil
	case "messageState":
		var in struct {
			To    string `json:"to"`
			ID    string `json:"messageId"`
			State string `json:"state"`
		}
		if err := talk.Decode(b.Payload, &in, "to", "messageId", "state"); err != nil {
			return nil, fmt.Errorf("%s: %w", b.Opcode, err)
		}
		return progress{to: in.To, id: in.ID, state: parseDelivery(in.State)}, nil
	}
	return nil, nil
}

// subscription is the payload of subscribe.
func subscription() jsontext.Value {
	b, err := json.Marshal(map[string]any{"opcodes": wanted})
	if err != nil {
		panic(err) // strings only
	}
	return b
}
