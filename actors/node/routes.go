package node

import (
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/ui"
)

// passwordTimeout is what a request with a password may take. After wrong ones
// the next is checked up to 30 s later, and then it may wait for the hashes of
// others. Source: gateways/uiv2/PROTOCOL.md, Passwords.
const passwordTimeout = 45 * time.Second

// Answering are the actors that answer user interfaces of a node.
type Answering struct {
	Configuration, Password, Status, People, Shutdown, Crash, Broadcasts *actor.PID
}

// Routes says who answers what a node knows. Passwords may be tried by who may
// only look, too: after wrong ones that takes longer and longer. What people say is
// private: who may only look sees none of it.
func Routes(a Answering) map[string]ui.Route {
	return map[string]ui.Route{
		"checkPassword":     {To: a.Password, Timeout: passwordTimeout},
		"changePassword":    {To: a.Password, Timeout: passwordTimeout, Changes: true},
		"configuration":     {To: a.Configuration, Timeout: passwordTimeout},
		"setConfiguration":  {To: a.Configuration, Changes: true},
		"descriptor":        {To: a.Status, Changes: true}, // it holds a token
		"connectionStatus":  {To: a.Status},
		"neighborhoodGraph": {To: a.Status},
		"peers":             {To: a.Status},
		"starPeers":         {To: a.Status},
		"nodeStats":         {To: a.Status},
		"hostStats":         {To: a.Status},
		"channels":          {To: a.Status},
		"contacts":          {To: a.People, Changes: true},
		"addContact":        {To: a.People, Changes: true},
		"acceptContact":     {To: a.People, Changes: true},
		"ignoreContact":     {To: a.People, Changes: true},
		"removeContact":     {To: a.People, Changes: true},
		"sendMessage":       {To: a.People, Changes: true},
		"setStatus":         {To: a.People, Changes: true},
		"setAlias":          {To: a.People, Changes: true},
		"history":           {To: a.People, Timeout: passwordTimeout, Changes: true},
		"shutdown":          {To: a.Shutdown, Changes: true, Confirm: true},
		"crash":             {To: a.Crash, Changes: true, Isolated: true},
		"subscribe":         {To: a.Broadcasts},
		"unsubscribe":       {To: a.Broadcasts},
	}
}

// refuse answers a request that has come to the wrong actor.
func refuse(ctx actor.Context, opcode string) {
	ctx.Respond(ui.Fault(ui.CodeUnmarshal, "Opcode "+quote(opcode)+" is not answered here"))
}

// maxQuoted is how much of what a user interface sent comes back in a text, in bytes.
const maxQuoted = 128

func quote(s string) string { return strconv.Quote(cut(s, maxQuoted)) }
