package enclavepb

// Weights of queued messages without their texts, in bytes: of the message with
// what it points to.
const (
	eventBytes  = 320
	eventsBytes = 64
)

// Bytes implements messages.Load.
func (m *Event) Bytes() int {
	switch b := m.GetBody().(type) {
	case *Event_Received:
		return eventBytes + len(b.Received.GetMessage()) + len(b.Received.GetExtra()) + len(b.Received.GetName())
	case *Event_Status:
		return eventBytes + b.Status.texts()
	case *Event_Request:
		return eventBytes + b.Request.texts()
	}
	return eventBytes
}

func (m *Contact) texts() int {
	return len(m.GetName()) + len(m.GetNotes()) + len(m.GetPresence().GetAlias()) + len(m.GetPresence().GetStatusMessage())
}

// Bytes implements messages.Load.
func (m *Events) Bytes() int {
	n := eventsBytes
	for _, e := range m.GetEvents() {
		n += e.Bytes()
	}
	return n
}
