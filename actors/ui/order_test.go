package ui

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"parley/messages/uipb"
	"parley/testkit"
)

// The property test: so many seeds, each with so many requests.
const (
	orderSeeds    = 20
	orderRequests = 600 // 12,000 in all
	orderFaces    = 3
	orderContexts = 7 // of each face, more than it may have at a time
	orderTalks    = 5
	orderSlack    = 3 * time.Second // a worker that failed is restarted after at most this
	panicsApart   = 1200 * time.Millisecond
)

// asked is a request that a model waits for.
type asked struct {
	id      uint64
	opcode  string
	plan    plan
	refused string // what it is answered without being asked of a worker; empty: it is
}

// model says what faces may hear within their conversations.
type model struct {
	w        *world
	rng      *rand.Rand
	all      map[*face]map[uint64][]*asked // in order
	done     map[*face]map[uint64]int      // how many of them are answered
	sent     int
	contexts map[string]uint64    // of requests, by their number
	last     map[string]time.Time // when a worker was last made to fail
	seen     map[string]int       // outcomes
}

func (m *model) connect() *face {
	f := m.w.connect()
	if m.rng.IntN(4) == 0 {
		f.peer.Changes = false
	}
	m.all[f], m.done[f] = map[uint64][]*asked{}, map[uint64]int{}
	f.onHear = func(r *uipb.Response) { m.onHear(f, r) }
	m.w.d.Settle()
	return f
}

// draw makes a request up.
func (m *model) draw(f *face) *asked {
	a := &asked{opcode: pick(m.rng, "do", "do", "do", "quick", "quick", "change", "bye", "dead", "nonsense", "alone")}
	switch {
	case a.opcode == "dead":
		a.refused = "unknown"
	case a.opcode == "nonsense" || a.opcode == "alone":
		a.refused = "unmarshal"
	case a.opcode == "change" && !f.peer.GetChanges():
		a.refused = "not permitted"
	}
	a.plan.kind = pick(m.rng, "ok", "ok", "ok", "ok", "fault", "silent", "panic", "answer, panic", "answer, failed", "bomb", "odd", "redirect", "undelivered")
	if m.rng.IntN(3) == 0 {
		a.plan.after = time.Duration(m.rng.IntN(400)) * time.Millisecond
	}
	if m.rng.IntN(10) == 0 {
		a.plan.after = time.Duration(m.rng.IntN(40)) * time.Second
	}
	if a.plan.kind == "panic" || a.plan.kind == "answer, panic" {
		a.plan.after = 0
		// More often, and its supervisor gives up.
		if key := a.worker(); time.Since(m.last[key]) < panicsApart {
			a.plan.kind = "ok"
		} else {
			m.last[key] = time.Now()
		}
	}
	return a
}

func (a *asked) worker() string {
	if a.opcode == "quick" {
		return "quick"
	}
	return "do"
}

func pick[T any](rng *rand.Rand, of ...T) T { return of[rng.IntN(len(of))] }

// ask sends a request that was made up.
func (m *model) ask(f *face) {
	c, a := uint64(m.rng.IntN(orderContexts)), m.draw(f)
	m.all[f][c] = append(m.all[f][c], a)
	a.id = f.talk(c, a.opcode, a.plan)
	m.contexts[strconv.FormatUint(a.id, 10)] = c
	m.sent++
}

// onHear finds the request that a face is answered: the oldest of its context.
func (m *model) onHear(f *face, r *uipb.Response) {
	context := r.GetContext()
	switch b := r.GetBody().(type) {
	case *uipb.Response_Redirect:
		context = b.Redirect.GetContext()
	case *uipb.Response_Undelivered:
		context = m.contexts[b.Undelivered.GetOpcode()]
	}
	all, at := m.all[f][context], m.done[f][context]
	if at == len(all) {
		m.w.t.Errorf("%d heard %q in %d and asked nothing more", f.member, spoken(r), context)
		return
	}
	a := all[at]
	m.done[f][context] = at + 1
	if !a.allows(r, m.before(f, context, at)) {
		m.w.t.Errorf("%d heard %q in %d for %+v, behind %+v", f.member, spoken(r), context, a, m.before(f, context, at))
	}
	m.seen[codeName(r.GetFault().GetCode())]++
}

