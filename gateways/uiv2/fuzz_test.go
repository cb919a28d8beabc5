package uiv2

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"google.golang.org/protobuf/proto"

	"parley/messages"
	"parley/messages/uipb"
)

// seed adds all frames of the tables.
func seed(f *testing.F) {
	for _, v := range payloads {
		f.Add([]byte(v.frame))
	}
	for _, v := range unknown {
		f.Add([]byte(v.frame))
	}
	for _, v := range unreadable {
		if len(v.frame) < 5000 {
			f.Add([]byte(v.frame))
		}
	}
}

// decoded is what c makes of a frame, which is then overwritten: a message must
// not point into it.
func decoded(t *testing.T, c Codec, frame []byte) proto.Message {
	t.Helper()
	room := bytes.Clone(frame)
	m, charge := c.Decode(room, false)
	before := proto.Clone(m)
	for i := range room {
		room[i] ^= 0x55
	}
	if !proto.Equal(before, m) {
		t.Fatalf("%v points into its frame", before)
	}
	if want := messages.Charge(len(frame)); charge != want || m.(interface{ GetCharge() uint32 }).GetCharge() != want {
		t.Fatalf("%v: charge %d, want %d", m, charge, want)
	}
	if _, err := proto.Marshal(m); err != nil { // it refuses text that is not UTF-8
		t.Fatalf("%v: %v", m, err)
	}
	return m
}

// FuzzEnvelope compares what is made of a frame with what another parser sees
// in it.
func FuzzEnvelope(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, frame []byte) {
		for _, c := range []Codec{daemon, node} {
			if err := judge(frame, decoded(t, c, frame)); err != nil {
				t.Fatalf("%q: %v", frame, err)
			}
		}
	})
}

func judge(frame []byte, m proto.Message) error {
	if u, ok := m.(*uipb.Unreadable); ok {
		if len(u.GetBadData()) > maxBadData || u.GetMessage() == "" {
			return fmt.Errorf("%d bytes of bad data, %q", len(u.GetBadData()), u.GetMessage())
		}
		return nil
	}
	r := m.(*uipb.Request)
	if !jsontext.Value(frame).IsValid() {
		return fmt.Errorf("taken as %v, and it is no sound JSON", r)
	}
	outer := map[string]json.RawMessage{}
	if err := json.Unmarshal(frame, &outer); err != nil {
		return err
	}
	var (
		opcode  string
		context *uint64
	)
	if err := json.Unmarshal(outer["opcode"], &opcode); err != nil || opcode != r.GetOpcode() {
		return fmt.Errorf("opcode %q, want %q", r.GetOpcode(), opcode)
	}
	if raw := outer["contextId"]; raw != nil {
		context = new(uint64)
		if err := json.Unmarshal(raw, context); err != nil {
			return err
		}
	}
	if (context == nil) != (r.Context == nil) || context != nil && *context != r.GetContext() {
		return fmt.Errorf("context %v, want %s", r.Context, outer["contextId"])
	}
	payload, failure := outer["payload"], outer["error"]
	switch {
	case r.GetFlaw() != "":
		if r.Context == nil || r.GetBody() != nil || r.GetError() || r.GetPayload() != nil || !utf8.ValidString(r.GetFlaw()) {
			return fmt.Errorf("flawed, and %v", r)
		}
	case r.GetError():
		if payload != nil || failure == nil || r.GetBody() != nil || string(r.GetPayload()) != "{}" {
			return fmt.Errorf("an error, and %v", r)
		}
	case failure != nil || payload[0] != '{' || !bytes.Equal(payload, r.GetPayload()):
		return fmt.Errorf("payload %q, want %q", r.GetPayload(), payload)
	}
	return nil
}

