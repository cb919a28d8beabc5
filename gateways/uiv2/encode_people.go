package uiv2

import (
	"strconv"

	"parley/messages/enclavepb"
)

// appendResult appends what a command was answered with. Source: PROTOCOL.md,
// People.
func appendResult(dst []byte, opcode string, m *enclavepb.Result) []byte {
	switch opcode {
	case "contacts":
		dst = appendPresence(append(dst, `{"own":{`...), m.GetOwn())
		dst = append(dst, `},"contacts":[`...)
		for i, c := range m.GetContacts() {
			dst = appendContact(comma(dst, i), c, states[c.GetState()])
		}
	case "history":
		dst = append(dst, `{"entries":[`...)
		for i, e := range m.GetEntries() {
			dst = appendEntry(comma(dst, i), e)
		}
	case "sendMessage":
		return appendText(dst, `{"messageId":`, m.GetMessageId())
	default:
		return append(dst, "{}"...)
	}
	return append(strconv.AppendBool(append(dst, `],"more":`...), m.GetMore()), '}')
}

// states are those of contacts on the wire.
var states = map[enclavepb.State]string{
	enclavepb.State_STATE_UNSPECIFIED: stateGone,
	enclavepb.State_STATE_FRIEND:      "friend",
	enclavepb.State_STATE_IGNORED:     "ignored",
	enclavepb.State_STATE_PENDING:     "pending",
}

// stateGone is the state of who is no contact any more.
const stateGone = "gone"

// deliveries are how far a message of one's own has come, on the wire.
var deliveries = map[enclavepb.Delivery]string{
	enclavepb.Delivery_DELIVERY_QUEUED:    "queued",
	enclavepb.Delivery_DELIVERY_SENT:      "sent",
	enclavepb.Delivery_DELIVERY_DELIVERED: "delivered",
}

func appendContact(dst []byte, c *enclavepb.Contact, state string) []byte {
	dst = quote(append(dst, `{"address":`...), c.GetAddress())
	dst = appendCount(dst, `,"port":`, uint64(c.GetPort()))
	dst = quote(append(dst, `,"name":`...), c.GetName())
	dst = quote(append(dst, `,"state":`...), state)
	dst = appendPresence(append(dst, ','), c.GetPresence())
	dst = quote(append(dst, `,"notes":`...), c.GetNotes())
	dst = appendCount(dst, `,"lastSeen":`, c.GetLastSeen())
	return append(appendCount(dst, `,"held":`, uint64(c.GetHeld())), '}')
}

// appendPresence appends members: they stand in an object of others.
func appendPresence(dst []byte, p *enclavepb.Presence) []byte {
	dst = quote(append(dst, `"alias":`...), p.GetAlias())
	dst = appendCount(dst, `,"status":`, uint64(p.GetStatus()))
	return quote(append(dst, `,"statusMessage":`...), p.GetStatusMessage())
}

func appendEntry(dst []byte, e *enclavepb.Entry) []byte {
	dst = appendCount(dst, `{"serial":`, e.GetSerial())
	dst = strconv.AppendBool(append(dst, `,"own":`...), e.GetOwn())
	dst = quote(append(dst, `,"message":`...), e.GetMessage())
	dst = strconv.AppendInt(append(dst, `,"timestamp":`...), e.GetTimestamp(), 10)
	dst = quote(append(dst, `,"messageId":`...), e.GetId())
	return append(quote(append(dst, `,"state":`...), deliveries[e.GetDelivery()]), '}')
}

func appendEvent(dst []byte, m *enclavepb.Event) []byte {
	switch e := m.GetBody().(type) {
	case *enclavepb.Event_Request:
		return appendContact(dst, e.Request, states[enclavepb.State_STATE_PENDING])
	case *enclavepb.Event_Status:
		return appendContact(dst, e.Status, states[e.Status.GetState()])
	case *enclavepb.Event_Gone:
		return appendContact(dst, &enclavepb.Contact{Address: e.Gone.GetAddress()}, stateGone)
	case *enclavepb.Event_Received:
		return appendReceived(dst, e.Received)
	case *enclavepb.Event_Progress:
		dst = quote(append(dst, `{"to":`...), e.Progress.GetTo())
		dst = quote(append(dst, `,"name":`...), e.Progress.GetName())
		dst = quote(append(dst, `,"messageId":`...), e.Progress.GetMessageId())
		dst = quote(append(dst, `,"id":`...), e.Progress.GetId())
		return append(quote(append(dst, `,"state":`...), deliveries[e.Progress.GetDelivery()]), '}')
	}
	return append(dst, "{}"...)
}

func appendReceived(dst []byte, m *enclavepb.Received) []byte {
	dst = quote(append(dst, `{"from":`...), m.GetFrom())
	dst = quote(append(dst, `,"name":`...), m.GetName())
	dst = quote(append(dst, `,"message":`...), m.GetMessage())
	dst = strconv.AppendInt(append(dst, `,"timestamp":`...), m.GetTimestamp(), 10)
	dst = appendCount(dst, `,"serial":`, m.GetSerial())
	if len(m.GetExtra()) > 0 {
		dst = append(append(dst, `,"extra":`...), m.GetExtra()...) // a whole object
	}
	return append(dst, '}')
}
