package pipe

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"unicode"

	"google.golang.org/protobuf/proto"

	"parley/messages/enclavepb"
)

// TestCommands: each line, what it asks, or why it makes no sense.
func TestCommands(t *testing.T) {
	for text, want := range map[string]*enclavepb.Command{
		`{"cmd":"send","to":"Ann","message":"Hello","id":"1"}`:                                           {Id: "1", Body: &enclavepb.Command_Send{Send: &enclavepb.Send{To: "Ann", Message: "Hello"}}},
		`{"cmd":"send","to":"","message":""}`:                                                            {Body: &enclavepb.Command_Send{Send: &enclavepb.Send{}}},
		`{"cmd":"add","address":"10.0.0.2:77","name":"A"}`:                                               {Body: &enclavepb.Command_Add{Add: &enclavepb.Add{Address: "10.0.0.2:77", Name: "A"}}},
		`{"cmd":"add","address":"10.0.0.2","x":[1]}`:                                                     {Body: &enclavepb.Command_Add{Add: &enclavepb.Add{Address: "10.0.0.2"}}},
		`{"cmd":"accept","address":"10.0.0.2","name":"A"}`:                                               {Body: &enclavepb.Command_Accept{Accept: &enclavepb.Accept{Address: "10.0.0.2", Name: "A"}}},
		`{"cmd":"ignore","address":"10.0.0.2"}`:                                                          {Body: &enclavepb.Command_Ignore{Ignore: &enclavepb.Ignore{Address: "10.0.0.2"}}},
		`{"cmd":"remove","address":"Ann"}`:                                                               {Body: &enclavepb.Command_Remove{Remove: &enclavepb.Remove{Address: "Ann"}}},
		`{"cmd":"status","status":2,"status-message":""}`:                                                {Body: &enclavepb.Command_Status{Status: &enclavepb.SetStatus{Status: 2, StatusMessage: proto.String("")}}},
		`{"cmd":"status","status":3}`:                                                                    {Body: &enclavepb.Command_Status{Status: &enclavepb.SetStatus{Status: 3}}},
		`{"cmd":"alias","alias":"\u0041"}`:                                                               {Body: &enclavepb.Command_Alias{Alias: &enclavepb.SetAlias{Alias: "A"}}},
		`{"cmd":"history","with":"Ann"}`:                                                                 {Body: &enclavepb.Command_History{History: &enclavepb.History{With: "Ann"}}},
		`{"cmd":"history","with":"Ann","most":500,"before":18446744073709551615,"password":"","id":"h"}`: {Id: "h", Body: &enclavepb.Command_History{History: &enclavepb.History{With: "Ann", Most: 500, Before: math.MaxUint64, Password: proto.String("")}}},
		` { "cmd" : "list" } `:                                                                           {Body: &enclavepb.Command_List{List: &enclavepb.List{}}},
	} {
		if c, r := decode([]byte(text)); r != nil || !proto.Equal(c, want) {
			t.Errorf("%s: %v, %v", text, c, r)
		}
	}
	for text, want := range map[string]*enclavepb.Result{
		`x`: {Reason: reasonJSON}, `[]`: {Reason: reasonJSON}, `null`: {Reason: reasonJSON}, `{"cmd":"list","cmd":"list"}`: {Reason: reasonJSON},
		"{\"cmd\":\"\xff\"}": {Reason: reasonJSON}, `{"cmd":"list"}{}`: {Reason: reasonJSON},
		`{}`:                      {Reason: reasonCommand},
		`{"id":"7","cmd":""}`:     {Id: "7", Reason: reasonCommand},
		`{"id":"7","cmd":1}`:      {Id: "7", Reason: `"cmd" must be a string`},
		`{"id":7,"cmd":"list"}`:   {Reason: `"id" must be a string`},
		`{"id":"7","cmd":"List"}`: {Id: "7", Cmd: "List", Reason: reasonUnknown},
		`{"cmd":"history"}`:       {Cmd: "history", Reason: `"with" is missing`},
		`{"cmd":"history","with":"Ann","most":0}`:                 {Cmd: "history", Reason: `"most" must be a whole number, 1 to 500`},
		`{"cmd":"history","with":"Ann","most":501}`:               {Cmd: "history", Reason: `"most" must be a whole number, 1 to 500`},
		`{"cmd":"history","with":"Ann","most":"5"}`:               {Cmd: "history", Reason: `"most" must be a whole number, 1 to 500`},
		`{"cmd":"history","with":"Ann","before":-1}`:              {Cmd: "history", Reason: `"before" must be a whole number, 1 to 18446744073709551615`},
		`{"cmd":"history","with":"Ann","password":7}`:             {Cmd: "history", Reason: `"password" must be a string`},
		`{"cmd":"History","with":"Ann"}`:                          {Cmd: "History", Reason: reasonUnknown},
		`{"cmd":"send","message":"x"}`:                            {Cmd: "send", Reason: `"to" is missing`},
		`{"cmd":"send","to":"x"}`:                                 {Cmd: "send", Reason: `"message" is missing`},
		`{"cmd":"send","to":1}`:                                   {Cmd: "send", Reason: `"to" must be a string`},
		`{"cmd":"add","name":"x"}`:                                {Cmd: "add", Reason: `"address" is missing`},
		`{"cmd":"add","address":"x","name":null}`:                 {Cmd: "add", Reason: `"name" must be a string`},
		`{"cmd":"status"}`:                                        {Cmd: "status", Reason: `"status" must be 1 (available), 2 (away) or 3 (busy)`},
		`{"cmd":"status","status":0}`:                             {Cmd: "status", Reason: `"status" must be 1 (available), 2 (away) or 3 (busy)`},
		`{"cmd":"status","status":"1"}`:                           {Cmd: "status", Reason: `"status" must be 1 (available), 2 (away) or 3 (busy)`},
		`{"cmd":"status","status":1,"status-message":1}`:          {Cmd: "status", Reason: `"status-message" must be a string`},
		`{"cmd":"list","id":"` + strings.Repeat("x", 1025) + `"}`: {Reason: reasonID},
	} {
		if c, r := decode([]byte(text)); c != nil || !proto.Equal(r, want) {
			t.Errorf("%.100s: %v, %v", text, c, r)
		}
	}
}

