package node

import (
	"fmt"
	"log/slog"
	"strings"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/actors/ui"
	"parley/messages/storepb"
	"parley/messages/uipb"
)

// maxChanges is how many changes wait for the store. A person makes one at a time.
const maxChanges = 256

// onSet checks a change, and has it stored when its turn comes.
func (c *configuration) onSet(ctx actor.Context, m *uipb.Ask) {
	s := m.GetRequest().GetSetConfiguration()
	value, problem, known := c.c.Check(s.GetName(), s.GetValue())
	switch {
	case !known:
		ctx.Respond(ui.Fault(ui.CodeUnknownName, fmt.Sprintf("No parameter %s can be changed while the Node runs; what the Node is started with is changed by setup", quote(s.GetName()))))
	case problem != "":
		ctx.Respond(ui.Fault(ui.CodeUnparsable, problem))
	case len(c.changes) == maxChanges:
		ctx.Respond(ui.Fault(ui.CodeTooMany, "Too many changes are waiting for the database; try again later"))
	default:
		c.changes = append(c.changes, change{ctx.Sender(), m.GetAsker().GetMember(), s.GetName(), value})
		c.next(ctx)
	}
}

// next has the oldest change stored, unless the store is at work already.
func (c *configuration) next(ctx actor.Context) {
	if c.asked || c.reading || len(c.changes) == 0 {
		return
	}
	w := c.changes[0]
	serial := c.begin(ctx)
	ctx.Request(c.c.Store, &storepb.Write{
		Puts: []*storepb.Record{{Key: configPrefix + w.name, Value: []byte(w.value)}}, Serial: serial,
	})
}

// read learns what is stored.
func (c *configuration) read(ctx actor.Context) {
	c.reading = true
	serial := c.begin(ctx)
	ctx.Request(c.c.Store, &storepb.ReadRequest{Prefix: configPrefix, Serial: serial})
}

// begin makes the number of a question to the store.
func (c *configuration) begin(ctx actor.Context) uint64 {
	c.serial++
	c.asked = true
	c.timer = tree.After(ctx, storeTimeout, storeLate{c.serial})
	return c.serial
}

// over notes an answer of the store; false: nobody waits for it.
func (c *configuration) over(serial uint64) bool {
	if !c.asked || serial != c.serial {
		return false
	}
	c.asked = false
	c.timer.Stop()
	return true
}

func (c *configuration) onReadResponse(ctx actor.Context, m *storepb.ReadResponse) {
	if !c.over(m.GetSerial()) {
		return
	}
	if m.GetError() != "" {
		c.unread(ctx, m.GetError())
		return
	}
	log := tree.Log(ctx.ActorSystem())
	for _, key := range m.GetCorrupt() {
		log.Error("ignored a stored parameter that is damaged", slog.String("name", strings.TrimPrefix(key, configPrefix)))
	}
	for _, r := range m.GetRecords() {
		c.take(log, strings.TrimPrefix(r.GetKey(), configPrefix), string(r.GetValue()))
	}
	c.reading = false
	if c.unsure {
		c.unsure = false
		c.announce(ctx, 0)
	}
	c.next(ctx)
}

// take applies a stored parameter. One that another version of the program left
// may mean nothing to this one.
func (c *configuration) take(log *slog.Logger, name, value string) {
	log = log.With(slog.String("name", name))
	value, problem, known := c.c.Check(name, value)
	switch {
	case !known:
		log.Warn("ignored a stored parameter that cannot be changed while the node runs")
	case problem != "":
		log.Warn("ignored a stored parameter", slog.String("problem", problem))
	default:
		log.Info("a stored parameter is in effect", slog.String("value", value))
		c.c.Apply(name, value)
	}
}

// unread goes on with what is in effect. Who waits for a change is not made to
// wait for longer.
func (c *configuration) unread(ctx actor.Context, why string) {
	tree.Log(ctx.ActorSystem()).Error("stored parameters could not be read", slog.String("error", why), slog.Duration("again", readAgain))
	c.refuseChanges(ctx, ui.Fault(ui.CodeRead, "The database could not be read: "+why+"; try again later"))
	c.timer = tree.After(ctx, readAgain, readNow{c.serial})
}

func (c *configuration) onReadNow(ctx actor.Context, m readNow) {
	if m.serial == c.serial && !c.asked {
		c.read(ctx)
	}
}

func (c *configuration) onWritten(ctx actor.Context, m *storepb.Written) {
	if !c.over(m.GetSerial()) {
		return
	}
	w := c.changes[0]
	if m.GetError() == "" {
		c.c.Apply(w.name, w.value)
		ctx.Send(w.asker, &uipb.Done{})
		c.announce(ctx, w.member)
	} else {
		ctx.Send(w.asker, ui.Fault(ui.CodeWrite, "The change was not stored: "+m.GetError()))
	}
	c.drop(1)
	c.next(ctx)
}

func (c *configuration) drop(n int) {
	clear(c.changes[:n])
	if c.changes = c.changes[n:]; len(c.changes) == 0 {
		c.changes = nil
	}
}

func (c *configuration) onStoreLate(ctx actor.Context, m storeLate) {
	if m.serial == c.serial {
		c.onStoreLost(ctx, "it did not answer within "+storeTimeout.String())
	}
}

// onStoreLost gives up a question. Whether the change was stored is then learned
// by reading.
func (c *configuration) onStoreLost(ctx actor.Context, why string) {
	if !c.over(c.serial) {
		return
	}
	if c.reading {
		c.unread(ctx, why)
		return
	}
	ctx.Send(c.changes[0].asker, ui.Fault(ui.CodeWrite, "It is not known whether the change was stored, the database gave no answer: "+why))
	c.drop(1)
	c.unsure = true
	c.read(ctx)
}

// refuseChanges answers all changes that wait.
func (c *configuration) refuseChanges(ctx actor.Context, f *uipb.Fault) {
	for _, w := range c.changes {
		ctx.Send(w.asker, f)
	}
	c.changes = nil
}

func (c *configuration) announce(ctx actor.Context, except uint64) {
	ctx.Send(c.c.Broadcasts, &uipb.Announce{
		Response: uipb.Broadcast("configurationChanged", &uipb.Done{}), Except: except, OptIn: true,
	})
}
