package daemon

import (
	"parley/messages/processpb"
	"parley/messages/uipb"
)

// presence is what is known of a Node.
type presence int

const (
	absent  presence = iota // there is none
	unknown                 // one may be there, or be on its way: it is being found out
	present
)

// whereabouts tells setup and redirect whether a Node is there. It takes effect
// at once.
type whereabouts struct {
	node presence
	port uint32 // for user interfaces; of a present one, and to redirect only
	// shown is what a present one was started with; nil: not known. Only setup looks
	// at it, and knows it already unless the Node was adopted.
	shown *uipb.SetupResponse
}

// IgnoreDeadLetterLogging marks messages that may find their actor stopped.
func (*whereabouts) IgnoreDeadLetterLogging() {}

// freeze asks setup to show nothing else any more, from its turn among the
// requests on, and for what a Node is launched with. The answer is frozen; a
// whereabouts without a Node ends it.
type freeze struct{}

// frozen answers freeze.
type frozen struct {
	settings      []*processpb.Setting // all that are Set or Configured, secrets too, and data-directory
	dataDirectory string
	realUser      string              // empty: none
	shown         *uipb.SetupResponse // the same as user interfaces see it, without secrets
	problem       string              // what file and environment say that a Node would start without, unnoticed; empty: nothing
}

// IgnoreDeadLetterLogging marks messages that may find the launcher stopped.
func (*frozen) IgnoreDeadLetterLogging() {}

// over tells crash that a Node is gone.
type over struct {
	incarnation uint64 // of the Node, rising: pids come again
	ended       *processpb.Ended
	requested   bool // it ended in order, or because the Daemon stopped it
}

// IgnoreDeadLetterLogging marks messages that may find crash stopped.
func (*over) IgnoreDeadLetterLogging() {}
