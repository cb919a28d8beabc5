package testkit_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"parley/testkit"
)

// fixture is a WebSocket server of another make. It repeats text, and does what
// it is told: "close CODE REASON", "cut", "later TEXT", "ping", "many N".
type fixture struct {
	server *http.Server
	net    *testkit.Network
	ponged int
}

func newFixture(t *testing.T, opts ...testkit.NetworkOption) *fixture {
	t.Helper()
	f := &fixture{net: testkit.NewNetwork(opts...)}
	l, err := f.net.Listen("server:80")
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/ws", f.serve)
	f.server = &http.Server{Handler: mux, ReadHeaderTimeout: time.Second}
	go func() { _ = f.server.Serve(l) }()
	t.Cleanup(func() {
		_ = f.server.Close()
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := f.net.Open(); n != 0 {
			t.Errorf("%d ends left open", n)
		}
	})
	return f
}

func (f *fixture) serve(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Origin") == "http://evil.example" {
		http.Error(w, "not you", http.StatusForbidden)
		return
	}
	up := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	c, err := up.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer c.Close()
	c.SetPongHandler(func(string) error { f.ponged++; return nil })
	for {
		kind, b, err := c.ReadMessage()
		if err != nil {
			return
		}
		if !f.answer(c, kind, b) {
			return
		}
	}
}

// answer reports whether the connection stays.
func (f *fixture) answer(c *websocket.Conn, kind int, b []byte) bool {
	verb, rest, _ := strings.Cut(string(b), " ")
	switch verb {
	case "close":
		_ = c.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(1013, rest))
		_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
		_, _, _ = c.ReadMessage()
		return false
	case "cut":
		return false
	case "ping":
		_ = c.WriteMessage(websocket.PingMessage, []byte("are you there"))
	case "later":
		time.Sleep(2 * time.Second)
		_ = c.WriteMessage(kind, []byte(rest))
	case "twice":
		_ = c.WriteMessage(kind, []byte(`{"n":1}`))
		_ = c.WriteMessage(kind, []byte(`{"n":2}`))
	case "parts":
		p, _ := c.NextWriter(websocket.TextMessage)
		for range 3 {
			_, _ = p.Write([]byte(strings.Repeat("p", 5000)))
		}
		_ = p.Close()
	default:
		_ = c.WriteMessage(kind, b)
	}
	return true
}

// connect is a Stage's Connect; args are headers, "name=value".
func (f *fixture) connect(name string, args []string) (testkit.Client, error) {
	c, err := f.net.Dial(context.Background(), name, "server:80")
	if err != nil {
		return nil, err
	}
	h := http.Header{}
	for _, a := range args {
		k, v, _ := strings.Cut(a, "=")
		h.Set(k, v)
	}
	w, err := testkit.DialWS(c, "server", "/ws", h)
	if err != nil {
		return nil, err
	}
	return w, nil
}

