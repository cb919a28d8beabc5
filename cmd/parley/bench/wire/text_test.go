package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"parley/testkit/leaks"
)

func TestMain(m *testing.M) { leaks.Main(m) }

func TestStampRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Stamp{
			Publisher: rapid.IntRange(0, 99999).Draw(t, "publisher"),
			Channel:   rapid.IntRange(0, 99999).Draw(t, "channel"),
			Seq:       rapid.Uint64Range(0, 1e18).Draw(t, "seq"),
			Nanos:     rapid.Int64Range(0, 1<<63-1).Draw(t, "nanos"),
		}
		size := rapid.IntRange(MinText, 3000).Draw(t, "size")
		text := s.AppendText(nil, size)
		if len(text) != size {
			t.Fatalf("text of %d bytes, want %d", len(text), size)
		}
		before := rapid.SampledFrom([]string{
			`{"type":"message","data":{"message":"`,
			`{ "nonce" : "p1:2", "data" : { "channel": "p", "message": "`,
			`{"password":"p","p":"p5:6:7","message":"`,
		}).Draw(t, "before")
		f := &Finder{last: rapid.IntRange(0, 200).Draw(t, "hint")}
		for range 2 { // by search, then at the remembered place
			if got, ok := f.Find([]byte(before + string(text) + `"}}`)); !ok || got != s {
				t.Fatalf("found %t %+v, want %+v", ok, got, s)
			}
		}
	})
}

func TestFinderRefuses(t *testing.T) {
	for _, c := range []string{
		``, `"`, `"p`, `"p1`, `"p1:2:3:4`, `"p1:2:3"`, `"p1:2:x:4:`, `"p:1:2:3:`,
		`"p99999999999999999999:1:1:1:"`, `"p3000000000:1:1:1:"`, `"p1:1:1:9999999999999999999:"`,
		`{"type":"response","data":{"ok":true},"nonce":"p1"}`,
	} {
		if s, ok := new(Finder).Find([]byte(c)); ok {
			t.Errorf("%q is taken for %+v", c, s)
		}
	}
}

func TestParseAnswer(t *testing.T) {
	for _, c := range []struct {
		json                string
		ok                  bool
		yes                 bool
		kind, reason, nonce string
	}{
		{`{"type":"response","data":{"ok":true},"nonce":"7"}`, true, true, "response", "", "7"},
		{`{ "nonce" : 7 , "data" : { "ok" : true } , "type" : "response" }`, true, true, "response", "", "7"},
		{`{"type":"response","data":{"ok":false,"reason":"invalid password"},"nonce":""}`, true, false, "response", "invalid password", ""},
		{`{"data":{"reason":"a \"b\" c","ok":false},"type":"response"}`, true, false, "response", `a \"b\" c`, ""},
		{`{"type":"error","data":{"reason":"busy"},"nonce":null}`, true, false, "error", "busy", "null"},
		{`{"type":"response","data":{"ok":true,"channels":["ok","type"]},"nonce":"n"}`, true, true, "response", "", "n"},
		{`{"type":"message","data":{"message":"{\"type\":\"response\"}","channel":"c"}}`, false, false, "", "", ""},
		{`{"data":{"ok":true}}`, false, false, "", "", ""},
		{`{"type":"resp`, false, false, "", "", ""},
		{`{"type":`, false, false, "", "", ""},
		{``, false, false, "", "", ""},
	} {
		a, ok := ParseAnswer([]byte(c.json))
		if ok != c.ok || a.OK != c.yes || string(a.Kind) != c.kind || string(a.Reason) != c.reason || string(a.Nonce) != c.nonce {
			t.Errorf("%s: %t, %t %q %q %q", c.json, ok, a.OK, a.Kind, a.Reason, a.Nonce)
		}
	}
}

