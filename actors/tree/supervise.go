package tree

import (
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

const (
	restartWindow = 10 * time.Second      // failures older than this are forgiven
	restartBudget = 10                    // failures in the window before a supervisor gives up
	restartFirst  = 10 * time.Millisecond // pause before the second restart; doubles
	restartMost   = time.Second           // longest pause
)

// strategies returns the supervision of a policy. The library's own exponential
// strategy grows linearly and never gives up.
func strategies(w *world, p Policy) actor.SupervisorStrategy {
	if p == Stop {
		return stopChild{w}
	}
	return restartChild{w, p == Fatal}
}

type stopChild struct{ w *world }

func (s stopChild) HandleFailure(_ *actor.ActorSystem, sup actor.Supervisor, child *actor.PID, _ *actor.RestartStatistics, reason, _ any) {
	s.w.metrics.Panicked()
	s.w.log.Error("actor failed, stopped", slog.String("actor", child.GetId()), slog.Any("reason", reason))
	sup.StopChildren(child)
}

type restartChild struct {
	w     *world
	fatal bool
}

func (s restartChild) HandleFailure(_ *actor.ActorSystem, sup actor.Supervisor, child *actor.PID, rs *actor.RestartStatistics, reason, message any) {
	s.w.metrics.Panicked()
	rs.Fail()
	n := rs.NumberOfFailures(restartWindow)
	if n <= restartBudget {
		s.w.log.Error("actor failed, restarting", slog.String("actor", child.GetId()), slog.Any("reason", reason), slog.Int("failures", n))
		if n == 1 {
			sup.RestartChildren(child)
			return
		}
		pause := min(restartFirst<<(n-2), restartMost)
		s.w.driver.After(pause, func() { sup.RestartChildren(child) })
		return
	}
	s.w.log.Error("actor failed too often", slog.String("actor", child.GetId()), slog.Any("reason", reason), slog.Int("failures", n))
	if s.fatal {
		s.w.fatal(reason)
		sup.StopChildren(child)
		return
	}
	sup.EscalateFailure(reason, message)
}
