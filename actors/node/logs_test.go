package node

import (
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/messages/uipb"
	"parley/testkit"
)

// reporter is a world with logs.
type reporter struct {
	*world
	logs *actor.PID
}

func onLogs(t *testing.T, seeds uint64, test func(t *testing.T, r *reporter), opts ...testkit.SystemOption) {
	testkit.Seeds(t, seeds, func(t *testing.T, d *testkit.Driver) {
		r := &reporter{}
		r.world = newWorld(t, d, func(w *world, ctx actor.Context) { r.logs = SpawnLogs(ctx, w.broadcasts) }, opts...)
		test(t, r)
		r.stop()
	})
}

// says logs n lines of a level.
func (r *reporter) says(n int, level uipb.LogLevel) {
	for range n {
		r.sys.Root.Send(r.logs, &uipb.LogLine{Level: level, Text: "hello"})
	}
	r.d.Settle()
}

// brief is what was announced since the last time: so many lines of a level, or
// the text of one that says what is missing.
func (r *reporter) brief() (out []string) {
	r.t.Helper()
	r.d.Settle()
	last, n := "", 0
	flush := func() {
		if n > 0 {
			out = append(out, fmt.Sprintf("%d %s", n, last))
		}
		n = 0
	}
	for _, a := range r.announced {
		m := a.GetResponse().GetLog()
		if a.GetResponse().GetOpcode() != "logBroadcast" || !a.GetLossy() || a.GetOptIn() || a.GetExcept() != 0 || a.GetRetainMs() != 0 {
			r.t.Errorf("announced %v", a)
		}
		level := strings.ToLower(strings.TrimPrefix(m.GetLevel().String(), "LOG_LEVEL_"))
		if m.GetText() != "hello" {
			flush()
			out = append(out, level+": "+m.GetText())
			continue
		}
		if level != last {
			flush()
			last = level
		}
		n++
	}
	flush()
	r.announced = nil
	return out
}

func (r *reporter) wants(want ...string) {
	r.t.Helper()
	if got := r.brief(); !slices.Equal(got, want) {
		r.t.Errorf("announced %q, want %q", got, want)
	}
}

const (
	levelError = uipb.LogLevel_LOG_LEVEL_ERROR
	levelWarn  = uipb.LogLevel_LOG_LEVEL_WARN
	levelInfo  = uipb.LogLevel_LOG_LEVEL_INFO
	levelDebug = uipb.LogLevel_LOG_LEVEL_DEBUG
	levelTrace = uipb.LogLevel_LOG_LEVEL_TRACE
)

func TestLogs(t *testing.T) {
	onLogs(t, 3, func(_ *testing.T, r *reporter) {
		r.says(2, levelError)
		r.says(1, levelWarn)
		r.says(3, levelInfo)
		r.says(1, levelDebug)
		r.says(1, levelTrace)
		r.wants("2 error", "1 warn", "3 info", "1 debug", "1 trace")
	})
}

// TestLogsAreTooMany: a burst goes through, then there is a second of silence,
// and a word about it.
func TestLogsAreTooMany(t *testing.T) {
	onLogs(t, 3, func(_ *testing.T, r *reporter) {
		r.says(logBurst, levelInfo)
		r.wants("400 info")
		r.says(1, levelError)
		r.d.Run(logPause - time.Millisecond)
		r.says(2, levelInfo)
		r.wants()
		r.d.Run(time.Millisecond)
		r.wants("warn: 3 log lines were not broadcast")
		r.says(logRate, levelInfo) // the word was one, too
		r.wants("199 info")
		r.d.Run(logPause)
		r.wants("warn: 1 log line was not broadcast")
		r.d.Run(time.Minute)
		r.says(logBurst, levelInfo)
		r.wants("400 info")
		r.d.Run(time.Minute)
		r.wants()
	})
}

// TestLogsAtTheirRate for an hour: nothing is missing.
func TestLogsAtTheirRate(t *testing.T) {
	onLogs(t, 1, func(_ *testing.T, r *reporter) {
		for range 100 {
			r.says(logRate/10, levelInfo)
			r.d.Run(time.Second / 10)
		}
		r.wants(fmt.Sprint(100*logRate/10, " info"))
	})
}

// TestChosenLogsDisplaceNothing: who wants every trace does not cost the others
// an error.
func TestChosenLogsDisplaceNothing(t *testing.T) {
	onLogs(t, 3, func(_ *testing.T, r *reporter) {
		for range 10 {
			r.says(logBurst, levelTrace)
		}
		r.says(1, levelDebug)
		r.says(2, levelError)
		r.wants("400 trace", "2 error")
		r.d.Run(logPause)
		r.wants("debug: 3601 log lines were not broadcast")
	})
}

