package ui

import (
	"strings"
	"testing"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	"parley/messages/linkpb"
	"parley/messages/uipb"
)

func TestIsolated(t *testing.T) {
	for _, c := range []struct {
		name     string
		fallback bool
		m        proto.Message
		want     string // empty: nothing
		asked    int
	}{
		{"for somebody", false, &uipb.Request{Opcode: "alone", Charge: 5}, "", 1},
		{"of a conversation", false, &uipb.Request{Opcode: "do", Payload: []byte("{}"), Charge: 5}, "unmarshalError Required field was missing: contextId {\"opcode\":\"do\",\"payload\":{}}", 0},
		{"of a conversation, though there is a Node", true, &uipb.Request{Opcode: "do", Payload: []byte("{}"), Charge: 5}, "unmarshalError Required field was missing: contextId {\"opcode\":\"do\",\"payload\":{}}", 0},
		{"with a flaw", false, &uipb.Request{Opcode: "alone", Flaw: "Field x", Payload: []byte("{}"), Charge: 5}, "unmarshalError Field x {\"opcode\":\"alone\",\"payload\":{}}", 0},
		{"unknown", false, &uipb.Request{Opcode: "nonsense", Charge: 5}, "undelivered nonsense", 0},
		{"an error", false, &uipb.Request{Opcode: "alone", Error: true, Charge: 5}, "undelivered alone", 0},
		{"unreadable", false, &uipb.Unreadable{Message: "Couldn't parse", BadData: "x", Charge: 5}, "unmarshalError Couldn't parse x", 0},
		{"malformed", false, &linkpb.Malformed{Reason: "binary", Charge: 5}, "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			in(t, setup{fallback: c.fallback}, func(t *testing.T, w *world) {
				f := w.face()
				f.onHear = func(r *uipb.Response) {
					if r.Context != nil {
						t.Errorf("in a conversation: %v", r)
					}
				}
				f.say(c.m)
				if c.want == "" {
					f.wants()
				} else {
					f.wants(c.want)
				}
				if len(w.asks) != c.asked || len(w.below(f.server)) > 0 {
					t.Errorf("asked %v, conversations %v", w.asks, w.below(f.server))
				}
			})
		})
	}
}

// TestIsolatedForAnother is what a Daemon does not know, or cannot do with.
func TestIsolatedForAnother(t *testing.T) {
	in(t, setup{fallback: true}, func(t *testing.T, w *world) {
		f, g := w.face(), w.face()
		f.say(&uipb.Request{Opcode: "elsewhere", Payload: plain(w, "redirect"), Charge: 5})
		f.wants("redirect elsewhere 0 1")
		f.say(&uipb.Request{Opcode: "elsewhere", Payload: plain(w, "undelivered"), Charge: 5})
		f.wants("undelivered 2")
		f.say(&uipb.Request{Opcode: "elsewhere", Payload: plain(w, "fault"), Charge: 5})
		f.say(&uipb.Request{Opcode: "elsewhere", Payload: plain(w, "silent"), Charge: 5})
		f.wants()
		f.say(&uipb.Request{Opcode: "alone", Error: true, Payload: plain(w, "redirect"), Charge: 5})
		f.wants("redirect alone 0 5")
		g.wants()
	})
}

// TestIsolatedWhoseAnswererFails costs nobody anything.
func TestIsolatedWhoseAnswererFails(t *testing.T) {
	s := failures(1)
	s.fallback = true
	in(t, s, func(_ *testing.T, w *world) {
		f := w.face()
		f.say(&uipb.Request{Opcode: "elsewhere", Payload: plain(w, "panic"), Charge: 5})
		f.talk(1, "do", ok())
		f.wants("1 2")
	})
}

func TestBadDataIsCut(t *testing.T) {
	for name, payload := range map[string]string{
		"at a byte": strings.Repeat("x", 3*maxBadData), "in a character": "x" + strings.Repeat("é", maxBadData),
	} {
		got := excerpt(&uipb.Request{Opcode: "do", Payload: []byte(payload)})
		if len(got) > maxBadData || len(got) < maxBadData-utf8.UTFMax || !utf8.ValidString(got) || !strings.HasPrefix(`{"opcode":"do","payload":`+payload, got) {
			t.Errorf("%s: %d bytes", name, len(got))
		}
	}
}
