package node

import (
	"log/slog"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/actors/ui"
	"parley/messages/faultpb"
	"parley/messages/storepb"
	"parley/messages/uipb"
	"parley/messages/vaultpb"
)

const (
	configPrefix = "config/"        // of the store's records of parameters
	storeTimeout = 10 * time.Second // that the store may take
	readAgain    = 5 * time.Second  // until it is asked again, after it failed
	// SecretPastNeighbors is the name of the secret that holds the descriptors of
	// nodes that this one had links to, one a line.
	SecretPastNeighbors = "past-neighbors"
)

// Configuring is what configuration knows from others.
type Configuring struct {
	Facts      func() *uipb.Configuration // all but secrets; returns at once
	Safe       *actor.PID                 // answers vaultpb.RevealRequest
	Store      *actor.PID                 // answers storepb.ReadRequest and storepb.Write
	Broadcasts *actor.PID
	// Check says what is stored for a value of a parameter that can change while
	// the node runs, or what is wrong with it; known: there is such a parameter.
	Check func(name, value string) (stored, problem string, known bool)
	// Apply makes a stored value take effect. It returns at once.
	Apply func(name, value string)
}

// configuration tells what the node runs with, and changes what can be changed
// while it runs. What was changed outlives the process: it is read from the
// store at the start, and applied over the settings that the node was started
// with, sorted by name. Until then those are in effect, and changes wait. A
// change is applied when it is stored, not before; where it is not known whether
// it was, everything is read again. Source: gateways/uiv2/PROTOCOL.md,
// configuration.
//
//	parent    node
//	receives  uipb.Ask, storepb.ReadResponse, storepb.Written, vaultpb.RevealResponse, faultpb.Failed, storeLate, readNow
//	sends     storepb.ReadRequest, storepb.Write to store; vaultpb.RevealRequest to safe; uipb.Announce to broadcasts; uipb.Configuration, uipb.Done, uipb.Fault to askers
//	stops     with the node
type configuration struct {
	c Configuring // fixed at spawn

	waiting waiting  // owned, as all that follows
	changes []change // in the order they came; if asked and not reading, the first is being stored
	reading bool     // what is stored is not known
	unsure  bool     // nor whether user interfaces were told of it
	asked   bool     // the store, which has not answered yet
	serial  uint64   // of the last question to the store
	timer   *tree.Timer
}

// change is one parameter to change, already checked.
type change struct {
	asker       *actor.PID
	member      uint64 // of asker's connection
	name, value string
}

type (
	// storeLate says that storeTimeout is over.
	storeLate struct{ serial uint64 }
	// readNow says that readAgain is over.
	readNow struct{ serial uint64 }
)

// IgnoreDeadLetterLogging marks messages that may find configuration stopped.
func (storeLate) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find configuration stopped.
func (readNow) IgnoreDeadLetterLogging() {}

// SpawnConfiguration starts the actor that answers configuration and
// setConfiguration, and applies what was stored before.
func SpawnConfiguration(ctx actor.SpawnerContext, c Configuring) *actor.PID {
	a := &configuration{c: c}
	// The count of questions outlives a restart: answers to older ones still come.
	return tree.Spawn(ctx, "configuration", tree.Spec{Asked: true, New: func() actor.Actor { return a }})
}

func (c *configuration) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		c.read(ctx)
	case *actor.Stopping:
		c.timer.Stop()
	case *actor.Restarting:
		c.onRestarting(ctx)
	case *uipb.Ask:
		c.onAsk(ctx, m)
	case *storepb.ReadResponse:
		c.onReadResponse(ctx, m)
	case *storepb.Written:
		c.onWritten(ctx, m)
	case *vaultpb.RevealResponse:
		c.onRevealed(ctx, m)
	case *faultpb.Failed:
		c.onLost(ctx, m.GetActor(), "it failed")
	case *actor.DeadLetterResponse:
		c.onLost(ctx, m.Target.GetId(), "it has stopped")
	case storeLate:
		c.onStoreLate(ctx, m)
	case readNow:
		c.onReadNow(ctx, m)
	}
}

// onRestarting leaves nobody waiting.
func (c *configuration) onRestarting(ctx actor.Context) {
	c.timer.Stop()
	c.unsure = c.unsure || c.asked && !c.reading
	c.asked = false
	c.refuseChanges(ctx, ui.Fault(ui.CodeUnknown, "The change failed inside of the Node; its log says why"))
	c.failReveals(ctx)
}

func (c *configuration) onAsk(ctx actor.Context, m *uipb.Ask) {
	switch opcode := m.GetRequest().GetOpcode(); opcode {
	case "configuration":
		c.reveal(ctx, m)
	case "setConfiguration":
		c.onSet(ctx, m)
	default:
		refuse(ctx, opcode)
	}
}

// onLost hears that who was asked will not answer.
func (c *configuration) onLost(ctx actor.Context, who, why string) {
	if c.c.Store.GetId() == who {
		c.onStoreLost(ctx, why)
	}
	if c.c.Safe.GetId() == who {
		c.failReveals(ctx)
	}
}

// reveal asks for the secrets that are part of a configuration.
func (c *configuration) reveal(ctx actor.Context, m *uipb.Ask) {
	c.waiting.add(ctx, m, func(serial uint64) {
		ctx.Request(c.c.Safe, &vaultpb.RevealRequest{
			Member: m.GetAsker().GetMember(), Password: passwordOf(m),
			Names: []string{SecretPastNeighbors}, Serial: serial,
		})
	})
}

func (c *configuration) onRevealed(ctx actor.Context, m *vaultpb.RevealResponse) {
	log := tree.Log(ctx.ActorSystem())
	for _, name := range m.GetCorrupt() {
		log.Error("ignored a secret that is damaged", slog.String("name", name))
	}
	c.waiting.answer(ctx, m.GetSerial(), func(w waiter) proto.Message {
		if m.GetError() != "" {
			log.Warn("secrets could not be read", slog.String("error", m.GetError()))
			return c.withoutSecrets(w, m.GetError())
		}
		return c.facts(m.GetSecrets())
	})
}

// failReveals answers all who wait for the safe.
func (c *configuration) failReveals(ctx actor.Context) {
	c.waiting.all(ctx, func(w waiter) proto.Message {
		return c.withoutSecrets(w, "The secrets could not be read; the log of the Node says why")
	})
}

// withoutSecrets is the answer when there are none to be had: an error only for
// who gave a password to see them.
func (c *configuration) withoutSecrets(w waiter, why string) proto.Message {
	if w.guess {
		return ui.Fault(ui.CodeRead, why)
	}
	return c.facts(nil)
}

func (c *configuration) facts(secrets []*vaultpb.Secret) *uipb.Configuration {
	out := proto.CloneOf(c.c.Facts())
	out.PastNeighbors = nil
	for _, s := range secrets {
		if s.GetName() == SecretPastNeighbors {
			out.PastNeighbors = strings.Fields(string(s.GetValue()))
		}
	}
	return out
}