// before is the request before, nil if there was none. Those that the conversation
// refuses itself take no time: a failure of the one before may come behind them.
func (m *model) before(f *face, context uint64, at int) *asked {
	for at--; at >= 0; at-- {
		if a := m.all[f][context][at]; a.refused == "" {
			return a
		}
	}
	return nil
}

// allows says whether a request may be answered so.
func (a *asked) allows(r *uipb.Response, before *asked) bool {
	got, id := "", strconv.FormatUint(a.id, 10)
	if r.GetFault() != nil {
		got = codeName(r.GetFault().GetCode())
	}
	timeout := timeoutDo
	if a.opcode == "quick" {
		timeout = timeoutQuick
	}
	switch {
	case got == "too many":
		return true
	case a.refused != "":
		return got == a.refused
	case got == "timeout":
		return a.plan.kind == "silent" || a.plan.after > timeout-orderSlack
	case got == "unknown" && before != nil && strings.HasPrefix(before.plan.kind, "answer, "):
		return true // it cannot be told whose failure it was
	case a.plan.after > timeout:
		return false
	}
	switch a.plan.kind {
	case "ok", "answer, panic", "answer, failed":
		return r.GetDescriptor_().GetDescriptor_() == id
	case "fault":
		return got == "write" && r.GetFault().GetMessage() == id
	case "panic", "bomb", "odd":
		return got == "unknown"
	case "redirect":
		return string(r.GetRedirect().GetPayload()) == id
	case "undelivered":
		return r.GetUndelivered().GetOpcode() == id
	}
	return false
}

// settled checks what must hold when nothing is under way.
func (m *model) settled() {
	for f, contexts := range m.all {
		if f.gone {
			continue
		}
		f.settledUp()
		for c, all := range contexts {
			if m.done[f][c] < len(all) {
				m.w.t.Errorf("%d was not answered %+v in %d", f.member, all[m.done[f][c]], c)
			}
		}
	}
}

// TestOrder sends thousands of requests, many to a conversation at once, to
// actors that are late, silent, or fail, in conversations that fail themselves,
// end because they are idle, and make room for each other. Each request gets
// one answer, its own, in its turn.
func TestOrder(t *testing.T) {
	seen := map[string]int{}
	testkit.Seeds(t, orderSeeds, func(t *testing.T, d *testkit.Driver) {
		w := newWorld(lenientTB{t}, d, setup{shards: 2, talks: orderTalks, options: []testkit.SystemOption{anyFailures}})
		m := &model{
			w: w, rng: rand.New(rand.NewPCG(d.Seed(), 7)), seen: seen, last: map[string]time.Time{}, contexts: map[string]uint64{},
			all: map[*face]map[uint64][]*asked{}, done: map[*face]map[uint64]int{},
		}
		var faces []*face
		for range orderFaces {
			faces = append(faces, m.connect())
		}
		for m.sent < orderRequests {
			for range 1 + m.rng.IntN(5) {
				if f := pick(m.rng, faces...); f.held < 64 { // as a link reads on
					m.ask(f)
				}
			}
			switch n := m.rng.IntN(100); {
			case n < 40: // more, before anything happens
			case n < 60:
				d.Settle()
			case n < 90:
				d.Run(time.Duration(m.rng.IntN(3000)) * time.Millisecond)
			case n < 95:
				d.Run(time.Duration(m.rng.IntN(60)) * time.Second)
			case n < 97:
				d.Run(DefaultIdle + time.Minute)
			case n < 99:
				i := m.rng.IntN(len(faces))
				faces[i].hangUp()
				faces[i] = m.connect()
			}
		}
		d.Run(10 * time.Minute) // whatever takes long
		m.settled()
		if left := w.below(w.clients); len(left) != orderFaces {
			t.Errorf("left are %v", left)
		}
		w.stop()
	})
	for _, want := range []string{"0", "timeout", "unknown", "too many", "unmarshal", "not permitted", "write"} {
		if seen[want] == 0 {
			t.Errorf("nobody was ever answered %q: %v", want, seen)
		}
	}
	t.Log(seen)
}