// TestStoryLines has one story a row; want is part of its error, "" for none.
func TestStoryLines(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"echo", "open a\na > {\"x\":1,\"y\":[1,{\"z\":null}]}\na < {\"y\":[1,{\"z\":null}],\"x\":1}", ""},
		{"text", "open a\na > hello there\na < hello there", ""},
		{"other text", "open a\na > hello\na < hallo", "3: a heard\n  hello"},
		{"wildcard", "open a\na > {\"x\":{\"deep\":[1]},\"y\":7}\na < {\"x\":\"...\",\"y\":7}", ""},
		{"some keys", "open a\na > {\"x\":1,\"y\":7}\na < {\"y\":7,\"***\":0}", ""},
		{"some keys, one missing", "open a\na > {\"x\":1}\na < {\"y\":7,\"***\":0}", ".y is missing"},
		{"some elements", "open a\na > [1,2,3,4]\na < [\"***\",2,4]", ""},
		{"some elements, wrong order", "open a\na > [1,2,3,4]\na < [\"***\",4,2]", "has no element 2"},
		{"act alone", "act out", "nobody acts here"},
		{"key missing", "open a\na > {\"x\":1}\na < {\"x\":1,\"y\":2}", ".y is missing"},
		{"key too much", "open a\na > {\"x\":{\"y\":1,\"z\":2}}\na < {\"x\":{\"y\":1}}", ".x.z is too much"},
		{"other value", "open a\na > {\"x\":[1,\"b\"]}\na < {\"x\":[1,\"c\"]}", `.x[1] is "b", want "c"`},
		{"other order", "open a\na > [1,2]\na < [2,1]", "[0] is 1, want 2"},
		{"other digits", "open a\na > 1.0\na < 1", "is 1.0, want 1"},
		{"other kind", "open a\na > {\"x\":[]}\na < {\"x\":{}}", ".x is [], want {}"},
		{"null is no missing key", "open a\na > {}\na < {\"x\":null}", ".x is missing"},
		{"duplicate keys", "open a\na > {\"x\":1,\"x\":1}\na < {\"x\":1}", "not strict JSON"},
		{"exact", "open a\na > {\"x\": 1}\na = {\"x\": 1}", ""},
		{"not exact", "open a\na > {\"x\": 1}\na = {\"x\":1}", "want exactly"},
		{"any order", "open a\na > twice\na ? {\"n\":2}\na ? {\"n\":1}", ""},
		{"order", "open a\na > twice\na < {\"n\":2}\na < {\"n\":1}", "3: a heard"},
		{"one of a group missing", "open a\na > twice\na ? {\"n\":2}\na ? {\"n\":3}", "want"},
		{"unread at the end", "open a\na > twice\na < {\"n\":1}", "end: a heard too much\n  {\"n\":2}"},
		{"unread is ignored", "open a\na > twice\na < {\"n\":1}\na ignore", ""},
		{"unread at hangup", "open a\na > twice\na < {\"n\":1}\na hangup", "4: a heard too much"},
		{"sooner or later", "open a\na > twice\na ~ {\"n\":2}\na .", ""},
		{"never", "open a\na > twice\na ~ {\"n\":3}", "3: a heard nothing, want"},
		{"silence", "open a\na .\na > x\na < x\na .", ""},
		{"no silence", "open a\na > x\na .", "3: a heard too much"},
		{"nothing heard", "open a\na < x", "2: a heard nothing, want\n  x"},
		{"heard in time", "open a\na > later x\na < x", ""},
		{"heard after waiting", "open a\na > later x\na .\nwait 2s\na < x", ""},
		{"close", "open a\na > close too slow\na ! 1013 too slow", ""},
		{"close with any reason", "open a\na > close too slow\na ! 1013 ...", ""},
		{"close with any code", "open a\na > close too slow\na ! ... too slow", ""},
		{"no close with any code", "open a\na > cut\na ! ...", `closed: 1006 "", want ...`},
		{"close after all", "open a\na > twice\na > close x\na !! 1013 x", ""},
		{"no close after all", "open a\na > twice\na !! 1013 x", "a heard nothing, want its end"},
		{"other reason", "open a\na > close too slow\na ! 1013 too fast", `closed: 1013 "too slow", want 1013 too fast`},
		{"no reason", "open a\na > close too slow\na ! 1013", "want 1013"},
		{"other code", "open a\na > close x\na ! 1008 x", "want 1008"},
		{"close and come back", "open a\na > close x\na ! 1013 x\nopen a\na > x\na < x", ""},
		{"close instead of a frame", "open a\na > close x\na < x", `3: a was closed: 1013 "x"`},
		{"frame instead of a close", "open a\na > x\na ! 1000", "3: a heard\n  x"},
		{"close is unread", "open a\na > close x", `end: a was closed: 1013 "x"`},
		{"cut", "open a\na > cut\na ! 1006", ""},
		{"ping", "open a\na > ping\na > x\na < x", ""},
		{"parts", "open a\na > parts\na < {{p*15000}}", ""},
		{"binary", "open a\na binary 00 ff\na < binary 00ff", ""},
		{"raw", "open a\na raw 81 83 00000000 616263\na < abc", ""},
		{"raw garbage", "open a\na raw ffffffff\na ! 1002 ...", ""},
		{"hangup", "open a\nopen b\na hangup\nb > x\nb < x", ""},
		{"repeat", "open a\nrepeat 3\n a > r{{i}}\n a < r{{i}}\nend\n# done\n\na .", ""},
		{"many clients", "repeat 3\nopen c{{i}}\nc{{i}} > {{ab*3}}\nc{{i}} < ababab\nend", ""},
		{"pause", "open a\na pause\na > 1\na > 2\na < 1\na .\na resume\na < 2", ""},
		{"refused", "refused a 403 Origin=http://evil.example\nopen a Origin=http://good.example", ""},
		{"let in", "refused a 403", "1: a was let in"},
		{"refused otherwise", "refused a 401 Origin=http://evil.example", "refused with 403 not you, want 401"},
		{"refused at open", "open a Origin=http://evil.example", "1: testkit: refused: 403 not you"},
		{"open twice", "open a\nopen a", "2: a is connected already"},
		{"never opened", "a > x", "1: a has not connected"},
		{"unknown verb", "open a\na says x", `2: cannot read "a says x"`},
		{"nothing behind", "open a\na >", "2: cannot read"},
		{"too much behind", "a . x", "1: cannot read"},
		{"bad hex", "a raw 0", "1: cannot read"},
		{"bad duration", "wait long", "1: time: invalid duration"},
		{"end of nothing", "end", "1: end of nothing"},
		{"no end", "\nrepeat 2\nopen a", "2: repeat without end"},
		{"repeat inside", "repeat 2\nrepeat 3\nend", "2: cannot repeat"},
		{"repeat not often", "repeat none\nend", "1: cannot repeat"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t)
				err := testkit.TellText(c.text, testkit.Stage{Connect: f.connect})
				if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
					t.Errorf("got %v, want %q", err, c.want)
				}
				if c.name == "ping" && f.ponged != 1 {
					t.Errorf("the server heard %d pongs", f.ponged)
				}
			})
		})
	}
}

// TestStoryUnderADriver has arrivals chopped, late, and in drawn orders.
func TestStoryUnderADriver(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		f := newFixture(t, testkit.Driven(d), testkit.Latency(30*time.Millisecond), testkit.Chop(d.Seed(), 3))
		start := time.Now()
		err := testkit.TellText("open a\nopen b\na > {{x*200000}}\nb > later y\na < {{x*200000}}\nb < y\nb > close enough\nb ! 1013 enough",
			testkit.Stage{Connect: f.connect, Driver: d})
		if err != nil {
			t.Error(err)
		}
		if passed := time.Since(start); passed < 2*time.Second || passed > 4*time.Second {
			t.Errorf("the story took %v", passed)
		}
		_ = f.server.Close()
		d.Run(time.Minute)
	})
}
