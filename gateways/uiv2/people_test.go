package uiv2

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"parley/messages/enclavepb"
	"parley/messages/linkpb"
	"parley/messages/uipb"
)

// What people say is in the tables of all other messages, too.
func init() {
	payloads = append(payloads, peoplePayloads...)
	frames = append(frames, peopleFrames...)
}

// wants is a request that became c.
func wants(opcode, payload string, c *enclavepb.Command) *uipb.Request {
	return ask(opcode, payload, func(m *uipb.Request) { m.Body = &uipb.Request_Command{Command: c} })
}

const (
	sendPayload    = `{"to":"Ann","message":"a\"\u0041","id":"7"}`
	historyPayload = `{"with":"Ann","most":5000000000,"before":18446744073709551615,"dbPasswordOpt":"x"}`
)

var peoplePayloads = []struct {
	name  string
	codec Codec
	frame string
	want  proto.Message
}{
	{"contacts", node, in("contacts", `{"x":1}`), wants("contacts", `{"x":1}`, &enclavepb.Command{Body: &enclavepb.Command_List{List: &enclavepb.List{}}})},
	{"addContact", node, in("addContact", `{"address":"a","name":"n","notes":"o"}`), wants("addContact", `{"address":"a","name":"n","notes":"o"}`, &enclavepb.Command{Body: &enclavepb.Command_Add{Add: &enclavepb.Add{Address: "a", Name: "n", Notes: "o"}}})},
	{"addContact, least", node, in("addContact", `{"address":"a","name":null}`), wants("addContact", `{"address":"a","name":null}`, &enclavepb.Command{Body: &enclavepb.Command_Add{Add: &enclavepb.Add{Address: "a"}}})},
	{"addContact without address", node, in("addContact", `{"name":5}`), flawed("addContact", "Required field was missing: address")},
	{"addContact, name", node, in("addContact", `{"address":"a","name":5}`), flawed("addContact", "Field name should have been of type string or null, but was '5' instead")},
	{"acceptContact", node, in("acceptContact", `{"address":"a","name":"n"}`), wants("acceptContact", `{"address":"a","name":"n"}`, &enclavepb.Command{Body: &enclavepb.Command_Accept{Accept: &enclavepb.Accept{Address: "a", Name: "n"}}})},
	{"acceptContact, address null", node, in("acceptContact", `{"address":null}`), flawed("acceptContact", "Field address should have been of type string, but was 'null' instead")},
	{"ignoreContact", node, in("ignoreContact", `{"address":"a"}`), wants("ignoreContact", `{"address":"a"}`, &enclavepb.Command{Body: &enclavepb.Command_Ignore{Ignore: &enclavepb.Ignore{Address: "a"}}})},
	{"removeContact", node, in("removeContact", `{"address":"a"}`), wants("removeContact", `{"address":"a"}`, &enclavepb.Command{Body: &enclavepb.Command_Remove{Remove: &enclavepb.Remove{Address: "a"}}})},
	{"sendMessage", node, in("sendMessage", sendPayload), wants("sendMessage", sendPayload, &enclavepb.Command{Id: "7", Body: &enclavepb.Command_Send{Send: &enclavepb.Send{To: "Ann", Message: `a"A`}}})},
	{"sendMessage, what is said is private", node, in("sendMessage", `{"to":"Ann","message":["hush"]}`), flawed("sendMessage", "Field message should have been of type string"+hiddenTail)},
	{"sendMessage without message", node, in("sendMessage", `{"to":"Ann"}`), flawed("sendMessage", "Required field was missing: message")},
	{"sendMessage without to", node, in("sendMessage", `{"message":"m"}`), flawed("sendMessage", "Required field was missing: to")},
	{"setStatus", node, in("setStatus", `{"status":3,"statusMessage":""}`), wants("setStatus", `{"status":3,"statusMessage":""}`, &enclavepb.Command{Body: &enclavepb.Command_Status{Status: &enclavepb.SetStatus{Status: 3, StatusMessage: proto.String("")}}})},
	{"setStatus, message stays", node, in("setStatus", `{"status":1,"statusMessage":null}`), wants("setStatus", `{"status":1,"statusMessage":null}`, &enclavepb.Command{Body: &enclavepb.Command_Status{Status: &enclavepb.SetStatus{Status: 1}}})},
	{"setStatus 0", node, in("setStatus", `{"status":0}`), flawed("setStatus", "Field status should have been of type 1, 2 or 3, but was '0' instead")},
	{"setStatus 4", node, in("setStatus", `{"status":4}`), flawed("setStatus", "Field status should have been of type 1, 2 or 3, but was '4' instead")},
	{"setStatus, message", node, in("setStatus", `{"status":1,"statusMessage":1}`), flawed("setStatus", "Field statusMessage should have been of type string or null, but was '1' instead")},
	{"setStatus without status", node, in("setStatus", `{}`), flawed("setStatus", "Required field was missing: status")},
	{"setAlias", node, in("setAlias", `{"alias":"me"}`), wants("setAlias", `{"alias":"me"}`, &enclavepb.Command{Body: &enclavepb.Command_Alias{Alias: &enclavepb.SetAlias{Alias: "me"}}})},
	{"history", node, in("history", historyPayload), wants("history", historyPayload, &enclavepb.Command{Body: &enclavepb.Command_History{History: &enclavepb.History{With: "Ann", Most: math.MaxUint32, Before: math.MaxUint64, Password: proto.String("x")}}})},
	{"history, least", node, in("history", `{"with":"Ann"}`), wants("history", `{"with":"Ann"}`, &enclavepb.Command{Body: &enclavepb.Command_History{History: &enclavepb.History{With: "Ann"}}})},
	{"history, most", node, in("history", `{"with":"Ann","most":-1,"before":"x"}`), flawed("history", "Field most should have been of type u64 or null, but was '-1' instead")},
	{"history, before", node, in("history", `{"with":"Ann","before":1.5}`), flawed("history", "Field before should have been of type u64 or null, but was '1.5' instead")},
	{"history, password", node, in("history", `{"with":"Ann","dbPasswordOpt":{"p":"x"}}`), flawed("history", "Field dbPasswordOpt should have been of type string or null"+hiddenTail)},
	{"the daemon knows no people", daemon, in("sendMessage", sendPayload), ask("sendMessage", sendPayload, nil)},
}