var hostile = "\x1b[2J\r\n\t\"\\\x7f\u009b\u202e\u2066\u200f\u2028<&>\u00fc\U0001f600"

const harmless = `\u001b[2J\u000d\n\t\"\\\u007f\u009b\u202e\u2066\u200f\u2028<&>` + "\u00fc\U0001f600"

// TestEvents: exact lines.
func TestEvents(t *testing.T) {
	ann := &enclavepb.Contact{Address: "10.0.0.2", Name: "Ann", Held: 2, Presence: &enclavepb.Presence{Alias: hostile, Status: 2, StatusMessage: "lunch"}}
	for _, c := range []struct {
		event *enclavepb.Event
		want  string
	}{
		{
			&enclavepb.Event{Body: &enclavepb.Event_Received{Received: &enclavepb.Received{From: "10.0.0.2", Name: "Ann", Message: hostile, Timestamp: 5, Extra: []byte("{\"\u202e\":\"\x7f\"}"), Serial: 9}}},
			`{"event":"message","from":"10.0.0.2","name":"Ann","message":"` + harmless + `","timestamp":5,"extra":{"\u202e":"\u007f"}}`,
		},
		{
			&enclavepb.Event{Body: &enclavepb.Event_Received{Received: &enclavepb.Received{From: "fe80::1%eth0", Timestamp: -5, Extra: []byte(`{"x":"` + strings.Repeat("x", extraMost) + `"}`)}}},
			`{"event":"message","from":"fe80::1%eth0","name":"","message":"","timestamp":-5}`,
		},
		{
			&enclavepb.Event{Body: &enclavepb.Event_Received{Received: &enclavepb.Received{From: "10.0.0.2", Message: "x", Run: "run", Number: 7, Again: true}}},
			`{"event":"message","from":"10.0.0.2","name":"","message":"x","timestamp":0,"again":true}`,
		},
		{
			&enclavepb.Event{Body: &enclavepb.Event_Status{Status: ann}},
			`{"event":"status","address":"10.0.0.2","name":"Ann","status":2,"status-message":"lunch","alias":"` + harmless + `"}`,
		},
		{
			&enclavepb.Event{Body: &enclavepb.Event_Request{Request: ann}},
			`{"event":"request","address":"10.0.0.2","alias":"` + harmless + `","status":2,"status-message":"lunch","held":2}`,
		},
		{
			&enclavepb.Event{Body: &enclavepb.Event_Progress{Progress: &enclavepb.Progress{To: "10.0.0.2", Name: "Ann", MessageId: "m", Id: "7", Delivery: enclavepb.Delivery_DELIVERY_QUEUED}}},
			`{"event":"queued","to":"10.0.0.2","name":"Ann","id":"7"}`,
		},
		{
			&enclavepb.Event{Body: &enclavepb.Event_Progress{Progress: &enclavepb.Progress{To: "10.0.0.2", Delivery: enclavepb.Delivery_DELIVERY_SENT}}},
			`{"event":"sent","to":"10.0.0.2","name":"","id":""}`,
		},
		{
			&enclavepb.Event{Body: &enclavepb.Event_Progress{Progress: &enclavepb.Progress{To: "10.0.0.2", Delivery: enclavepb.Delivery_DELIVERY_DELIVERED}}},
			`{"event":"delivered","to":"10.0.0.2","name":"","id":""}`,
		},
		{&enclavepb.Event{Body: &enclavepb.Event_Gone{Gone: &enclavepb.Gone{Address: "10.0.0.2"}}}, `{"event":"gone","address":"10.0.0.2"}`},
		{&enclavepb.Event{Body: &enclavepb.Event_Progress{Progress: &enclavepb.Progress{}}}, ""},
		{&enclavepb.Event{}, ""},
	} {
		if got := string(bytes.Join(appendEvent(nil, c.event), nil)); strings.TrimSuffix(got, "\n") != c.want {
			t.Errorf("%v\nbecame %s\nshould %s", c.event, got, c.want)
		}
	}
	if got, want := string(droppedLine(7)), `{"event":"dropped","count":7}`+"\n"; got != want {
		t.Error(got)
	}
}

