package uiv2

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"pgregory.net/rapid"

	"parley/messages/linkpb"
	"parley/messages/relaypb"
	"parley/messages/uipb"
)

// drawn fills m with anything, lists with up to three elements.
func drawn(t *rapid.T, m protoreflect.Message) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if f.ContainingOneof() != nil && !f.HasOptionalKeyword() {
			continue
		}
		if (f.HasPresence() || f.IsList()) && rapid.Bool().Draw(t, "absent") {
			continue
		}
		switch {
		case f.IsList():
			all := m.Mutable(f).List()
			for range rapid.IntRange(0, 3).Draw(t, "elements") {
				if f.Message() != nil {
					drawn(t, all.AppendMutable().Message())
				} else {
					all.Append(value(t, f))
				}
			}
		case f.Message() != nil:
			drawn(t, m.Mutable(f).Message())
		default:
			m.Set(f, value(t, f))
		}
	}
}

func value(t *rapid.T, f protoreflect.FieldDescriptor) protoreflect.Value {
	switch f.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(rapid.Bool().Draw(t, "bool"))
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(rapid.Int32().Draw(t, "int32"))
	case protoreflect.Uint32Kind:
		return protoreflect.ValueOfUint32(rapid.Uint32().Draw(t, "uint32"))
	case protoreflect.Uint64Kind:
		return protoreflect.ValueOfUint64(rapid.Uint64().Draw(t, "uint64"))
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(rapid.Int64().Draw(t, "int64"))
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(rapid.OneOf(rapid.Float64(), rapid.Just(math.NaN()), rapid.Just(math.Inf(-1))).Draw(t, "double"))
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(rapid.IntRange(0, 7).Draw(t, "enum")))
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes"))
	case protoreflect.StringKind:
		s := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }))
		return protoreflect.ValueOfString(s.Draw(t, "string"))
	}
	panic("no value for " + f.FullName())
}

// distinct gives channels names of their own, and windows lengths, as a node
// does: they become keys.
func distinct(m *uipb.Response) {
	for _, all := range [][]*relaypb.ChannelStats{m.GetNodeStats().GetChannels(), m.GetChannels().GetChannels()} {
		for i, c := range all {
			c.Name = strconv.Itoa(i) + c.GetName()
		}
	}
	for i, w := range m.GetHostStats().GetNetwork() {
		w.Seconds = uint32(i) * 15
	}
}

// people gives what people say the opcodes and bodies that it is told with: they
// are drawn apart.
func people(t *rapid.T, m *uipb.Response) {
	switch {
	case m.GetResult() != nil:
		m.Opcode = rapid.SampledFrom([]string{"contacts", "history", "sendMessage", "addContact"}).Draw(t, "opcode")
	case m.GetEvent() != nil:
		e := m.GetEvent().ProtoReflect()
		bodies := e.Descriptor().Oneofs().ByName("body").Fields()
		drawn(t, e.Mutable(bodies.Get(rapid.IntRange(0, bodies.Len()-1).Draw(t, "event"))).Message())
		if r := m.GetEvent().GetReceived(); r != nil {
			r.Extra = nil // a whole object, as it came
		}
	}
}

// TestWhateverIsWrittenParses: a frame is one strict JSON object, with what its
// message says in the envelope, in order.
func TestWhateverIsWrittenParses(t *testing.T) {
	bodies := (&uipb.Response{}).ProtoReflect().Descriptor().Oneofs().ByName("body").Fields()
	rapid.Check(t, func(t *rapid.T) {
		m := &uipb.Response{}
		drawn(t, m.ProtoReflect())
		drawn(t, m.ProtoReflect().Mutable(bodies.Get(rapid.IntRange(0, bodies.Len()-1).Draw(t, "body"))).Message())
		distinct(m)
		people(t, m)
		frame, err := node.Append(nil, m)
		if err != nil {
			t.Fatal(err)
		}
		checkFrame(t, frame, enveloped(m))
		if frame, err = node.Append(nil, &linkpb.Dropped{Count: rapid.Uint64().Draw(t, "count")}); err != nil {
			t.Fatal(err)
		}
		checkFrame(t, frame, uipb.Broadcast("logBroadcast", &uipb.LogLine{}))
	})
}

// enveloped is the envelope that m has on the wire: what was missed is told in one of its own.
func enveloped(m *uipb.Response) *uipb.Response {
	d := m.GetMissed()
	switch {
	case d == nil:
		return m
	case d.GetSource() == "" || d.GetSource() == opcodeLog:
		return uipb.Broadcast(opcodeLog, &uipb.LogLine{})
	}
	return uipb.Broadcast("missed", d)
}

func checkFrame(t *rapid.T, frame []byte, m *uipb.Response) {
	if err := new(jsontext.Value(bytes.Clone(frame))).Canonicalize(); err != nil { // refuses what strict parsers refuse
		t.Fatalf("%s: %v", frame, err)
	}
	var keys []string
	for c := walk(frame); c.member(); {
		keys = append(keys, string(c.name))
		var s string
		switch string(c.name) {
		case `"opcode"`:
			if err := json.Unmarshal(c.value, &s); err != nil || s != string([]rune(m.GetOpcode())) { // each bad byte becomes U+FFFD
				t.Fatalf("%s: opcode %q, want %q", frame, s, m.GetOpcode())
			}
		case `"contextId"`:
			if n, ok := number(c.value); !ok || m.Context == nil || n != m.GetContext() {
				t.Fatalf("%s: context %s, want %v", frame, c.value, m.Context)
			}
		}
	}
	want := []string{`"opcode"`, `"contextId"`, `"payload"`}
	if m.Context == nil {
		want = []string{`"opcode"`, `"payload"`}
	}
	if m.GetFault() != nil {
		want[len(want)-1] = `"error"`
	}
	if len(keys) != len(want) {
		t.Fatalf("%s: keys %q, want %q", frame, keys, want)
	}
	for i := range want {
		if keys[i] != want[i] {
			t.Fatalf("%s: keys %q, want %q", frame, keys, want)
		}
	}
}

// TestRequestsComeAsTheyWere: what a user interface writes with any JSON
// library is what the codec reads.
func TestRequestsComeAsTheyWere(t *testing.T) {
	type entry struct {
		Name  string  `json:"name"`
		Value *string `json:"value"`
	}
	rapid.Check(t, func(t *rapid.T) {
		var (
			entries = []entry{}
			want    = &uipb.SetupRequest{}
		)
		for range rapid.IntRange(0, 20).Draw(t, "values") {
			e := entry{Name: rapid.String().Draw(t, "name"), Value: rapid.Ptr(rapid.String(), true).Draw(t, "value")}
			entries = append(entries, e)
			want.Changes = append(want.Changes, &uipb.SetupChange{Name: e.Name, Value: e.Value})
		}
		frame := map[string]any{"opcode": "setup", "payload": map[string]any{"values": entries}}
		context := rapid.Ptr(rapid.Uint64(), true).Draw(t, "context")
		if context != nil {
			frame["contextId"] = *context
		}
		b, err := json.Marshal(frame)
		if err != nil {
			t.Fatal(err)
		}
		if rapid.Bool().Draw(t, "indented") {
			var out bytes.Buffer
			if err := json.Indent(&out, b, "", "\t"); err != nil {
				t.Fatal(err)
			}
			b = out.Bytes()
		}
		m, _ := daemon.Decode(b, false)
		r, ok := m.(*uipb.Request)
		if !ok || !proto.Equal(r.GetSetup(), want) || (r.Context == nil) != (context == nil) || context != nil && r.GetContext() != *context {
			t.Fatalf("%s became %v", b, m)
		}
	})
}
