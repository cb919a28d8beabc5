package star

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"parley/gateways/guard"
	"parley/testkit"
)

// ask makes a request of its own, and returns the answer with its body.
func (v *venue) ask(method, path string, header http.Header) (*http.Response, string) {
	v.t.Helper()
	c := v.connect()
	defer c.Close()
	r, err := http.NewRequest(method, "http://server"+path, nil)
	if err != nil {
		v.t.Fatal(err)
	}
	r.Header, r.Close = header, true
	if err := r.Write(c); err != nil {
		v.t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(c), r)
	if err != nil {
		v.t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return res, string(body)
}

// TestFaults of requests: a client reads the code, and a page of any origin may
// read it, too.
func TestFaults(t *testing.T) {
	upgrade := http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"AAAAAAAAAAAAAAAAAAAAAA=="}}
	synctest.Test(t, func(t *testing.T) {
		v := newVenue(t, nil)
		for _, c := range []struct {
			method, query string
			header        http.Header
			want          string
		}{
			{"GET", "EIO=3&transport=polling&t=abc", nil, `{"code":0,"message":"Transport unknown"}`},
			{"POST", "EIO=4&transport=polling&sid=x", nil, `{"code":0,"message":"Transport unknown"}`},
			{"GET", "EIO=3", upgrade, `{"code":0,"message":"Transport unknown"}`},
			{"GET", "EIO=3&transport=websocket&sid=abc", upgrade, `{"code":1,"message":"Session ID unknown"}`},
			{"POST", "EIO=3&transport=websocket", nil, `{"code":2,"message":"Bad handshake method"}`},
			{"OPTIONS", "EIO=4&transport=websocket", nil, `{"code":2,"message":"Bad handshake method"}`},
			{"GET", "EIO=3&transport=websocket", nil, `{"code":3,"message":"Bad request"}`},
			{"GET", "EIO=2&transport=websocket", upgrade, `{"code":3,"message":"Bad request"}`},
			{"GET", "transport=websocket", upgrade, `{"code":3,"message":"Bad request"}`},
		} {
			for _, origin := range []string{"", "https://anywhere.example"} {
				h := c.header.Clone()
				if h == nil {
					h = http.Header{}
				}
				allowed := "*"
				if origin != "" {
					h.Set("Origin", origin)
					allowed = origin
				}
				res, body := v.ask(c.method, "/socket.io/?"+c.query, h)
				if res.StatusCode != http.StatusBadRequest || body != c.want || res.Header.Get("Content-Type") != "application/json" {
					t.Errorf("%s %s: %s %s", c.method, c.query, res.Status, body)
				}
				if got := res.Header.Get("Access-Control-Allow-Origin"); got != allowed {
					t.Errorf("%s %s: origin %q", c.method, c.query, got)
				}
			}
		}
		v.stop()
	})
}

// TestPaths: a page, and nothing else.
func TestPaths(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVenue(t, nil)
		for path, status := range map[string]int{
			"/": 200, "/socket.io": 404, "/socket.io/x": 404, "/x": 404, "/socket.io/socket.io.js": 404, "//": 404, "/..": 404,
		} {
			if res, body := v.ask("GET", path, nil); res.StatusCode != status || body == "" {
				t.Errorf("%s: %s", path, res.Status)
			}
		}
		res, body := v.ask("GET", "/", nil)
		if !strings.Contains(body, "<code>/dns4/server/tcp/80/ws/p2p-websocket-star</code>") || res.Header.Get("Content-Security-Policy") == "" {
			t.Errorf("%v, %s", res.Header, body)
		}
		if res, _ := v.ask("HEAD", "/", nil); res.StatusCode != http.StatusOK {
			t.Error(res.Status)
		}
		if res, _ := v.ask("POST", "/", nil); res.StatusCode != http.StatusMethodNotAllowed {
			t.Error(res.Status)
		}
		v.stop()
	})
}

// TestShownAddress is the one by which the browser got here.
func TestShownAddress(t *testing.T) {
	for _, c := range []struct {
		host   string
		secret bool
		want   string
	}{
		{"star.example", false, "/dns4/star.example/tcp/80/ws/p2p-websocket-star"},
		{"star.example", true, "/dns4/star.example/tcp/443/wss/p2p-websocket-star"},
		{"star.example:9090", true, "/dns4/star.example/tcp/9090/wss/p2p-websocket-star"},
		{"127.0.0.1:9090", false, "/ip4/127.0.0.1/tcp/9090/ws/p2p-websocket-star"},
		{"[::1]:9090", false, "/ip6/::1/tcp/9090/ws/p2p-websocket-star"},
		{"[::1]", false, "/ip6/::1/tcp/80/ws/p2p-websocket-star"},
		{"localhost:", false, "/dns4/localhost:/tcp/80/ws/p2p-websocket-star"},
		{"a<b>", false, "/dns4/a&lt;b&gt;/tcp/80/ws/p2p-websocket-star"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Host = c.host
		if c.secret {
			r.TLS = &tls.ConnectionState{}
		}
		w := httptest.NewRecorder()
		(&Gateway{}).ServeHTTP(w, r)
		if !strings.Contains(w.Body.String(), "<code>"+c.want+"</code>") {
			t.Errorf("%s: %s", c.host, w.Body)
		}
		w = httptest.NewRecorder()
		(&Gateway{Address: "/dns4/a/<"}).ServeHTTP(w, r)
		if !strings.Contains(w.Body.String(), "<code>/dns4/a/&lt;</code>") {
			t.Errorf("%s: %s", c.host, w.Body)
		}
	}
}

// TestFull counts both versions.
func TestFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var reasons []string
		v := newVenue(t, func(v *venue) {
			v.gateway.MaxLinks = 2
			v.gateway.Refuse = func(w http.ResponseWriter, _ *http.Request, r *guard.Refusal) {
				reasons = append(reasons, r.Reason)
				r.WriteTo(w)
			}
		})
		a, b := v.dial(three), v.dial(four)
		for version := range versions {
			c := v.connect()
			_, err := testkit.DialWS(c, "server", fmt.Sprintf(query, versionNames[version]), nil)
			var r *testkit.Refused
			if !errors.As(err, &r) || r.Status != http.StatusServiceUnavailable {
				t.Errorf("%v", err)
			}
		}
		if !slices.Equal(reasons, []string{guard.ReasonMaxConns, guard.ReasonMaxConns}) {
			t.Errorf("%q", reasons)
		}
		a.HangUp()
		synctest.Wait()
		c := v.dial(four)
		b.HangUp()
		c.HangUp()
		v.stop()
	})
}