// TestResults: exact lines, of a list with its contacts.
func TestResults(t *testing.T) {
	for _, c := range []struct {
		result *enclavepb.Result
		want   string
	}{
		{&enclavepb.Result{Id: "1", Cmd: "send", Ok: true, MessageId: "m"}, `{"event":"result","id":"1","cmd":"send","ok":true,"reason":""}` + "\n"},
		{&enclavepb.Result{Cmd: "list", Reason: hostile}, `{"event":"result","id":"","cmd":"list","ok":false,"reason":"` + harmless + `"}` + "\n"},
		{&enclavepb.Result{Cmd: "list", Ok: true}, `{"event":"contacts","contacts":[]}` + "\n" + `{"event":"result","id":"","cmd":"list","ok":true,"reason":""}` + "\n"},
		{
			&enclavepb.Result{Cmd: "list", Ok: true, Contacts: []*enclavepb.Contact{
				{Address: "10.0.0.2", Port: 5, Name: "Ann", State: enclavepb.State_STATE_FRIEND, Notes: "n", Presence: &enclavepb.Presence{Alias: "ann", Status: 1}},
				{Address: "10.0.0.3", State: enclavepb.State_STATE_IGNORED},
				{Address: "10.0.0.4", State: enclavepb.State_STATE_PENDING, Presence: &enclavepb.Presence{Alias: "x", Status: 3}},
			}},
			`{"event":"contacts","contacts":[{"address":"10.0.0.2","name":"Ann","alias":"ann","state":"friend","status":1},` +
				`{"address":"10.0.0.3","name":"","alias":"","state":"ignored","status":0},{"address":"10.0.0.4","name":"","alias":"x","state":"pending","status":3}]}` + "\n" +
				`{"event":"result","id":"","cmd":"list","ok":true,"reason":""}` + "\n",
		},
	} {
		if got := string(bytes.Join(appendResult(nil, c.result), nil)); got != c.want {
			t.Errorf("%v\nbecame %s\nshould %s", c.result, got, c.want)
		}
	}
}

// checkLines: each is one JSON object, short enough, and does nothing to a terminal.
func checkLines(t fatal, lines [][]byte) (all []map[string]any) {
	t.Helper()
	for _, l := range lines {
		var object map[string]any
		if err := json.Unmarshal(l, &object); err != nil || l[len(l)-1] != '\n' || len(l) > lineMost+1 {
			t.Fatalf("%d bytes, %v: %.200q", len(l), err, l)
		}
		for _, r := range string(l[:len(l)-1]) {
			if unicode.IsControl(r) || harmful(r) {
				t.Fatalf("%q in %.200q", r, l)
			}
		}
		all = append(all, object)
	}
	return all
}

// fatal is what tests of any kind fail with.
type fatal interface {
	Helper()
	Fatalf(format string, args ...any)
}

