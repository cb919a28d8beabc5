package guard

import (
	"encoding/json"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

// hostCases are spellings of a Host header, and the answer of a listener on
// 127.0.0.1:5333 with LoopbackOnly. 400 is net/http's own, for what is no HTTP.
var hostCases = []struct {
	host   string
	status int
	reason string
}{
	{"localhost", 200, ""},
	{"localhost:5333", 200, ""},
	{"LocalHost:5333", 200, ""},
	{"localhost.", 200, ""},
	{"localhost.:5333", 200, ""},
	{"127.0.0.1", 200, ""},
	{"127.0.0.1:5333", 200, ""},
	{"127.0.0.2:5333", 200, ""},
	{"127.255.255.254:5333", 200, ""},
	{"[::1]", 200, ""},
	{"[::1]:5333", 200, ""},
	{"[0:0:0:0:0:0:0:1]:5333", 200, ""},

	{"", 403, ReasonHostMissing},
	{"evil.example", 403, ReasonHostNotAllowed},
	{"evil.example:5333", 403, ReasonHostNotAllowed},
	{"localhost.evil.example:5333", 403, ReasonHostNotAllowed},
	{"127.0.0.1.evil.example", 403, ReasonHostNotAllowed},
	{"foo.localhost:5333", 403, ReasonHostNotAllowed},
	{"localhost-5333", 403, ReasonHostNotAllowed},
	{"192.168.0.1:5333", 403, ReasonHostNotAllowed},
	{"0.0.0.0:5333", 403, ReasonHostNotAllowed},
	{"128.0.0.1", 403, ReasonHostNotAllowed},
	{"[::]:5333", 403, ReasonHostNotAllowed},
	{"[fe80::1]:5333", 403, ReasonHostNotAllowed},
	{"[::ffff:127.0.0.1]:5333", 403, ReasonHostNotAllowed},
	{"[::ffff:7f00:1]:5333", 403, ReasonHostNotAllowed},
	{"[::127.0.0.1]:5333", 403, ReasonHostNotAllowed},

	{"localhost:5334", 403, ReasonHostPort},
	{"127.0.0.1:80", 403, ReasonHostPort},
	{"[::1]:65535", 403, ReasonHostPort},

	{"localhost..", 403, ReasonHostMalformed},
	{"localhost:", 403, ReasonHostMalformed},
	{"localhost:05333", 403, ReasonHostMalformed},
	{"localhost:+5333", 403, ReasonHostMalformed},
	{"localhost:65536", 403, ReasonHostMalformed},
	{"localhost:70869", 403, ReasonHostMalformed}, // 5333 modulo 2^16
	{"localhost:5333:5333", 403, ReasonHostMalformed},
	{"2130706433:5333", 403, ReasonHostMalformed},
	{"017700000001", 403, ReasonHostMalformed},
	{"0177.0.0.1:5333", 403, ReasonHostMalformed},
	{"127.0.0.01", 403, ReasonHostMalformed},
	{"0x7f000001:5333", 403, ReasonHostMalformed},
	{"0x7F.0.0.1", 403, ReasonHostMalformed},
	{"127.1:5333", 403, ReasonHostMalformed},
	{"127.0.0.1.", 403, ReasonHostMalformed},
	{"127.0.0.256", 403, ReasonHostMalformed},
	{"::1", 403, ReasonHostMalformed},
	{"[::1", 403, ReasonHostMalformed},
	{"[127.0.0.1]:5333", 403, ReasonHostMalformed},
	{"[::1%25lo]:5333", 403, ReasonHostMalformed},
	{"[::1]x:5333", 403, ReasonHostMalformed},
	{"user@localhost:5333", 400, ""},
	{"user:pw@localhost:5333", 400, ""},
	{"localhost,evil.example", 403, ReasonHostMalformed},
	{"%6cocalhost", 403, ReasonHostMalformed},
	{".localhost", 403, ReasonHostMalformed},
	{".", 403, ReasonHostMalformed},
	{strings.Repeat("a.", 140) + "example", 403, ReasonHostMalformed},

	{"local host", 400, ""},
	{"localho\u017ft", 400, ""}, // folds to "localhost" in Unicode
	{"localhost\x00", 400, ""},
	{"localhost\\evil", 400, ""},
	{"localhost/evil", 400, ""},
	{"localhost\r\nHost: evil.example", 400, ""},
	{"evil.example\r\nHost: localhost", 400, ""},
}

func TestHostSpellings(t *testing.T) {
	rules := Rules{LoopbackOnly: true, Port: 5333}
	for _, c := range hostCases {
		t.Run(c.host, func(t *testing.T) {
			res := ask(t, rules, "GET / HTTP/1.1\r\nHost: "+c.host+"\r\nConnection: close\r\n\r\n")
			if res.StatusCode != c.status {
				t.Fatalf("status %d, want %d", res.StatusCode, c.status)
			}
			if c.status == http.StatusForbidden {
				if got := readRefusal(t, res); got.Reason != c.reason {
					t.Errorf("reason %q, want %q", got.Reason, c.reason)
				}
			}
		})
	}
}

// The same table without net/http in front: what it refuses today, we refuse
// ourselves tomorrow.
func TestHostSpellingsAlone(t *testing.T) {
	rules := Rules{LoopbackOnly: true, Port: 5333}
	for _, c := range hostCases {
		refusal := rules.Check(&http.Request{Host: c.host})
		if (refusal == nil) != (c.status == http.StatusOK) {
			t.Errorf("host %q: %+v, want status %d", c.host, refusal, c.status)
		}
	}
}

func TestHostInRequestLine(t *testing.T) {
	rules := Rules{LoopbackOnly: true, Port: 5333}
	for raw, status := range map[string]int{
		"GET http://localhost:5333/x HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n": 200, // net/http has the Host from the URL, as RFC 9112 3.2.2 says
		"GET http://evil.example/x HTTP/1.1\r\nHost: localhost:5333\r\n\r\n":                      403,
		"GET http://user@localhost:5333/x HTTP/1.1\r\nHost: localhost:5333\r\n\r\n":               403,
		"GET / HTTP/1.0\r\n\r\n":                           403,
		"GET / HTTP/1.1\r\n\r\n":                           400,
		"OPTIONS * HTTP/1.1\r\nHost: evil.example\r\n\r\n": 403,
	} {
		if got := ask(t, rules, raw).StatusCode; got != status {
			t.Errorf("%q: status %d, want %d", raw, got, status)
		}
	}
}

func TestHostsList(t *testing.T) {
	rules := Rules{Hosts: []string{"Relay.Example", "front.example:8443", "192.0.2.1", "[2001:db8::1]", "bad host"}, Port: 8912}
	for host, ok := range map[string]bool{
		"relay.example": true, "RELAY.EXAMPLE.:8912": true, "relay.example:443": false,
		"front.example:8443": true, "front.example": false, "front.example:8912": false,
		"192.0.2.1:8912": true, "192.0.2.2": false, "[2001:db8:0::1]:8912": true,
		"localhost:8912": false, "127.0.0.1": false, "bad host": false, "": false,
	} {
		if refusal := rules.Check(&http.Request{Host: host}); (refusal == nil) != ok {
			t.Errorf("host %q: %+v, want allowed %v", host, refusal, ok)
		}
	}
	rules.LoopbackOnly = true
	for _, host := range []string{"relay.example", "localhost:8912", "[::1]"} {
		if refusal := rules.Check(&http.Request{Host: host}); refusal != nil {
			t.Errorf("host %q: %+v", host, refusal)
		}
	}
	for _, host := range []string{"", "what ever", "evil.example:1"} {
		if refusal := (Rules{Port: 8912}).Check(&http.Request{Host: host}); refusal != nil {
			t.Errorf("no rule, host %q: %+v", host, refusal)
		}
	}
}

func TestOrigins(t *testing.T) {
	const page, extension = "https://chat.example", "chrome-extension://abcdefghijklmnop"
	cases := []struct {
		name    string
		rules   Rules
		origins []string
		reason  string
	}{
		{"absent", Rules{}, nil, ""},
		{"none listed", Rules{}, []string{page}, ReasonOriginNotAllowed},
		{"listed", Rules{Origins: []string{"http://a.example", page}}, []string{page}, ""},
		{"extension", Rules{Origins: []string{extension}}, []string{extension}, ""},
		{"upper case", Rules{Origins: []string{page}}, []string{"https://Chat.example"}, ReasonOriginNotAllowed},
		{"other scheme", Rules{Origins: []string{page}}, []string{"http://chat.example"}, ReasonOriginNotAllowed},
		{"other port", Rules{Origins: []string{page}}, []string{page + ":8443"}, ReasonOriginNotAllowed},
		{"prefix", Rules{Origins: []string{page}}, []string{page + ".evil.example"}, ReasonOriginNotAllowed},
		{"suffix", Rules{Origins: []string{page}}, []string{"https://evil-chat.example"}, ReasonOriginNotAllowed},
		{"trailing slash", Rules{Origins: []string{page}}, []string{page + "/"}, ReasonOriginNotAllowed},
		{"list in one", Rules{Origins: []string{page}}, []string{page + ", " + page}, ReasonOriginNotAllowed},
		{"empty", Rules{Origins: []string{page, ""}}, []string{""}, ReasonOriginNotAllowed},
		{"null", Rules{Origins: []string{page}}, []string{"null"}, ReasonOriginNotAllowed},
		{"null listed", Rules{Origins: []string{"null"}}, []string{"null"}, ""},
		{"file", Rules{Origins: []string{page}}, []string{"file://"}, ReasonOriginNotAllowed},
		{"file listed", Rules{Origins: []string{"file://"}}, []string{"file://"}, ""},
		{"loopback", Rules{LoopbackOnly: true, Port: 5333}, []string{"http://localhost:5333"}, ReasonOriginNotAllowed},
		{"loopback listed", Rules{Origins: []string{"http://127.0.0.1:5333"}}, []string{"http://127.0.0.1:5333"}, ""},
		{"rebinding", Rules{LoopbackOnly: true, Port: 5333}, []string{"http://evil.example:5333"}, ReasonOriginNotAllowed},
		{"any", Rules{AnyOrigin: true}, []string{"http://evil.example"}, ""},
		{"any, null", Rules{AnyOrigin: true}, []string{"null"}, ""},
		{"any, twice", Rules{AnyOrigin: true}, []string{page, page}, ReasonOriginRepeated},
		{"listed twice", Rules{Origins: []string{page}}, []string{page, page}, ReasonOriginRepeated},
		{"star is no wildcard", Rules{Origins: []string{"*"}}, []string{page}, ReasonOriginNotAllowed},
	}
	for _, c := range cases {
		raw := "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
		for _, origin := range c.origins {
			raw += "Origin: " + origin + "\r\n"
		}
		res := ask(t, c.rules, raw+"\r\n")
		if c.reason == "" {
			if res.StatusCode != http.StatusOK {
				t.Errorf("%s: status %d", c.name, res.StatusCode)
			}
			continue
		}
		if got := readRefusal(t, res); res.StatusCode != http.StatusForbidden || got.Reason != c.reason {
			t.Errorf("%s: status %d, %+v, want reason %q", c.name, res.StatusCode, got, c.reason)
		}
	}
}

func TestSubprotocol(t *testing.T) {
	const want = "MASQNode-UIv2"
	for _, c := range []struct {
		offers []string
		ok     bool
	}{
		{nil, false},
		{[]string{""}, false},
		{[]string{want}, true},
		{[]string{"chat, " + want}, true},
		{[]string{"chat", "x,\t" + want + " ,y"}, true},
		{[]string{"masqnode-uiv2"}, false},
		{[]string{want + "x"}, false},
		{[]string{want + " x"}, false},
		{[]string{","}, false},
	} {
		refusal := Subprotocol(&http.Request{Header: http.Header{"Sec-Websocket-Protocol": c.offers}}, want)
		if (refusal == nil) != c.ok {
			t.Errorf("offers %q: %+v, want %v", c.offers, refusal, c.ok)
		}
		if refusal != nil && (refusal.Status != http.StatusBadRequest || !strings.Contains(refusal.Text, want)) {
			t.Errorf("offers %q: %+v", c.offers, refusal)
		}
	}
}

func readRefusal(t testing.TB, res *http.Response) refusalBody {
	t.Helper()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	var refusal refusalBody
	if err := json.Unmarshal(body, &refusal); err != nil {
		t.Fatalf("body %q: %v", body, err)
	}
	if refusal.OK || refusal.Help == "" || !res.Close || res.Header.Get("Content-Type") != "application/json" {
		t.Errorf("refusal %+v, headers %v", refusal, res.Header)
	}
	return refusal
}

// What the text tells to add must let the same request in.
func TestAdviceWorks(t *testing.T) {
	base := Rules{LoopbackOnly: true, Port: 5333, HostsOption: "ui-hosts", OriginsOption: "ui-origins"}
	for _, req := range []*http.Request{
		{Host: "box.example"},
		{Host: "Box.Example:5333"},
		{Host: "box.example:8080"},
		{Host: "localhost:8080"}, // ssh -L
		{Host: "[2001:db8::1]:5333"},
		{Host: "[::ffff:127.0.0.1]:5333"},
		{Host: "localhost", Header: http.Header{"Origin": {"http://localhost:3000"}}},
		{Host: "localhost", Header: http.Header{"Origin": {"file://"}}},
		{Host: "localhost", Header: http.Header{"Origin": {"null"}}},
	} {
		refusal := base.Check(req)
		if refusal == nil {
			t.Fatalf("%+v is allowed", req)
		}
		rules := base
		if _, line, ok := strings.Cut(refusal.Text, "ui-hosts = "); ok {
			rules.Hosts = []string{strings.Trim(line, `"`)}
		} else if _, line, ok := strings.Cut(refusal.Text, "ui-origins = "); ok {
			rules.Origins = []string{strings.Trim(line, `"`)}
		}
		if err := rules.Validate(); err != nil {
			t.Errorf("%q: %v", refusal.Text, err)
		}
		if again := rules.Check(req); again != nil {
			t.Errorf("%q did not help: %q", refusal.Text, again.Text)
		}
	}
}

// A stranger's value must not forge a line to paste, or colour a terminal.
func TestTextIsTame(t *testing.T) {
	rules := Rules{LoopbackOnly: true, HostsOption: "ui-hosts", OriginsOption: "ui-origins"}
	for _, value := range []string{"x\", \"http://evil.example", "\x1b[2J\r\n", "\u202e", strings.Repeat("é", 5000), "a,b"} {
		for _, refusal := range []*Refusal{
			rules.Check(&http.Request{Host: value}),
			rules.Check(&http.Request{Host: "localhost", Header: http.Header{"Origin": {value}}}),
			Subprotocol(&http.Request{Header: http.Header{"Sec-Websocket-Protocol": {value}}}, "p"),
		} {
			if len(refusal.Text) > 2048 || strings.Contains(refusal.Text, " = ") {
				t.Errorf("value %q: %d bytes: %q", value, len(refusal.Text), refusal.Text)
			}
			for _, c := range strings.ReplaceAll(refusal.Text, "…", "") {
				if c < ' ' || c > '~' {
					t.Errorf("value %q: %q in %q", value, c, refusal.Text)
				}
			}
		}
	}
}

func TestValidate(t *testing.T) {
	good := Rules{
		Hosts:   []string{"relay.example", "relay.example:443", "192.0.2.1", "[::1]:80"},
		Origins: []string{"null", "file://", "https://a.example", "http://[::1]:8080", "chrome-extension://abc"},
	}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for _, host := range []string{"", "http://relay.example", "relay.example/x", "*", "::1", "a b"} {
		if (Rules{Hosts: []string{host}}).Validate() == nil {
			t.Errorf("host %q passes", host)
		}
	}
	for _, origin := range []string{
		"", "*", "chat.example", "https://chat.example/", "https://Chat.example", "https://u@chat.example",
		"https://chat.example:443", "http://chat.example:80", "https://", "https://a,b", "https://chat.example?x", "file:///x",
	} {
		if (Rules{Origins: []string{origin}}).Validate() == nil {
			t.Errorf("origin %q passes", origin)
		}
	}
}

// FuzzHost: what is let in is localhost or a loopback literal, by another
// parser's judgement too, and its canonical spelling is let in as well.
func FuzzHost(f *testing.F) {
	for _, c := range hostCases {
		f.Add(c.host)
	}
	rules := Rules{LoopbackOnly: true}
	f.Fuzz(func(t *testing.T, host string) {
		if rules.Check(&http.Request{Host: host}) != nil {
			return
		}
		a, ok := parseAuthority(host)
		if !ok {
			t.Fatalf("%q let in, not parsed", host)
		}
		if again, ok := parseAuthority(a.String()); !ok || again != a {
			t.Fatalf("%q: %q is not canonical", host, a.String())
		}
		name := strings.ToLower(host)
		if i := strings.LastIndexByte(name, ':'); i >= 0 && !strings.HasSuffix(name, "]") {
			name = name[:i]
		}
		name = strings.TrimSuffix(strings.Trim(name, "[]"), ".")
		if ip, err := netip.ParseAddr(name); name != "localhost" && (err != nil || !ip.IsLoopback()) {
			t.Fatalf("%q let in as %q", host, name)
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	origin := http.Header{"Origin": {"https://chat.example"}}
	for name, c := range map[string]struct {
		rules Rules
		req   *http.Request
	}{
		"loopback": {Rules{LoopbackOnly: true, Port: 5333}, &http.Request{Host: "127.0.0.1:5333"}},
		"listed":   {Rules{Hosts: []string{"a.example", "b.example", "relay.example"}, Origins: []string{"https://a.example", "https://chat.example"}}, &http.Request{Host: "relay.example", Header: origin}},
		"refused":  {Rules{LoopbackOnly: true, Port: 5333, HostsOption: "ui-hosts"}, &http.Request{Host: "evil.example:5333"}},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.rules.Check(c.req)
			}
		})
	}
}
