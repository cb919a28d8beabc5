package ui

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"parley/messages/uipb"
	"parley/testkit"
)

// rapidTB lets testkit fail a rapid test.
type rapidTB struct {
	testing.TB
	rt *rapid.T
}

func (b rapidTB) Cleanup(f func())                  { b.rt.Cleanup(f) }
func (b rapidTB) Error(args ...any)                 { b.rt.Error(args...) }
func (b rapidTB) Errorf(format string, args ...any) { b.rt.Errorf(format, args...) }
func (b rapidTB) Fatal(args ...any)                 { b.rt.Fatal(args...) }
func (b rapidTB) Fatalf(format string, args ...any) { b.rt.Fatalf(format, args...) }
func (b rapidTB) Failed() bool                      { return b.rt.Failed() }
func (b rapidTB) Helper()                           {}
func (b rapidTB) Logf(string, ...any)               {}

// wish is what one user interface asked to be told, said in another way than
// listener does: by what it asked for, in order.
type wish struct {
	f     *face
	asked []*uipb.SubscribeRequest
	less  []bool // it was to unsubscribe
	want  []string
}

// tells says whether an announcement is for it.
func (x *wish) tells(opcode string, optIn bool, level uipb.LogLevel) bool {
	chosen, named, least := false, map[string]int{}, uipb.LogLevel_LOG_LEVEL_INFO
	for i, s := range x.asked {
		if x.less[i] && len(s.GetOpcodes()) == 0 {
			chosen, named, least = false, map[string]int{}, uipb.LogLevel_LOG_LEVEL_INFO
			continue
		}
		if !x.less[i] && !chosen {
			chosen, named = true, map[string]int{}
		}
		for _, o := range s.GetOpcodes() {
			named[o] = map[bool]int{true: -1, false: 1}[x.less[i]]
		}
		if l := levels[s.GetMinLogLevel()]; !x.less[i] && l != 0 {
			least = l
		}
	}
	if opcode == opcodeLog && level > least {
		return false
	}
	if chosen {
		return named[opcode] == 1
	}
	return !optIn && named[opcode] != -1
}

var broadcastNames = []string{"a", "b", opcodeLog}

// TestBroadcastsLikeAModel lets user interfaces come, go, subscribe, and hear.
func TestBroadcastsLikeAModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rapid.SyncTest(rt, func(rt *rapid.T) {
			m := &wishes{w: newWorld(rapidTB{t, rt}, testkit.NewDriver(rapid.Uint64().Draw(rt, "seed")), setup{
				shards: rapid.IntRange(1, 3).Draw(rt, "shards"),
			})}
			rt.Repeat(map[string]func(*rapid.T){
				"connect": m.connect, "hang up": m.hangUp, "subscribe": m.subscribe, "announce": m.announce, "wait": m.wait, "": m.check,
			})
			m.w.stop()
		})
	})
}

type wishes struct {
	w        *world
	all      []*wish
	retained []retained
	said     uint32
}

func (m *wishes) draw(rt *rapid.T) *wish {
	if len(m.all) == 0 {
		rt.Skip("nobody is there")
	}
	return rapid.SampledFrom(m.all).Draw(rt, "who")
}

func (m *wishes) connect(*rapid.T) {
	x := &wish{f: m.w.face()}
	for _, r := range m.retained {
		if !time.Now().After(r.until) {
			m.expect(x, r.announce)
		}
	}
	m.all = append(m.all, x)
}

func (m *wishes) hangUp(rt *rapid.T) {
	x := m.draw(rt)
	x.f.hangUp()
	m.all = slices.DeleteFunc(m.all, func(o *wish) bool { return o == x })
	m.w.d.Settle()
}

func (m *wishes) subscribe(rt *rapid.T) {
	x, less := m.draw(rt), rapid.Bool().Draw(rt, "less")
	s := &uipb.SubscribeRequest{
		Opcodes:     rapid.SliceOfN(rapid.SampledFrom(broadcastNames), 0, 3).Draw(rt, "opcodes"),
		MinLogLevel: rapid.SampledFrom([]string{"", "Error", "Info", "Trace", "Loud"}).Draw(rt, "level"),
	}
	x.asked, x.less = append(x.asked, s), append(x.less, less)
	x.want = append(x.want, "99 done")
	x.f.subscribe(map[bool]string{true: "unsubscribe", false: "subscribe"}[less], s.GetMinLogLevel(), s.GetOpcodes()...)
	m.w.d.Settle()
}

func (m *wishes) announce(rt *rapid.T) {
	m.said++
	a := announce(rapid.SampledFrom(broadcastNames).Draw(rt, "opcode"), m.said)
	if a.GetResponse().GetOpcode() == opcodeLog {
		a = logged(uipb.LogLevel(rapid.IntRange(1, 5).Draw(rt, "level")), fmt.Sprint(m.said))
	}
	a.OptIn = rapid.Bool().Draw(rt, "opt in")
	if len(m.all) > 0 && rapid.Bool().Draw(rt, "except") {
		a.Except = m.draw(rt).f.member
	}
	if rapid.Bool().Draw(rt, "retain") {
		a.RetainMs = 1000
		m.retained = append(m.retained, retained{a, time.Now().Add(time.Second)})
	}
	for _, x := range m.all {
		if x.f.member != a.GetExcept() {
			m.expect(x, a)
		}
	}
	m.w.tell(a)
}

func (m *wishes) expect(x *wish, a *uipb.Announce) {
	if r := a.GetResponse(); x.tells(r.GetOpcode(), a.GetOptIn(), r.GetLog().GetLevel()) {
		text := spoken(r)
		if a.GetLossy() {
			text += " (lossy)"
		}
		x.want = append(x.want, text)
	}
}

func (m *wishes) wait(rt *rapid.T) {
	m.w.d.Run(time.Duration(rapid.IntRange(1, 700).Draw(rt, "ms")) * time.Millisecond)
}

func (m *wishes) check(rt *rapid.T) {
	synctest.Wait()
	least := uipb.LogLevel_LOG_LEVEL_INFO
	for _, x := range m.all {
		if !slices.Equal(x.f.heard, x.want) {
			rt.Fatalf("%d heard %q, want %q", x.f.member, x.f.heard, x.want)
		}
		for l := least; l <= uipb.LogLevel_LOG_LEVEL_TRACE; l++ {
			if x.tells(opcodeLog, true, l) {
				least = l
			}
		}
	}
	if n := len(m.w.demanded); n > 0 && m.w.demanded[n-1] != least || n == 0 && least != uipb.LogLevel_LOG_LEVEL_INFO {
		rt.Fatalf("demanded %v, want %v", m.w.demanded, least)
	}
}