// FuzzAgreement: the Daemon and the Node read every envelope alike, and what
// the Daemon passes on is to the Node what it would have been at once.
func FuzzAgreement(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, frame []byte) {
		left, right := decoded(t, daemon, frame), decoded(t, node, frame)
		d, _ := left.(*uipb.Request)
		n, _ := right.(*uipb.Request)
		dTakes, nTakes := d != nil && d.GetFlaw() == "", n != nil && n.GetFlaw() == ""
		switch {
		case dTakes && nTakes:
			if d.GetOpcode() != n.GetOpcode() || (d.Context == nil) != (n.Context == nil) || d.GetContext() != n.GetContext() ||
				!bytes.Equal(d.GetPayload(), n.GetPayload()) || d.GetError() != n.GetError() {
				t.Fatalf("%q: %v and %v", frame, d, n)
			}
		case dTakes:
			schemaOnly(t, node, d, n)
		case nTakes:
			schemaOnly(t, daemon, n, d)
		case !proto.Equal(left, right):
			t.Fatalf("%q: %v and %v", frame, left, right)
		}
		if !dTakes || d.GetBody() != nil || d.GetError() {
			return
		}
		again := []byte(`{"opcode":`)
		again = quote(again, d.GetOpcode())
		if d.Context != nil {
			again = fmt.Appendf(again, `,"contextId":%d`, d.GetContext())
		}
		again = append(append(append(again, `,"payload":`...), d.GetPayload()...), '}')
		resent := decoded(t, node, again)
		if u, ok := right.(*uipb.Unreadable); ok {
			if u2, ok := resent.(*uipb.Unreadable); !ok || u.GetMessage() != u2.GetMessage() {
				t.Fatalf("%q: at once %v, by redirect %v", frame, right, resent)
			}
			return
		}
		want := proto.Clone(right).(*uipb.Request)
		want.Charge = messages.Charge(len(again))
		if !proto.Equal(want, resent) {
			t.Fatalf("%q: at once %v, by redirect %v", frame, right, resent)
		}
	})
}

// schemaOnly checks that c refuses what another took only because it knows the
// opcode's payload.
func schemaOnly(t *testing.T, c Codec, taken, refused *uipb.Request) {
	t.Helper()
	if _, known := c.schemas[taken.GetOpcode()]; !known {
		t.Fatalf("only one takes %v", taken)
	}
	if (refused == nil) != (taken.Context == nil) {
		t.Fatalf("%v is refused as %v", taken, refused)
	}
	if refused != nil && (refused.GetOpcode() != taken.GetOpcode() || refused.GetContext() != taken.GetContext()) {
		t.Fatalf("%v is refused as %v", taken, refused)
	}
}

// fuzzPayload fuzzes the payload of one opcode: taken or refused, it is for a
// reason that another parser sees. sound is that parser.
func fuzzPayload(f *testing.F, c Codec, opcode string, sound func(raw map[string]json.RawMessage, r *uipb.Request) error) {
	for _, v := range payloads {
		for c := walk([]byte(v.frame)); c.member(); {
			if string(c.name) == `"payload"` {
				f.Add(bytes.Clone(c.value))
			}
		}
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		if !jsontext.Value(payload).IsValid() || bytes.TrimSpace(payload)[0] != '{' {
			return
		}
		frame := slices.Concat([]byte(`{"opcode":"`+opcode+`","contextId":7,"payload":`), payload, []byte(`}`))
		r, ok := decoded(t, c, frame).(*uipb.Request)
		if !ok {
			return // too deep, too many
		}
		raw := map[string]json.RawMessage{}
		if err := json.Unmarshal(payload, &raw); err != nil {
			t.Fatal(err)
		}
		if err := sound(raw, r); (err == nil) != (r.GetFlaw() == "") {
			t.Fatalf("%s: flaw %q, and the other parser says %v", payload, r.GetFlaw(), err)
		}
	})
}

// stringIn reads a string strictly: null is none.
func stringIn(raw json.RawMessage) (string, error) {
	var s *string
	if raw == nil {
		return "", fmt.Errorf("absent")
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		return "", err
	}
	if s == nil {
		return "", fmt.Errorf("null")
	}
	return *s, nil
}

// optionalIn is stringIn for what may be null or absent.
func optionalIn(raw json.RawMessage) (*string, error) {
	if raw == nil || string(raw) == "null" {
		return nil, nil
	}
	s, err := stringIn(raw)
	return &s, err
}

// differs is an error that no fuzz target takes for a refusal: got is not want.
func differs(got, want any) error { panic(fmt.Sprintf("got %v, want %v", got, want)) }

func same(got, want *string) bool {
	return (got == nil) == (want == nil) && (got == nil || *got == *want)
}