// TestParts: what is too long for a line comes in several, and is the same.
func TestParts(t *testing.T) {
	for _, message := range []string{strings.Repeat("x", 1<<20), strings.Repeat("\u202e", 64<<10), strings.Repeat("\U0001f600", 64<<10), strings.Repeat("x", lineMost-extraMost-envelopeMost), strings.Repeat("\"", 100_000)} {
		all := checkLines(t, appendReceived(nil, &enclavepb.Received{
			From: "fe80::1%eth0", Name: strings.Repeat("\u202e", 42), Message: message, Extra: []byte(`{"x":"` + strings.Repeat("x", extraMost-8) + `"}`),
		}))
		got := ""
		for i, l := range all {
			got += l["message"].(string)
			if more, _ := l["more"].(bool); more != (i < len(all)-1) || more == (l["extra"] != nil) {
				t.Errorf("line %d of %d: more is %v", i, len(all), more)
			}
		}
		if got != message {
			t.Errorf("%d bytes became %d", len(message), len(got))
		}
	}
	r := &enclavepb.Result{Cmd: "list", Ok: true, Reason: strings.Repeat("\x00", 100_000), Id: strings.Repeat("\x00", idMost)}
	for range 10_000 {
		r.Contacts = append(r.Contacts, &enclavepb.Contact{Address: "fe80::1%eth0", Name: strings.Repeat("\u202e", 42), Presence: &enclavepb.Presence{Alias: strings.Repeat("\x00", 128)}})
	}
	n := 0
	for _, l := range checkLines(t, appendResult(nil, r)) {
		list, _ := l["contacts"].([]any)
		n += len(list)
	}
	if n != len(r.GetContacts()) {
		t.Errorf("%d contacts", n)
	}
}

// FuzzCommand: any line is a command or refused, and its id comes back.
func FuzzCommand(f *testing.F) {
	f.Add([]byte(`{"cmd":"send","to":"Ann","message":"Hello","id":"1"}`))
	f.Add([]byte(`{"cmd":"status","status":2,"status-message":"x"}`))
	f.Add([]byte(`{"cmd":"list","id":7}`))
	f.Add([]byte(`{"cmd":"list","x":1E400}`))
	f.Add([]byte(`{"cmd":"history","with":"Ann","most":7,"before":99,"password":"x"}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		c, r := decode(line)
		switch {
		case (c == nil) == (r == nil):
			t.Fatalf("%v and %v", c, r)
		case r != nil:
			if r.GetReason() == "" || r.GetOk() {
				t.Fatalf("%v", r)
			}
			checkLines(t, appendResult(nil, r))
		default:
			var object map[string]json.RawMessage // a number may be more than a float64 can be
			if err := json.Unmarshal(line, &object); err != nil || c.GetBody() == nil {
				t.Fatalf("%v, %v", c, err)
			}
			var id string
			_ = json.Unmarshal(object["id"], &id)
			if id != c.GetId() {
				t.Fatalf("%q is not %q", c.GetId(), id)
			}
		}
	})
}

// FuzzEvent: any texts make lines that are JSON and say the same.
func FuzzEvent(f *testing.F) {
	f.Add("10.0.0.2", "Ann", hostile, "x")
	f.Fuzz(func(t *testing.T, from, name, message, extra string) {
		if len(from) > 200 || len(name) > 500 || len(message) > 200_000 {
			return
		}
		x, _ := json.Marshal(map[string]string{extra: message})
		got := ""
		whole := ""
		for _, l := range checkLines(t, appendEntry(nil, name, &enclavepb.Entry{Serial: uint64(len(from)), Message: message})) {
			whole += l["message"].(string)
		}
		for _, l := range checkLines(t, appendReceived(nil, &enclavepb.Received{From: from, Name: name, Message: message, Extra: x})) {
			got += l["message"].(string)
			if e, ok := l["extra"].(map[string]any); ok && e[strings.ToValidUTF8(extra, "\ufffd")] == nil && !strings.Contains(extra, "\ufffd") {
				if extra == strings.ToValidUTF8(extra, "") {
					t.Fatalf("%v of %q", e, extra)
				}
			}
		}
		if whole != got {
			t.Fatalf("%q became %q", message, whole)
		}
		if want := strings.Join(strings.Split(message, ""), ""); got != want {
			valid := []rune(message)
			if got != string(valid) {
				t.Fatalf("%q became %q", message, got)
			}
		}
	})
}