// FuzzAnswer: no text panics.
func FuzzAnswer(f *testing.F) {
	f.Add(`{"type":"response","data":{"ok":true},"nonce":"7"}`)
	f.Add(`{"type":"error\`)
	f.Add(`"p1:2:3:4:`)
	f.Fuzz(func(_ *testing.T, s string) {
		ParseAnswer([]byte(s))
		new(Finder).Find([]byte(s))
	})
}

func TestHandshake(t *testing.T) {
	// The example of RFC 6455, section 1.3.
	const key, accept = "dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
	if got := Accept(key); got != accept {
		t.Fatalf("accept %q", got)
	}
	request := string(AppendRequest(nil, "h:1", "/connect?x=1", "http://o", key))
	for _, want := range []string{"GET /connect?x=1 HTTP/1.1\r\n", "Host: h:1\r\n", "Origin: http://o\r\n", "Sec-WebSocket-Key: " + key + "\r\n"} {
		if !strings.Contains(request, want) {
			t.Errorf("%q is missing %q", request, want)
		}
	}
	if strings.Contains(string(AppendRequest(nil, "h", "/", "", key)), "Origin") {
		t.Error("an empty Origin is sent")
	}
	good := "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nSEC-WEBSOCKET-ACCEPT:  " + accept + "\r\n"
	for _, c := range []struct {
		name, head, wrong string
	}{
		{"good", good, ""},
		{"forbidden", "HTTP/1.1 403 Forbidden\r\n", "upgrade refused"},
		{"not HTTP", "SSH-2.0-x\r\n", "upgrade refused"},
		{"other key", "HTTP/1.1 101 x\r\nSec-WebSocket-Accept: AAAA\r\n", "wrong accept key"},
		{"extension", good + "Sec-WebSocket-Extensions: permessage-deflate\r\n", "extension not asked for"},
	} {
		t.Run(c.name, func(t *testing.T) {
			stream := []byte(c.head + "\r\nrest")
			for n := range len(stream) - len("rest") {
				if _, _, _, ok, err := Head(stream[:n]); ok || err != nil {
					t.Fatalf("complete after %d bytes: %t %v", n, ok, err)
				}
			}
			first, lines, after, ok, err := Head(stream)
			if err != nil || !ok || string(after) != "rest" {
				t.Fatalf("%t %v %q", ok, err, after)
			}
			err = CheckResponse(first, lines, key)
			if (err == nil) != (c.wrong == "") || (err != nil && !strings.Contains(err.Error(), c.wrong)) {
				t.Fatalf("error %v, want %q", err, c.wrong)
			}
		})
	}
	if _, _, _, _, err := Head(bytes.Repeat([]byte("x"), maxHead+1)); err == nil {
		t.Fatal("a head without end is accepted")
	}
}

func TestCommandsAreJSON(t *testing.T) {
	send := func(noAck bool) []byte {
		s := Send{Size: 100, NoAck: noAck}
		got, err := feed(&Scanner{Masked: true}, s.AppendFrame(nil, [4]byte{5, 6, 7, 8}, "c", Stamp{1, 2, 3, 4}, 9))
		if err != nil || len(got) != 1 {
			t.Fatalf("%v %v", got, err)
		}
		return got[0].Payload
	}
	text := Stamp{1, 2, 3, 4}.AppendText(nil, 100)
	for _, c := range []struct {
		got  []byte
		want string
	}{
		{AppendSubscribe(nil, KeyTopic, "c", "", "n"), `{"command":"subscribe","data":{"topic":"c"},"nonce":"n"}`},
		{AppendSubscribe(nil, KeyChannel, "c", "pw", "n"), `{"command":"subscribe","data":{"channel":"c","password":"pw"},"nonce":"n"}`},
		{AppendSubscribe(nil, KeyBoth, "c", "", "n"), `{"command":"subscribe","data":{"topic":"c","channel":"c"},"nonce":"n"}`},
		{AppendList(nil, "n"), `{"command":"list","data":{},"nonce":"n"}`},
		{send(false), fmt.Sprintf(`{"command":"send","data":{"message":"%s","channel":"c"},"nonce":"9"}`, text)},
		{send(true), fmt.Sprintf(`{"command":"send","data":{"message":"%s","channel":"c","ack":false},"nonce":"9"}`, text)},
	} {
		if string(c.got) != c.want || !json.Valid(c.got) {
			t.Errorf("%s, want %s", c.got, c.want)
		}
	}
}
