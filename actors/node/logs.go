package node

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/uipb"
)

const (
	logRate  = 200         // lines a second that are broadcast for long
	logBurst = 2 * logRate // lines at once
	logPause = time.Second // without lines, once there were too many; and until what is missing is told
	logQueue = 256 << 10   // bytes of lines that wait
)

// logs broadcasts log lines to user interfaces, not more of them than are good
// for anybody: after too many it is silent for a second, and then says how many
// were left out. Lines that only some asked for have a rate of their own. It
// must not log anything itself. Source: gateways/uiv2/PROTOCOL.md, logBroadcast.
//
//	parent    node
//	receives  uipb.LogLine, noteDue
//	sends     uipb.Announce to broadcasts
//	stops     with the node
type logs struct {
	broadcasts *actor.PID // fixed at spawn

	lanes [laneCount]lane // owned
}

// lane is a kind of lines with a rate of its own.
type lane struct {
	level   uipb.LogLevel // of notes, the lines that say how many were left out
	tokens  float64       // lines that may be broadcast now
	at      time.Time     // of tokens
	note    *tree.Timer   // until the next one; nil: nothing is missing
	silent  bool          // nothing is broadcast before it
	dropped int           // lines, since the last note
	refused atomic.Int64  // lines, since the last note; any goroutine adds what did not fit into the queue
}

const (
	laneAll    = iota // Error, Warn and Info, which all are told
	laneChosen        // Debug and Trace
	laneCount
)

// noteDue says that it is time for a lane's note.
type noteDue struct{ lane int }

// IgnoreDeadLetterLogging marks messages that may find logs stopped.
func (noteDue) IgnoreDeadLetterLogging() {}

// SpawnLogs starts the actor that broadcasts each uipb.LogLine.
func SpawnLogs(ctx actor.SpawnerContext, broadcasts *actor.PID) *actor.PID {
	l := &logs{broadcasts: broadcasts}
	l.lanes[laneAll] = lane{level: uipb.LogLevel_LOG_LEVEL_WARN, tokens: logBurst}
	l.lanes[laneChosen] = lane{level: uipb.LogLevel_LOG_LEVEL_DEBUG, tokens: logBurst}
	// What is missing outlives a restart, and so do its timers.
	return tree.Spawn(ctx, "logs", tree.Spec{New: func() actor.Actor { return l }, Limit: logQueue, Refused: l.refuse})
}

func (l *logs) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Stopping:
		for i := range l.lanes {
			l.lanes[i].note.Stop()
		}
	case *uipb.LogLine:
		l.onLine(ctx, m)
	case noteDue:
		l.onNoteDue(ctx, m)
	}
}

// refuse counts a line that did not fit into the queue. It runs on the goroutine
// that logged it.
func (l *logs) refuse(msg any) {
	if m, ok := msg.(*uipb.LogLine); ok {
		l.lanes[laneOf(m)].refused.Add(1)
	}
}

func laneOf(m *uipb.LogLine) int {
	if m.GetLevel() > uipb.LogLevel_LOG_LEVEL_INFO {
		return laneChosen
	}
	return laneAll
}

func (l *logs) onLine(ctx actor.Context, m *uipb.LogLine) {
	w := &l.lanes[laneOf(m)]
	switch {
	case w.silent:
		w.dropped++
	case w.take():
		l.announce(ctx, m)
	default:
		w.silent = true
		w.dropped++
	}
	for i := range l.lanes { // what did not fit behind this line may be of another lane
		w := &l.lanes[i]
		if w.note == nil && (w.silent || w.refused.Load() > 0) {
			w.note = tree.After(ctx, logPause, noteDue{i})
		}
	}
}

// take uses up a token, if there is one.
func (w *lane) take() bool {
	now := time.Now()
	if !w.at.IsZero() {
		w.tokens = min(logBurst, w.tokens+now.Sub(w.at).Seconds()*logRate)
	}
	w.at = now
	if w.tokens < 1 {
		return false
	}
	w.tokens--
	return true
}

// onNoteDue says how many lines are missing, and goes on.
func (l *logs) onNoteDue(ctx actor.Context, m noteDue) {
	w := &l.lanes[m.lane]
	n := w.dropped + int(w.refused.Swap(0))
	w.note, w.silent, w.dropped = nil, false, 0
	text := "1 log line was not broadcast"
	if n != 1 {
		text = fmt.Sprintf("%d log lines were not broadcast", n)
	}
	w.take()
	l.announce(ctx, &uipb.LogLine{Level: w.level, Text: text})
}

func (l *logs) announce(ctx actor.Context, m *uipb.LogLine) {
	ctx.Send(l.broadcasts, &uipb.Announce{Response: uipb.Broadcast("logBroadcast", m), Lossy: true})
}
