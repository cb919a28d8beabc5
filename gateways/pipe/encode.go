package pipe

import (
	"strconv"
	"unicode/utf8"

	"parley/messages/enclavepb"
)

const (
	envelopeMost = 4 << 10  // bytes of a line beside what can be long, roughly
	reasonMost   = 8 << 10  // bytes of a reason, which may tell what was asked
	extraMost    = 16 << 10 // bytes of extra: larger ones are left out
)

// writer makes a line.
type writer struct {
	b     []byte
	begun bool
}

func event(name string) *writer {
	w := &writer{b: []byte("{")}
	return w.text("event", name)
}

func (w *writer) key(name string) {
	if w.begun {
		w.b = append(w.b, ',')
	}
	w.begun = true
	w.b = append(append(append(w.b, '"'), name...), '"', ':')
}

func (w *writer) text(key, s string) *writer {
	w.key(key)
	w.b = append(appendHarmless(append(w.b, '"'), s), '"')
	return w
}

func (w *writer) number(key string, n int64) *writer {
	w.key(key)
	w.b = strconv.AppendInt(w.b, n, 10)
	return w
}

func (w *writer) truth(key string, is bool) *writer {
	w.key(key)
	w.b = strconv.AppendBool(w.b, is)
	return w
}

// line is what was written, as one.
func (w *writer) line() []byte { return append(w.b, '}', '\n') }

// appendEvent appends the lines of an event to lines.
func appendEvent(lines [][]byte, e *enclavepb.Event) [][]byte {
	switch m := e.GetBody().(type) {
	case *enclavepb.Event_Received:
		return appendReceived(lines, m.Received)
	case *enclavepb.Event_Status:
		c, p := m.Status, m.Status.GetPresence()
		return append(lines, event("status").text("address", c.GetAddress()).text("name", c.GetName()).
			number("status", int64(p.GetStatus())).text("status-message", p.GetStatusMessage()).text("alias", p.GetAlias()).line())
	case *enclavepb.Event_Request:
		c, p := m.Request, m.Request.GetPresence()
		return append(lines, event("request").text("address", c.GetAddress()).text("alias", p.GetAlias()).
			number("status", int64(p.GetStatus())).text("status-message", p.GetStatusMessage()).number("held", int64(c.GetHeld())).line())
	case *enclavepb.Event_Progress:
		if name := progressNames[m.Progress.GetDelivery()]; name != "" {
			return append(lines, event(name).text("to", m.Progress.GetTo()).text("name", m.Progress.GetName()).text("id", m.Progress.GetId()).line())
		}
	case *enclavepb.Event_Gone:
		return append(lines, event("gone").text("address", m.Gone.GetAddress()).line())
	}
	return lines
}

var progressNames = map[enclavepb.Delivery]string{
	enclavepb.Delivery_DELIVERY_QUEUED:    "queued",
	enclavepb.Delivery_DELIVERY_SENT:      "sent",
	enclavepb.Delivery_DELIVERY_DELIVERED: "delivered",
}

// appendReceived writes a message in as many lines as it needs; "more" tells that
// the next one goes on.
func appendReceived(lines [][]byte, m *enclavepb.Received) [][]byte {
	rest, more := m.GetMessage(), true
	for more {
		w := event("message").text("from", m.GetFrom()).text("name", m.GetName())
		w.key("message")
		w.b = append(w.b, '"')
		w.b, rest = appendPart(w.b, rest, lineMost-extraMost-envelopeMost)
		w.b = append(w.b, '"')
		w.number("timestamp", m.GetTimestamp())
		if m.GetAgain() {
			w.truth("again", true)
		}
		if more = rest != ""; more {
			w.truth("more", true)
		} else if extra := appendHarmlessJSON(nil, m.GetExtra()); len(extra) > 0 && len(extra) <= extraMost {
			w.key("extra")
			w.b = append(w.b, extra...)
		}
		lines = append(lines, w.line())
	}
	return lines
}

// appendEntry writes an entry of a conversation in as many lines as it needs;
// "more" tells that the next one goes on.
func appendEntry(lines [][]byte, id string, e *enclavepb.Entry) [][]byte {
	rest, more := e.GetMessage(), true
	for more {
		w := event("said").text("id", id).number("serial", int64(e.GetSerial())).truth("own", e.GetOwn())
		w.key("message")
		w.b = append(w.b, '"')
		w.b, rest = appendPart(w.b, rest, lineMost-2*envelopeMost)
		w.b = append(w.b, '"')
		w.number("timestamp", e.GetTimestamp())
		if name := progressNames[e.GetDelivery()]; name != "" {
			w.text("state", name)
		}
		if more = rest != ""; more {
			w.truth("more", true)
		}
		lines = append(lines, w.line())
	}
	return lines
}

