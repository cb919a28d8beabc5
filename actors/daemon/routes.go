package daemon

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/ui"
)

// startTimeout is what `start` may take: launchMost, and then the answer is on
// its way.
const startTimeout = launchMost + time.Second

// Routes says who answers what a Daemon knows; all else is for redirect, the
// fallback of its ui.Desk. Everybody may look at the Setup space, so setup
// itself refuses changes by who may only look.
func Routes(setup, launcher, broadcasts *actor.PID) map[string]ui.Route {
	return map[string]ui.Route{
		"setup":       {To: setup, Confirm: true},
		"start":       {To: launcher, Changes: true, Timeout: startTimeout, Confirm: true},
		"subscribe":   {To: broadcasts},
		"unsubscribe": {To: broadcasts},
	}
}