func FuzzSetup(f *testing.F) {
	fuzzPayload(f, daemon, "setup", func(raw map[string]json.RawMessage, r *uipb.Request) error {
		var values []json.RawMessage
		if err := json.Unmarshal(raw["values"], &values); err != nil || string(raw["values"]) == "null" {
			return fmt.Errorf("no list: %v", err)
		}
		for i, v := range values {
			entry := map[string]json.RawMessage{}
			if err := json.Unmarshal(v, &entry); err != nil || v[0] != '{' {
				return fmt.Errorf("no object: %v", err)
			}
			name, err := stringIn(entry["name"])
			if err != nil {
				return err
			}
			value, err := optionalIn(entry["value"])
			if err != nil {
				return err
			}
			if got := r.GetSetup().GetChanges(); r.GetFlaw() == "" && (len(got) != len(values) || got[i].GetName() != name || !same(got[i].Value, value)) {
				return differs(got, v)
			}
		}
		return nil
	})
}

func FuzzSubscribe(f *testing.F) {
	fuzzPayload(f, node, "subscribe", func(raw map[string]json.RawMessage, r *uipb.Request) error {
		var all []json.RawMessage
		if list := raw["opcodes"]; list != nil {
			if err := json.Unmarshal(list, &all); err != nil || string(list) == "null" {
				return fmt.Errorf("no list: %v", err)
			}
		}
		for i, v := range all {
			opcode, err := stringIn(v)
			if err != nil {
				return err
			}
			if got := r.GetSubscribe().GetOpcodes(); r.GetFlaw() == "" && (len(got) != len(all) || got[i] != opcode) {
				return differs(got, all)
			}
		}
		if raw["minLogLevel"] == nil {
			return nil
		}
		level, err := stringIn(raw["minLogLevel"])
		if err == nil && !slices.Contains([]string{"Error", "Warn", "Info", "Debug", "Trace"}, level) {
			err = fmt.Errorf("no level")
		}
		if r.GetFlaw() == "" && r.GetSubscribe().GetMinLogLevel() != level {
			return differs(r, level)
		}
		return err
	})
}

func FuzzPassword(f *testing.F) {
	fuzzPayload(f, node, "checkPassword", func(raw map[string]json.RawMessage, r *uipb.Request) error {
		password, err := optionalIn(raw["dbPasswordOpt"])
		if r.GetFlaw() == "" && !same(r.GetPassword().Password, password) {
			return differs(r, password)
		}
		return err
	})
}

func FuzzChangePassword(f *testing.F) {
	fuzzPayload(f, node, "changePassword", func(raw map[string]json.RawMessage, r *uipb.Request) error {
		old, err := optionalIn(raw["oldPasswordOpt"])
		if err != nil {
			return err
		}
		password, err := stringIn(raw["newPassword"])
		if r.GetFlaw() == "" && (!same(r.GetChangePassword().OldPassword, old) || r.GetChangePassword().GetNewPassword() != password) {
			return differs(r, raw)
		}
		return err
	})
}

// fuzzTwo is for payloads of two required strings.
func fuzzTwo(f *testing.F, opcode, first, second string, read func(*uipb.Request) (string, string)) {
	fuzzPayload(f, node, opcode, func(raw map[string]json.RawMessage, r *uipb.Request) error {
		one, err := stringIn(raw[first])
		if err != nil {
			return err
		}
		two, err := stringIn(raw[second])
		if gotOne, gotTwo := read(r); r.GetFlaw() == "" && (gotOne != one || gotTwo != two) {
			return differs(r, raw)
		}
		return err
	})
}

func FuzzSetConfiguration(f *testing.F) {
	fuzzTwo(f, "setConfiguration", "name", "value", func(r *uipb.Request) (string, string) {
		return r.GetSetConfiguration().GetName(), r.GetSetConfiguration().GetValue()
	})
}

func FuzzCrash(f *testing.F) {
	fuzzTwo(f, "crash", "actor", "panicMessage", func(r *uipb.Request) (string, string) {
		return r.GetCrash().GetActor(), r.GetCrash().GetPanicMessage()
	})
}

func FuzzEmpty(f *testing.F) {
	fuzzPayload(f, node, "shutdown", func(_ map[string]json.RawMessage, r *uipb.Request) error {
		if r.GetEmpty() == nil {
			return differs(r, "empty")
		}
		return nil
	})
}
