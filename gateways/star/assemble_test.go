package star

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"parley/gateways/link"
)

// wire is a WebSocket without one: messages come from a list.
type wire struct {
	conn     *link.Conn
	messages []sent
}

type sent struct {
	data   string
	binary bool
}

func (w *wire) Next() error {
	if len(w.messages) == 0 {
		return io.EOF
	}
	return nil
}

func (w *wire) Read(buf []byte) ([]byte, bool, error) {
	m := w.messages[0]
	w.messages = w.messages[1:]
	return append(buf, m.data...), m.binary, nil
}
func (w *wire) Writer() net.Conn    { return w.conn }
func (w *wire) Conn() *link.Conn    { return w.conn }
func (w *wire) Bind(*link.Outbound) {}

// silent is a connection that nothing happens on.
type silent struct{ net.Conn }

func (silent) TryWrite(b []byte) (int, error)  { return len(b), nil }
func (silent) SetReadDeadline(time.Time) error { return nil }

func newWire(t fatal, messages ...sent) *wire {
	t.Helper()
	c, err := link.NewConn(silent{})
	if err != nil {
		t.Fatalf("%v", err)
	}
	return &wire{conn: c, messages: messages}
}

// readAll reads to the end as a link does: each frame's memory is used again for
// the next.
func readAll(s *Socket) (all []string, err error) {
	buf := make([]byte, 0, 64)
	for {
		if err := s.Next(); err != nil {
			return all, err
		}
		frame, binary, err := s.Read(buf[:0])
		if err != nil {
			return all, err
		}
		if !binary {
			all = append(all, "text "+string(frame))
		} else {
			text, attachments, ok := split(frame)
			if !ok {
				return all, errors.New("no composite")
			}
			all = append(all, fmt.Sprintf("packet %s %q", text, attachments))
		}
		clear(frame[:cap(frame)])
		buf = frame
	}
}

// expected is what readAll should see, by the rules of PROTOCOL.md, Attachments.
func expected(messages []sent, four bool) (all []string, reason string) {
	for len(messages) > 0 {
		m := messages[0]
		messages = messages[1:]
		if m.binary || strings.HasPrefix(m.data, "b") {
			return all, reasonUnexpected
		}
		due := announced([]byte(m.data))
		if due == 0 {
			all = append(all, "text "+m.data)
			continue
		}
		var attachments []string
		for len(attachments) < due {
			if len(messages) == 0 {
				return all, ""
			}
			next := messages[0]
			messages = messages[1:]
			if !next.binary && next.data != "" && strings.Contains("12356", next.data[:1]) {
				all = append(all, "text "+next.data)
				continue
			}
			a, reason := attached(next, four)
			if reason != "" {
				return all, reason
			}
			attachments = append(attachments, a)
		}
		all = append(all, fmt.Sprintf("packet %s %q", m.data, attachments))
	}
	return all, ""
}

// attached is the attachment that a message is.
func attached(m sent, four bool) (a, reason string) {
	prefix := map[bool]string{true: "\x04", false: "b4"}[m.binary]
	if four {
		prefix = map[bool]string{true: "", false: "b"}[m.binary]
	}
	rest, ok := strings.CutPrefix(m.data, prefix)
	switch {
	case !ok && m.binary:
		return "", reasonUnexpected
	case !ok:
		return "", reasonText
	case m.binary:
		return rest, ""
	}
	b, err := base64.StdEncoding.DecodeString(rest)
	if err != nil {
		return "", reasonBase64
	}
	return string(b), ""
}

// checkAssembly compares what a socket makes of messages with what it should.
func checkAssembly(t fatal, messages []sent, four bool) {
	t.Helper()
	got, err := readAll(NewSocket(newWire(t, messages...), four))
	want, reason := expected(messages, four)
	if !slices.Equal(got, want) {
		t.Fatalf("%v\nbecame %q\nwant   %q", messages, got, want)
	}
	var v *link.Violation
	if errors.As(err, &v) {
		if v.Reason != reason || v.Code != closeProtocol {
			t.Fatalf("%v: %d %s, want %q", messages, v.Code, v.Reason, reason)
		}
	} else if !errors.Is(err, io.EOF) || reason != "" {
		t.Fatalf("%v: %v, want %q", messages, err, reason)
	}
}

