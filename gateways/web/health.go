package web

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/messages/relaypb"
)

// healthTimeout is how long the node's actors may take to say how they are.
const healthTimeout = 2 * time.Second

// Rendezvous is what goes on at one, in numbers.
type Rendezvous struct {
	Sockets int64 `json:"sockets"` // connected
	Peers   int64 `json:"peers"`   // addresses online
	Dials   int64 `json:"dials"`   // open
}

// Health answers GET /health: 200 for good and degraded, 503 for bad. star, if
// not nil, counts what goes on at the node's rendezvous, and returns at once.
// unsafe names options that weaken the node's protection.
// Source: gateways/relay/PROTOCOL.md, Health.
func Health(root *actor.RootContext, health *actor.PID, star func() *Rendezvous, unsafe []string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Connection", "close") // kept alive, it would count against no limit
		w.Header().Set("Access-Control-Allow-Origin", "*")
		answer, err := root.RequestFuture(health, &relaypb.HealthRequest{}, healthTimeout).Result()
		h, ok := answer.(*relaypb.Health)
		if err != nil || !ok {
			h = &relaypb.Health{Healthy: "bad", Reason: "no answer", Reasons: []string{"no answer"}}
		}
		if h.GetHealthy() == "bad" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		body := struct {
			Healthy string      `json:"healthy"`
			Reason  string      `json:"reason"`
			Reasons []string    `json:"reasons"`
			Star    *Rendezvous `json:"star,omitempty"`
			Unsafe  []string    `json:"unsafe,omitempty"`
		}{Healthy: h.GetHealthy(), Reason: h.GetReason(), Reasons: h.GetReasons(), Unsafe: unsafe}
		if star != nil {
			body.Star = star()
		}
		_ = json.NewEncoder(w).Encode(body)
	})
}
