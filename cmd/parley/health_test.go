package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"parley/testkit/port"
)

func TestHealth(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status int
		body   string
		args   string
		code   int
		out    string
		says   string
	}{
		{200, `{"healthy":"good","reason":"healthy","reasons":[]}`, "", 0, "good: healthy\n", ""},
		{200, `{"healthy":"degraded","reason":"no peers"}`, "", 1, "degraded: no peers\n", ""},
		{503, `{"healthy":"bad","reason":"a","reasons":["a","b"]}`, "", 2, "bad: a, b\n", ""},
		{503, "{\"healthy\":\"bad\",\n \"reason\":\"a\"}\n", "--json", 2, "{\"healthy\":\"bad\",\n \"reason\":\"a\"}\n", ""},
		{200, `{"healthy":"good","reason":"\u001b[2J\u202e"}`, "", 0, `good: \x1b[2J\u202e` + "\n", ""},
		{403, `{"ok":false,"reason":"host_not_allowed","help":"say relay-hosts"}`, "", 3, "", "say relay-hosts"},
		{404, "404 page not found\n", "--json", 3, "", "is that a node's address?"},
		{200, `{"healthy":"splendid"}`, "", 3, "", "splendid"},
		{302, "", "", 3, "", "is that a node's address?"},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/health" {
				t.Errorf("asked for %q", r.URL.Path)
			}
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(c.status)
			fmt.Fprint(w, c.body)
		}))
		for _, url := range []string{s.URL, s.URL + "/health", s.URL + "/connect", "ws" + strings.TrimPrefix(s.URL, "http"), strings.TrimPrefix(s.URL, "http://")} {
			var out, err strings.Builder
			code := run(append([]string{"health", url}, strings.Fields(c.args)...), nil, &out, &err)
			if code != c.code || out.String() != c.out || !strings.Contains(err.String(), c.says) || (c.says == "") != (err.String() == "") {
				t.Errorf("%s for %s: exit code %d, %q, %q", url, c.body, code, out.String(), err.String())
			}
		}
		s.Close()
	}
}

// TestHealthOfNode asks real processes.
func TestHealthOfNode(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	o := parley(t, "health", n.relay)
	o.expect(t, 0)
	if o.out != "good: healthy\n" || o.err != "" {
		t.Error(o)
	}
	if o := parley(t, "health", "--json", n.relay); o.out != `{"healthy":"good","reason":"healthy","reasons":[]}`+"\n" {
		t.Error(o)
	}
	for range 4 { // more than three clients, and no channel
		dialTest(t, n.url())
	}
	eventually(t, "a verdict on clients without channels", func() bool {
		o := cli("health", n.relay)
		return o.code == 1 && o.out == "degraded: clients no channels\n"
	})
	parley(t, "health", "127.0.0.1:"+strconv.Itoa(port.Free(t))).expect(t, 3, "connection refused")
}
