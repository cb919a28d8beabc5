package enclave

import (
	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/enclavepb"
)

// Limits of what waits for an actor of this package, in bytes. What is asked is
// refused, so that whoever asks knows; what people are told and what is kept of our
// own words is lost, and counted. What peers say has no limit there: its sender,
// friend, has one, see weigh, because it must not get lost once it was read.
const (
	frontendsMailbox = 32 << 20
	chronicleMailbox = 32 << 20
)

// progressBytes is the weight of a change of delivery.
const progressBytes = 200

// Bytes implements messages.Load.
func (m *told) Bytes() int { return m.event.Bytes() }

// Bytes implements messages.Load.
func (m *toldAll) Bytes() int { return m.events.Bytes() }

// Bytes implements messages.Load.
func (m *ours) Bytes() int { return m.said.weight() }

// Bytes implements messages.Load.
func (m *progressed) Bytes() int { return progressBytes }

// saidBytes is the weight of what was said without its text, with all that is made
// of it until it is stored.
const saidBytes = 1 << 10

// weight is the memory that it holds, roughly.
func (m *said) weight() int { return saidBytes + len(m.entry.GetMessage()) + len(m.extra) }

// refuseLoads answers commands that an actor has no room for, and counts what else
// it loses.
func refuseLoads(sys *actor.ActorSystem) func(msg any) {
	refuse, metrics := refuseAsked(sys), tree.Of(sys)
	lost := historyLost(metrics)
	return func(msg any) {
		_, content, from := actor.UnwrapEnvelope(msg)
		switch m := content.(type) {
		case *enclavepb.Command:
			metrics.Drop(tree.MailboxFull, 1)
			if from != nil {
				sys.Root.Send(from, refused(&asked{command: m}, reasonBusy))
			}
		case *toldAll:
			metrics.Drop(tree.MailboxFull, len(m.events.GetEvents()))
			for _, n := range m.notes { // nobody waits for ever
				sys.Root.Send(n.to, n.m)
			}
		case *ours:
			lost.Add(1)
			metrics.Drop(tree.MailboxFull, 1)
		default:
			refuse(msg)
		}
	}
}

// historyLost counts what was not kept of conversations.
func historyLost(m *tree.Metrics) *tree.Counter {
	return m.Counter("enclave_history_lost_total", "Entries of conversations that were not kept.", "", "")
}