// tell is a broadcast of an event.
func tell(opcode string, e *enclavepb.Event) *uipb.Response { return uipb.Broadcast(opcode, e) }

var ann = &enclavepb.Contact{
	Address: "10.0.0.2", Port: 7777, Name: "Ann\"", State: enclavepb.State_STATE_FRIEND, Notes: "n", LastSeen: 5,
	Presence: &enclavepb.Presence{Alias: "ann\u202e", Status: 2, StatusMessage: "lunch"}, Held: 3,
}

const (
	friendShown = `{"address":"10.0.0.2","port":7777,"name":"Ann\"","state":"friend","alias":"ann` + "\u202e" + `","status":2,"statusMessage":"lunch","notes":"n","lastSeen":5,"held":3}`
	goneShown   = `{"address":"::1","port":0,"name":"","state":"gone","alias":"","status":0,"statusMessage":"","notes":"","lastSeen":0,"held":0}`
)

var peopleFrames = []struct {
	name string
	m    proto.Message
	want string
}{
	{"contacts", to("contacts", &enclavepb.Result{
		Cmd: "list", Ok: true, Own: &enclavepb.Presence{Alias: "me", Status: 1, StatusMessage: "s"},
		Contacts: []*enclavepb.Contact{ann, {Address: "::2", State: enclavepb.State_STATE_IGNORED}},
	}), `{"opcode":"contacts","contextId":7,"payload":{"own":{"alias":"me","status":1,"statusMessage":"s"},"contacts":[` + friendShown +
		`,{"address":"::2","port":0,"name":"","state":"ignored","alias":"","status":0,"statusMessage":"","notes":"","lastSeen":0,"held":0}],"more":false}}`},
	{"contacts, nobody", to("contacts", &enclavepb.Result{More: true}), `{"opcode":"contacts","contextId":7,"payload":{"own":{"alias":"","status":0,"statusMessage":""},"contacts":[],"more":true}}`},
	{"sendMessage", to("sendMessage", &enclavepb.Result{MessageId: "a-1"}), `{"opcode":"sendMessage","contextId":7,"payload":{"messageId":"a-1"}}`},
	{"history", to("history", &enclavepb.Result{More: true, Entries: []*enclavepb.Entry{
		{Serial: math.MaxUint64, Own: true, Message: "a\n", Timestamp: -1, Id: "a-1", Delivery: enclavepb.Delivery_DELIVERY_SENT}, {Serial: 2, Message: "b", Timestamp: 9},
	}}), `{"opcode":"history","contextId":7,"payload":{"entries":[{"serial":18446744073709551615,"own":true,"message":"a\n","timestamp":-1,"messageId":"a-1","state":"sent"},` +
		`{"serial":2,"own":false,"message":"b","timestamp":9,"messageId":"","state":""}],"more":true}}`},
	{"history, nothing", to("history", &enclavepb.Result{}), `{"opcode":"history","contextId":7,"payload":{"entries":[],"more":false}}`},
	{"contactRequest", tell("contactRequest", &enclavepb.Event{Body: &enclavepb.Event_Request{Request: &enclavepb.Contact{Address: "::1", Held: 2, Presence: &enclavepb.Presence{Alias: "b", Status: 1}}}}), `{"opcode":"contactRequest","payload":{"address":"::1","port":0,"name":"","state":"pending","alias":"b","status":1,"statusMessage":"","notes":"","lastSeen":0,"held":2}}`},
	{"contactStatus", tell("contactStatus", &enclavepb.Event{Body: &enclavepb.Event_Status{Status: ann}}), `{"opcode":"contactStatus","payload":` + friendShown + `}`},
	{"contactStatus, gone", tell("contactStatus", &enclavepb.Event{Body: &enclavepb.Event_Gone{Gone: &enclavepb.Gone{Address: "::1"}}}), `{"opcode":"contactStatus","payload":` + goneShown + `}`},
	{"messageReceived", tell("messageReceived", &enclavepb.Event{Body: &enclavepb.Event_Received{Received: &enclavepb.Received{From: "::1", Name: "b", Message: "hi\x1b", Timestamp: 4, Serial: 8, Extra: []byte(`{"x":[1]}`)}}}), `{"opcode":"messageReceived","payload":{"from":"::1","name":"b","message":"hi\u001b","timestamp":4,"serial":8,"extra":{"x":[1]}}}`},
	{"messageReceived, nothing more", tell("messageReceived", &enclavepb.Event{Body: &enclavepb.Event_Received{Received: &enclavepb.Received{From: "::1"}}}), `{"opcode":"messageReceived","payload":{"from":"::1","name":"","message":"","timestamp":0,"serial":0}}`},
	{"messageState", tell("messageState", &enclavepb.Event{Body: &enclavepb.Event_Progress{Progress: &enclavepb.Progress{To: "::1", Name: "b", MessageId: "a-1", Id: "7", Delivery: enclavepb.Delivery_DELIVERY_DELIVERED}}}), `{"opcode":"messageState","payload":{"to":"::1","name":"b","messageId":"a-1","id":"7","state":"delivered"}}`},
	{"missed", &linkpb.Dropped{Source: "messageReceived", Count: 12}, `{"opcode":"missed","payload":{"opcode":"messageReceived","count":12}}`},
	{"missed by all", uipb.Broadcast("messageState", &linkpb.Dropped{Source: "messageState", Count: 3}), `{"opcode":"missed","payload":{"opcode":"messageState","count":3}}`},
}

