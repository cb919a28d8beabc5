package web

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/relaypb"
	"parley/testkit"
)

// getHealth asks a health actor over HTTP.
func getHealth(sys *actor.ActorSystem, pid *actor.PID) (status int, body string) {
	w := httptest.NewRecorder()
	Health(sys.Root, pid, nil, nil).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/health", nil))
	return w.Code, w.Body.String()
}

// TestHealthBody is compared byte for byte: programs search in it.
func TestHealthBody(t *testing.T) {
	for _, c := range []struct {
		says   *relaypb.Health
		status int
		body   string
	}{
		{&relaypb.Health{Healthy: "good", Reason: "healthy", Reasons: []string{}}, 200, `{"healthy":"good","reason":"healthy","reasons":[]}`},
		{
			&relaypb.Health{Healthy: "degraded", Reason: "clients no channels", Reasons: []string{"clients no channels"}},
			200, `{"healthy":"degraded","reason":"clients no channels","reasons":["clients no channels"]}`,
		},
		{
			&relaypb.Health{Healthy: "bad", Reason: "channels no clients", Reasons: []string{"channels no clients", "more"}},
			503, `{"healthy":"bad","reason":"channels no clients","reasons":["channels no clients","more"]}`,
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			sys := testkit.System(t)
			pid := tree.Spawn(sys.Root, "health", tree.Spec{New: func() actor.Actor {
				return actor.ReceiveFunc(func(ctx actor.Context) {
					if _, ok := ctx.Message().(*relaypb.HealthRequest); ok {
						ctx.Respond(c.says)
					}
				})
			}})
			if status, body := getHealth(sys, pid); status != c.status || body != c.body+"\n" {
				t.Errorf("%d %s, want %d %s", status, body, c.status, c.body)
			}
			testkit.Stop(t, sys, pid)
		})
	}
}

// TestHealthOfTheGone is known at once: nobody waits for an actor that is not there.
func TestHealthOfTheGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := testkit.System(t)
		testkit.Ending(sys) // the question will be a dead letter
		start := time.Now()
		status, body := getHealth(sys, sys.NewLocalPID("gone"))
		if want := `{"healthy":"bad","reason":"no answer","reasons":["no answer"]}` + "\n"; status != 503 || body != want {
			t.Errorf("%d %s, want 503 %s", status, body, want)
		}
		if took := time.Since(start); took > 0 {
			t.Errorf("took %s", took)
		}
		testkit.Stop(t, sys)
	})
}

// TestHealthOfARendezvous is counted when somebody asks. What is unsafe stands
// behind it.
func TestHealthOfARendezvous(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := testkit.System(t)
		pid := tree.Spawn(sys.Root, "health", tree.Spec{New: func() actor.Actor {
			return actor.ReceiveFunc(func(ctx actor.Context) {
				if _, ok := ctx.Message().(*relaypb.HealthRequest); ok {
					ctx.Respond(&relaypb.Health{Healthy: "good", Reason: "healthy", Reasons: []string{}})
				}
			})
		}})
		now := &Rendezvous{}
		h := Health(sys.Root, pid, func() *Rendezvous { return now }, []string{"insecure"})
		for _, c := range []struct {
			now  Rendezvous
			want string
		}{
			{Rendezvous{}, `{"sockets":0,"peers":0,"dials":0}`},
			{Rendezvous{Sockets: 3, Peers: 2, Dials: 1}, `{"sockets":3,"peers":2,"dials":1}`},
		} {
			*now = c.now
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/health", nil))
			if want := `{"healthy":"good","reason":"healthy","reasons":[],"star":` + c.want + `,"unsafe":["insecure"]}` + "\n"; w.Body.String() != want {
				t.Errorf("got %s, want %s", w.Body, want)
			}
		}
		testkit.Stop(t, sys, pid)
	})
}