// appendResult appends the lines of an answer: contacts or entries, if it has such,
// and the result itself.
func appendResult(lines [][]byte, r *enclavepb.Result) [][]byte {
	if r.GetCmd() == "list" && r.GetOk() {
		lines = appendContacts(lines, r.GetContacts())
	}
	for _, e := range r.GetEntries() {
		lines = appendEntry(lines, r.GetId(), e)
	}
	w := event("result").text("id", r.GetId()).text("cmd", r.GetCmd()).truth("ok", r.GetOk())
	w.key("reason")
	w.b = append(w.b, '"')
	w.b, _ = appendPart(w.b, r.GetReason(), reasonMost)
	w.b = append(w.b, '"')
	if r.GetCmd() == "history" {
		w.truth("more", r.GetMore()).truth("locked", r.GetLocked())
	}
	return append(lines, w.line())
}

// appendContacts writes the address book in as many lines as it needs; "more"
// tells that the next one goes on.
func appendContacts(lines [][]byte, all []*enclavepb.Contact) [][]byte {
	for more := true; more; {
		w := event("contacts")
		w.key("contacts")
		w.b = append(w.b, '[')
		for first := true; len(all) > 0 && len(w.b) < lineMost-envelopeMost; first, all = false, all[1:] {
			if !first {
				w.b = append(w.b, ',')
			}
			w.b = appendContact(w.b, all[0])
		}
		w.b = append(w.b, ']')
		if more = len(all) > 0; more {
			w.truth("more", true)
		}
		lines = append(lines, w.line())
	}
	return lines
}

func appendContact(dst []byte, c *enclavepb.Contact) []byte {
	w := &writer{b: append(dst, '{')}
	w.text("address", c.GetAddress()).text("name", c.GetName()).text("alias", c.GetPresence().GetAlias()).
		text("state", stateNames[c.GetState()]).number("status", int64(c.GetPresence().GetStatus()))
	return append(w.b, '}')
}

var stateNames = map[enclavepb.State]string{
	enclavepb.State_STATE_FRIEND:  "friend",
	enclavepb.State_STATE_IGNORED: "ignored",
	enclavepb.State_STATE_PENDING: "pending",
}

// droppedLine says that lines were lost because nobody read.
func droppedLine(n uint64) []byte { return event("dropped").number("count", int64(n)).line() }

// appendHarmless appends s as the inside of a JSON string. What could do
// something to a terminal, or to the order of what it shows, is escaped: the
// string is the same, and the line can be looked at.
func appendHarmless(dst []byte, s string) []byte {
	dst, _ = appendPart(dst, s, len(s)*len(`\u0000`)*2)
	return dst
}

// appendPart is appendHarmless for about most bytes; rest is what is left of s.
func appendPart(dst []byte, s string, most int) (b []byte, rest string) {
	for end := len(dst) + most; len(s) > 0 && len(dst) < end; {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r == '\n':
			dst = append(dst, '\\', 'n')
		case r == '\t':
			dst = append(dst, '\\', 't')
		case harmful(r):
			dst = appendEscape(dst, r)
		default:
			dst = utf8.AppendRune(dst, r) // what is no UTF-8 is replaced
		}
		s = s[n:]
	}
	return dst, s
}

// appendHarmlessJSON appends valid JSON without white space, with what could do
// something to a terminal escaped: that stands in strings only.
func appendHarmlessJSON(dst, b []byte) []byte {
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if harmful(r) {
			dst = appendEscape(dst, r)
		} else {
			dst = append(dst, b[:n]...)
		}
		b = b[n:]
	}
	return dst
}

const hex = "0123456789abcdef"

// appendEscape appends a character of the basic plane.
func appendEscape(dst []byte, r rune) []byte {
	return append(dst, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
}

// harmful are characters that control: C0, DEL, C1, marks and overrides of
// direction, and ends of lines.
func harmful(r rune) bool {
	switch {
	case r < ' ', r >= 0x7f && r <= 0x9f, r == 0x061c, r == 0x200e, r == 0x200f,
		r >= 0x2028 && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
		return true
	}
	return false
}
