package web

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/gateways/link"
	"parley/messages"
	"parley/messages/relaypb"
	"parley/testkit"
	"parley/testkit/leaks"
)

func TestMain(m *testing.M) { leaks.Main(m) }

// answer is a health answer as a client parses it.
type answer struct {
	Healthy string   `json:"healthy"`
	Reason  string   `json:"reason"`
	Reasons []string `json:"reasons"`
}

func TestHealth(t *testing.T) {
	for _, c := range []struct {
		name   string
		says   any // nil: nothing
		status int
		want   answer
	}{
		{"good", &relaypb.Health{Healthy: "good", Reason: "healthy", Reasons: []string{}}, 200, answer{"good", "healthy", nil}},
		{"degraded", &relaypb.Health{Healthy: "degraded", Reason: "clients no channels", Reasons: []string{"clients no channels"}}, 200, answer{"degraded", "clients no channels", []string{"clients no channels"}}},
		{"bad", &relaypb.Health{Healthy: "bad", Reason: "channels no clients", Reasons: []string{"channels no clients", "clients no channels"}}, 503, answer{"bad", "channels no clients", []string{"channels no clients", "clients no channels"}}},
		{"silent", nil, 503, answer{"bad", "no answer", []string{"no answer"}}},
		{"confused", &relaypb.Census{}, 503, answer{"bad", "no answer", []string{"no answer"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sys := testkit.System(t)
				pid := tree.Spawn(sys.Root, "health", tree.Spec{New: func() actor.Actor {
					return actor.ReceiveFunc(func(ctx actor.Context) {
						if _, ok := ctx.Message().(*relaypb.HealthRequest); ok && c.says != nil {
							ctx.Respond(c.says)
						}
					})
				}})
				start := time.Now()
				w := httptest.NewRecorder()
				Health(sys.Root, pid, nil, nil).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/health", nil))
				if took := time.Since(start); took > healthTimeout {
					t.Errorf("took %v", took)
				}
				var got answer
				if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
					t.Fatalf("%s: %v", w.Body, err)
				}
				if w.Code != c.status || got.Healthy != c.want.Healthy || got.Reason != c.want.Reason || !slices.Equal(got.Reasons, c.want.Reasons) {
					t.Errorf("%d %+v, want %d %+v", w.Code, got, c.status, c.want)
				}
				for header, want := range map[string]string{
					"Content-Type": "application/json", "Cache-Control": "no-store", "Access-Control-Allow-Origin": "*",
				} {
					if got := w.Header().Get(header); got != want {
						t.Errorf("%s: %q, want %q", header, got, want)
					}
				}
				testkit.Stop(t, sys, pid)
			})
		})
	}
}

// none is a codec that is never asked.
type none struct{ link.Codec }

func (none) Protocol() string            { return "relay" }
func (none) Slot() messages.Slot         { return messages.SlotRelay }
func (none) Charge(proto.Message) uint32 { return 0 }

// scrape is what a monitoring system reads.
func scrape(t *testing.T, h http.Handler) map[string]string {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	values := map[string]string{}
	for line := range strings.Lines(w.Body.String()) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		line = strings.TrimSpace(line)
		at := strings.LastIndexByte(line, ' ')
		values[line[:at]] = line[at+1:]
	}
	return values
}

// TestMetrics reads the counters of a whole gateway: every one must have the
// same help and type under all its labels, or a scrape fails.
func TestMetrics(t *testing.T) {
	sys := tree.New(tree.Options{})
	defer sys.Shutdown()
	link.New(sys, &link.Kind{Codec: none{}})
	m := tree.Of(sys)
	h := Operators(m, func() map[string]uint64 { return map[string]uint64{"host": 3, "half open": 1} })
	before := scrape(t, h)
	m.Drop(tree.SlowConsumer, 5)
	m.Counter("relay_closes_total", "", "code", "1013").Add(2)
	m.Level("relay_links", "").Add(7)
	m.Level("rendezvous_peers", "").Add(4)
	m.Counter("rendezvous_joins_total_success", "", "", "").Add(9)
	after := scrape(t, h)
	for name, want := range map[string][2]string{
		`parley_drops_total{reason="slow consumer"}`: {"0", "5"},
		`parley_drops_total{reason="mailbox full"}`:  {"0", "0"},
		`parley_relay_closes_total{code="1013"}`:     {"0", "2"},
		`parley_relay_closes_total{code="other"}`:    {"0", "0"},
		`parley_relay_links`:                         {"0", "7"},
		`parley_actor_panics_total`:                  {"0", "0"},
		`rendezvous_peers`:                           {"", "4"},
		`rendezvous_joins_total_success`:             {"", "9"},
		`parley_refused_total{reason="host"}`:        {"3", "3"},
		`parley_refused_total{reason="half open"}`:   {"1", "1"},
	} {
		if before[name] != want[0] || after[name] != want[1] {
			t.Errorf("%s: %q then %q, want %q", name, before[name], after[name], want)
		}
	}
	if before["go_goroutines"] == "" || before["process_open_fds"] == "" {
		t.Error("nothing about the process")
	}
}

// TestOperatorsPages are there, and nothing else is.
func TestOperatorsPages(t *testing.T) {
	sys := tree.New(tree.Options{})
	defer sys.Shutdown()
	h := Operators(tree.Of(sys), func() map[string]uint64 { return nil })
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{http.MethodGet, "/metrics", 200},
		{http.MethodHead, "/metrics", 200},
		{http.MethodPost, "/metrics", 405},
		{http.MethodGet, "/debug/pprof/", 200},
		{http.MethodGet, "/debug/pprof/goroutine?debug=1", 200},
		{http.MethodGet, "/debug/pprof/cmdline", 200},
		{http.MethodGet, "/debug/pprof/symbol", 200},
		{http.MethodPost, "/debug/pprof/symbol", 405},
		{http.MethodGet, "/", 404},
		{http.MethodGet, "/health", 404},
		{http.MethodGet, "/connect", 404},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(c.method, c.path, nil))
		if w.Code != c.status {
			t.Errorf("%s %s: %d, want %d", c.method, c.path, w.Code, c.status)
		}
	}
}