// FuzzHistory: what is taken for a question about a conversation is one.
func FuzzHistory(f *testing.F) {
	fuzzPayload(f, node, "history", func(raw map[string]json.RawMessage, r *uipb.Request) error {
		got := r.GetCommand().GetHistory()
		with, err := stringIn(raw["with"])
		if err != nil {
			return err
		}
		counts := map[string]uint64{}
		for _, name := range []string{"most", "before"} {
			if v := raw[name]; v != nil && string(v) != "null" {
				if strings.ContainsAny(string(v), ".eE-") {
					return fmt.Errorf("%s is no count", name)
				}
				var n uint64
				if err := json.Unmarshal(v, &n); err != nil {
					return err
				}
				counts[name] = n
			}
		}
		password, err := optionalIn(raw["dbPasswordOpt"])
		if r.GetFlaw() == "" && (got.GetWith() != with || uint64(got.GetMost()) != min(counts["most"], math.MaxUint32) || got.GetBefore() != counts["before"] || !same(got.Password, password)) {
			return differs(got, raw)
		}
		return err
	})
}

// FuzzSendMessage is FuzzHistory for what is said.
func FuzzSendMessage(f *testing.F) {
	fuzzPayload(f, node, "sendMessage", func(raw map[string]json.RawMessage, r *uipb.Request) error {
		to, err := stringIn(raw["to"])
		if err != nil {
			return err
		}
		id, err := optionalIn(raw["id"])
		if err != nil {
			return err
		}
		if id == nil {
			id = new(string)
		}
		message, err := stringIn(raw["message"])
		if got := r.GetCommand(); r.GetFlaw() == "" && (got.GetId() != *id || got.GetSend().GetTo() != to || got.GetSend().GetMessage() != message) {
			return differs(got, raw)
		}
		return err
	})
}