// TestLogsQueueIsFull: what does not fit is counted, each kind for itself.
func TestLogsQueueIsFull(t *testing.T) {
	onLogs(t, 3, func(_ *testing.T, r *reporter) {
		big := strings.Repeat("x", maxLogLine)
		send := func(n int, level uipb.LogLevel, text string) {
			for range n {
				r.sys.Root.Send(r.logs, &uipb.LogLine{Level: level, Text: text})
			}
		}
		fit := logQueue / (maxLogLine + 128)
		send(fit+5, levelInfo, big)
		send(3, levelTrace, big)
		r.d.Settle()
		if len(r.announced) != fit {
			t.Errorf("announced %d lines, want %d", len(r.announced), fit)
		}
		r.announced = nil
		r.d.Run(logPause - time.Millisecond)
		r.says(1, levelError) // nothing is silent
		r.wants("1 error")
		r.d.Run(time.Millisecond)
		got := r.brief()
		slices.Sort(got)
		if want := []string{"debug: 3 log lines were not broadcast", "warn: 5 log lines were not broadcast"}; !slices.Equal(got, want) {
			t.Errorf("announced %q, want %q", got, want)
		}
		r.says(1, levelInfo)
		r.d.Run(time.Minute)
		r.wants("1 info")
	})
}

func TestLogsRestart(t *testing.T) {
	onLogs(t, 3, func(_ *testing.T, r *reporter) {
		r.says(logBurst+7, levelInfo)
		r.restart(r.logs)
		r.says(1, levelInfo)
		r.wants("400 info")
		r.d.Run(logPause)
		r.wants("warn: 8 log lines were not broadcast")
		r.says(logBurst, levelInfo)
	}) // and stops while it is silent
}

// TestLogsInAnyRhythm: in every stretch of time at most what the rate allows is
// broadcast, and each line is broadcast or counted.
func TestLogsInAnyRhythm(t *testing.T) {
	onLogs(t, 30, func(t *testing.T, r *reporter) {
		rng := rand.New(rand.NewPCG(r.d.Seed(), 2))
		begin := time.Now()
		var heard []time.Duration // when each line was
		said, told := 0, 0
		listen := func() {
			for _, a := range r.announced {
				heard = append(heard, time.Since(begin))
				n := 0
				if text := a.GetResponse().GetLog().GetText(); text == "hello" {
					told++
				} else if _, err := fmt.Sscanf(text, "%d log line", &n); err == nil {
					told += n
				}
			}
			r.announced = nil
		}
		for range 60 {
			n := rng.IntN(rng.IntN(900) + 1)
			r.says(n, levelInfo)
			said += n
			listen()
			r.d.Run(time.Duration(rng.IntN(1500)) * time.Millisecond)
			listen()
		}
		r.d.Run(2 * logPause)
		listen()
		if told != said {
			t.Errorf("told of %d lines of %d", told, said)
		}
		for i := 0; i < len(heard); i += 50 {
			for j := i; j < len(heard); j += 50 {
				most := logBurst + int(math.Ceil((heard[j]-heard[i]).Seconds()*logRate))
				if j-i+1 > most+1 {
					t.Fatalf("%d lines from %v to %v, at most %d are allowed", j-i+1, heard[i], heard[j], most)
				}
			}
		}
	})
}

// TestLogsOfLogs has the system's own log broadcast: what happens while a line
// is must not make another one.
func TestLogsOfLogs(t *testing.T) {
	onLogs(t, 3, func(t *testing.T, r *reporter) {
		tee := NewTee(slog.DiscardHandler)
		tee.Attach(r.sys.Root, r.logs)
		tee.Demand(levelTrace)
		record(tee, slog.LevelInfo, "hello")
		record(tee, slog.LevelDebug-8, "hello")
		r.wants("1 info", "1 trace")
		for range 3 * logBurst {
			record(tee, slog.LevelError, "hello")
			r.d.Settle()
		}
		r.wants("399 error")
		r.d.Run(logPause)
		r.wants("warn: 801 log lines were not broadcast")
		r.d.Run(time.Hour)
		r.wants()
		r.sys.Root.Stop(r.logs)
		r.d.Settle()
		record(tee, slog.LevelError, "hello") // nobody is there any more
		r.wants()
		tee.Attach(nil, nil)
		record(tee, slog.LevelError, "hello")
	})
}