func TestAssembly(t *testing.T) {
	text := func(s string) sent { return sent{s, false} }
	bin := func(s string) sent { return sent{s, true} }
	for _, messages := range [][]sent{
		{text("2"), text(`451-["x"]`), bin("\x04hello"), text("3")},
		{text(`452-["x"]`), bin("\x04"), text("2probe"), text("6"), bin("\x04" + strings.Repeat("x", 100)), text(`42["y"]`)},
		{text(`451-["x"]`), text("b4aGVsbG8="), text("b4")},
		{text(`451-["x"]`), text("baGVsbG8=")},
		{text(`451-["x"]`), text("b4%%")},
		{text(`451-["x"]`), text("b")},
		{text(`451-["x"]`), text(`42["y"]`)},
		{text(`451-["x"]`), text(``)},
		{text(`451-["x"]`), bin("")},
		{text(`451-["x"]`), bin("hello")},
		{text(`451-["x"]`), text("2")},
		{text(`458-["x"]`), bin("\x041"), bin("\x042"), bin("\x043"), bin("\x044"), bin("\x045"), bin("\x046"), bin("\x047"), bin("\x048"), text("2")},
		{text(`459-["x"]`), bin("\x041")},
		{text(`450-["x"]`), text("2")},
		{text(`45`), text(`46`), text(`4`), text(``), text("2")},
		{text(`461-3[]`), bin("\x04x")},
		{bin("\x04")},
		{text("b4")},
		{text("b")},
	} {
		for _, four := range []bool{false, true} {
			checkAssembly(t, messages, four)
		}
	}
}

var pieces = []sent{
	{"2", false},
	{"3x", false},
	{"6", false},
	{`451-["x"]`, false},
	{`452-["x"]`, false},
	{`42["x"]`, false},
	{"b4aGk=", false},
	{"baGk=", false},
	{"", false},
	{"\x04", true},
	{"\x04one", true},
	{"two", true},
	{"", true},
}

// TestAssemblyOfAnything: whatever the order in which clients say things.
func TestAssemblyOfAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		four := rapid.Bool().Draw(t, "four")
		likely := rapid.SampledFrom(pieces)
		if rapid.Bool().Draw(t, "well") { // mostly good ones, or few sequences get far
			likely = rapid.SampledFrom([]sent{{"2", false}, {`451-["x"]`, false}, {"\x04one", true}, {"\x04" + strings.Repeat("y", 200), true}, {`452-["x"]`, false}})
		}
		checkAssembly(t, rapid.SliceOfN(likely, 0, 12).Draw(t, "messages"), four)
	})
}

// FuzzAssembly cuts its input into messages: each line is one, binary if it
// begins with a dot.
func FuzzAssembly(f *testing.F) {
	f.Add([]byte("2\n451-[\"x\"]\n.\x04hello\n3"), false)
	f.Add([]byte("452-[\"x\"]\n.one\n2\nbaGk=\n42[\"x\"]"), true)
	f.Add([]byte("461-3[]\nb4aGk=\n.\x04"), false)
	f.Fuzz(func(t *testing.T, input []byte, four bool) {
		var messages []sent
		for line := range strings.SplitSeq(string(input), "\n") {
			data, binary := strings.CutPrefix(line, ".")
			messages = append(messages, sent{data, binary})
		}
		checkAssembly(t, messages, four)
	})
}

// TestComposites: what was put together comes apart, and nothing that is cut off
// or changed where the places are makes it read elsewhere.
func TestComposites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		body := rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "text")
		end, want := len(body), bytes.Clone(body)
		var spans []span
		var attachments [][]byte
		for range rapid.IntRange(1, maxAttachments).Draw(t, "attachments") {
			body = append(body, rapid.SliceOfN(rapid.Byte(), 0, 2).Draw(t, "gap")...)
			a := rapid.SliceOfN(rapid.Byte(), 0, 10).Draw(t, "attachment")
			spans = append(spans, span{len(body), len(body) + len(a)})
			attachments, body = append(attachments, a), append(body, a...)
		}
		frame := compose(body, end, spans)
		text, got, ok := split(frame)
		if !ok || !bytes.Equal(text, want) || !slices.EqualFunc(got, attachments, bytes.Equal) {
			t.Fatalf("%q %q became %q %q", want, attachments, text, got)
		}
		cut := rapid.IntRange(0, len(frame)-1).Draw(t, "cut")
		split(frame[:cut]) // whatever it is, it stays within
		i := rapid.IntRange(0, len(frame)-1).Draw(t, "at")
		frame[i] ^= rapid.ByteMin(1).Draw(t, "bits")
		split(frame)
	})
}
