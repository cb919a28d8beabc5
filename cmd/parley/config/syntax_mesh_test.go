package config

import (
	"strings"
	"testing"
)

// neighborTail ends every complaint about a descriptor.
const neighborTail = "; allowed are any number of: parley://<token>@<host>:<port>[?name=<node-name>][&tls=1]"

func TestNeighborIsRefused(t *testing.T) {
	const token = "hunter2-token"
	for text, want := range map[string]string{
		"ws://" + token + "@a.example:1":                              "does not begin with parley://",
		token:                                                         "does not begin with parley://",
		"parley://a.example:8912":                                     "has no token before its @",
		"parley://@a.example:8912":                                    "has no token before its @",
		"parley://" + token + ":x@a.example:8912":                     "has no token before its @",
		"parley://" + token + "@a.example":                            "has no port",
		"parley://" + token + "@[::1]":                                "has no port",
		"parley://" + token + "@a.example:":                           "has no port from 1 to 65535",
		"parley://" + token + "@a.example:0":                          "has no port from 1 to 65535",
		"parley://" + token + "@a.example:08912":                      "has no port from 1 to 65535",
		"parley://" + token + "@a.example:65536":                      "has no port from 1 to 65535",
		"parley://" + token + "@a.example:8912/":                      "has no port from 1 to 65535",
		"parley://" + token + "@:8912":                                "has no host between @ and port",
		"parley://" + token + "@a:5:6":                                "has no host between @ and port",
		"parley://" + token + "@::1:8912":                             "has no host between @ and port",
		"parley://" + token + "@127.1:8912":                           "has no host between @ and port",
		"parley://" + token + "@" + token + "@a.example:8912":         "has no host between @ and port",
		"parley://" + token + "@a.example:8912?":                      "has something else than name=<node-name> and tls=1 after its question mark",
		"parley://" + token + "@a.example:8912?tls=0":                 "has something else than name=<node-name> and tls=1 after its question mark",
		"parley://" + token + "@a.example:8912?tls=1&name=b":          "has something else than name=<node-name> and tls=1 after its question mark",
		"parley://" + token + "@a.example:8912?name=b&":               "has something else than name=<node-name> and tls=1 after its question mark",
		"parley://" + token + "@a.example:8912?name=b&token=" + token: "has something else than name=<node-name> and tls=1 after its question mark",
		"parley://" + token + "@a.example:8912?name=":                 "has no node's name after name=",
		"parley://" + strings.Repeat("a", 257) + "@a.example:8912":    "has no token before its @",
	} {
		got := problemsOf(t, machine("PARLEY_NEIGHBORS=parley://ok@b:1,"+text))
		if len(got) != 1 || got[0] != `config: environment PARLEY_NEIGHBORS: neighbors: "****************" `+want+neighborTail {
			t.Errorf("%s\n got: %q\nwant: %s", text, got, want)
		}
	}
}

// TestTokensOfNeighborsAreNotShown: they are no secret to the Setup space, but a
// configuration is shown to others, and errors are logged.
func TestTokensOfNeighborsAreNotShown(t *testing.T) {
	opts := machine("PARLEY_NEIGHBORS=parley://hunter2@a.example:1?name=a&tls=1,parley://hunter2@b:2")
	for _, args := range [][]string{{"show"}, {"show", "--origin"}, {"show", "--json"}, {"check", "--json", "--neighborhood-mode=consume-only"}} {
		stdout, stderr, err := run(t, opts, args...)
		if err != nil || strings.Contains(stdout+stderr, "hunter2") {
			t.Errorf("%q: %v\n%s%s", args, err, stdout, stderr)
		}
	}
	if got := mustLoad(t, opts).Text("neighbors"); got != "parley://****************@a.example:1?name=a&tls=1,parley://****************@b:2" {
		t.Errorf("got %q", got)
	}
	if node := mustLoad(t, opts).Node(); node.Neighbors[1] != "parley://hunter2@b:2" {
		t.Errorf("the node gets %q", node.Neighbors)
	}
}

func FuzzNeighbor(f *testing.F) {
	for _, seed := range []string{"parley://a@b:1", "parley://a@[::1]:8912?name=n&tls=1", "parley://a@b:1?tls=1", "parley://a@b@c:1", "parley://", "x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, cause := parseNeighbor(text)
		if cause == "" && n.String() != text {
			t.Errorf("%q is written as %q", text, n.String())
		}
		if cause != "" && len(text) > 60 && strings.Contains(cause, text) {
			t.Errorf("the cause repeats the text: %s", cause)
		}
		// What must be hidden stays hidden, whatever stands around it.
		if cause == "" && len(n.token) > 8 && strings.Count(text, n.token) == 1 && strings.Contains(veilNeighbors(text), n.token) {
			t.Errorf("%q is shown as %q", text, veilNeighbors(text))
		}
	})
}
