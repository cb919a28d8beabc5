package testkit

import (
	"container/heap"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
)

// restless is how many steps a Driver makes at one instant before it decides
// that the actors never come to rest.
const restless = 2_000_000

// patience is how often RunUntil looks at its condition while nothing is ready.
const patience = time.Millisecond

// doMost is how long Do waits, in fake time.
const doMost = 10 * time.Minute

// Driver is a tree.Driver that runs one thing at a time, in an order drawn from
// a seed: one message of one actor, one timer, one piece of slow work, one
// delivery of a Network. Everything else in the bubble (readers of sockets,
// HTTP servers) comes to rest between two steps, so that a seed has one history.
//
// A Driver belongs to one synctest bubble. Nothing runs unless the test calls
// Run, RunUntil or Settle, and these only on the bubble's first goroutine.
type Driver struct {
	seed uint64        // fixed, as all of this block
	wake chan struct{} // one token: something became ready while Run was waiting

	mu     sync.Mutex // guards what follows
	rng    *rand.Rand
	ready  map[string][]func() // by key, oldest first
	keys   []string            // of ready, sorted: the draw must not depend on who came first
	timers timerHeap
	seq    uint64 // timers set so far
	works  uint64 // pieces of slow work so far
	steps  int    // made so far
}

var _ tree.Driver = (*Driver)(nil)

// NewDriver returns the driver of a seed. It must be called inside the bubble
// that it will run.
func NewDriver(seed uint64) *Driver {
	return &Driver{
		seed: seed, wake: make(chan struct{}, 1), rng: rand.New(rand.NewPCG(seed, seed)),
		ready: map[string][]func(){},
	}
}

// Seed is what NewDriver was given.
func (d *Driver) Seed() uint64 { return d.seed }

// Steps is how many steps were made so far.
func (d *Driver) Steps() int { return d.steps }

// dispatcher runs one actor's mailbox, a message a step.
type dispatcher struct {
	driver *Driver
	id     string
}

// Schedule implements actor.Dispatcher.
func (p dispatcher) Schedule(fn func()) { p.driver.Post(p.id, fn) }

// Throughput implements actor.Dispatcher: one message, then another draw.
func (p dispatcher) Throughput() int { return 1 }

// Dispatcher implements tree.Driver.
func (d *Driver) Dispatcher(id string) actor.Dispatcher { return dispatcher{d, id} }

// Named is the Driver as one of several systems sees it: actors of the same name
// in two systems are told apart.
func (d *Driver) Named(system string) tree.Driver { return namedDriver{d, system + ":"} }

// namedDriver is a Driver whose actors have names of their own.
type namedDriver struct {
	*Driver
	prefix string
}

// Dispatcher implements tree.Driver.
func (n namedDriver) Dispatcher(id string) actor.Dispatcher {
	return dispatcher{n.Driver, n.prefix + id}
}

// Post makes f ready. Functions of one key run in the order they were posted,
// those of different keys in any order.
func (d *Driver) Post(key string, f func()) {
	d.mu.Lock()
	if _, ok := d.ready[key]; !ok {
		i, _ := slices.BinarySearch(d.keys, key)
		d.keys = slices.Insert(d.keys, i, key)
	}
	d.ready[key] = append(d.ready[key], f)
	d.mu.Unlock()
	d.rouse()
}

// rouse ends the waiting of Run.
func (d *Driver) rouse() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// Go implements tree.Driver: f is one more thing that is ready. It runs on its
// own goroutine and may block; the next step waits until it is done or blocked.
func (d *Driver) Go(f func()) {
	d.mu.Lock()
	d.works++
	key := "go/" + strconv.FormatUint(d.works, 10)
	d.mu.Unlock()
	d.Post(key, func() { go f() })
}

// After implements tree.Driver. Timers run in the order of their time and, at
// the same time, in the order they were set.
func (d *Driver) After(wait time.Duration, f func()) (stop func() bool) {
	d.mu.Lock()
	d.seq++
	t := &timer{at: time.Now().Add(wait), seq: d.seq, run: f}
	heap.Push(&d.timers, t)
	d.mu.Unlock()
	d.rouse()
	return func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		if t.run == nil {
			return false
		}
		heap.Remove(&d.timers, t.index)
		t.run = nil
		return true
	}
}

// next draws what runs now, among all that is ready and the first timer that is
// due; nil: nothing is.
func (d *Driver) next() func() {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := len(d.keys)
	if len(d.timers) > 0 && !d.timers[0].at.After(time.Now()) {
		n++
	}
	if n == 0 {
		return nil
	}
	d.steps++
	i := d.rng.IntN(n)
	if i == len(d.keys) {
		t := heap.Pop(&d.timers).(*timer)
		run := t.run
		t.run = nil
		return run
	}
	key := d.keys[i]
	fs := d.ready[key]
	if len(fs) == 1 {
		delete(d.ready, key)
		d.keys = slices.Delete(d.keys, i, i+1)
	} else {
		d.ready[key] = fs[1:]
	}
	return fs[0]
}

// Settle makes steps until nothing is ready. No time passes.
func (d *Driver) Settle() {
	for range restless {
		synctest.Wait() // all that the last step set in motion
		run := d.next()
		if run == nil {
			return
		}
		run()
	}
	panic("testkit: seed " + strconv.FormatUint(d.seed, 10) + ": the actors never come to rest")
}

// Run lets fake time pass, and makes every step that falls into it.
func (d *Driver) Run(span time.Duration) {
	end := time.Now().Add(span)
	for d.Settle(); time.Now().Before(end); d.Settle() {
		d.wait(end)
	}
}

// RunUntil is Run that ends as soon as done reports true, and reports whether
// it did. done may look at anything that actors write: they run on the same goroutine.
func (d *Driver) RunUntil(most time.Duration, done func() bool) bool {
	end := time.Now().Add(most)
	for d.Settle(); !done(); d.Settle() {
		if !time.Now().Before(end) {
			return false
		}
		d.wait(time.Now().Add(patience))
	}
	return true
}

// Do runs f beside the actors and makes their steps until it returns: for what
// waits for them, such as dialling.
func (d *Driver) Do(f func()) {
	var done atomic.Bool
	go func() {
		defer d.rouse()
		f()
		done.Store(true)
	}()
	if !d.RunUntil(doMost, done.Load) {
		panic("testkit: seed " + strconv.FormatUint(d.seed, 10) + ": waiting for the actors in vain")
	}
}

// wait sleeps until the next timer, until something becomes ready, or until end.
func (d *Driver) wait(end time.Time) {
	d.mu.Lock()
	if len(d.keys) > 0 { // whoever looked at a condition did more than that
		d.mu.Unlock()
		return
	}
	select {
	case <-d.wake: // of what has run already
	default:
	}
	if len(d.timers) > 0 && d.timers[0].at.Before(end) {
		end = d.timers[0].at
	}
	d.mu.Unlock()
	t := time.NewTimer(time.Until(end))
	defer t.Stop()
	select {
	case <-d.wake:
	case <-t.C:
	}
}

// timer is one pending After.
type timer struct {
	at    time.Time
	seq   uint64
	index int    // in the heap
	run   func() // nil: fired or stopped
}

// timerHeap implements heap.Interface, the next timer first.
type timerHeap []*timer

func (h timerHeap) Len() int { return len(h) }
func (h timerHeap) Less(i, j int) bool {
	return h[i].at.Before(h[j].at) || h[i].at.Equal(h[j].at) && h[i].seq < h[j].seq
}

func (h timerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *timerHeap) Push(x any) {
	t := x.(*timer)
	t.index = len(*h)
	*h = append(*h, t)
}

func (h *timerHeap) Pop() any {
	old := *h
	t := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return t
}

// drop forgets all timers: their actors are gone.
func (d *Driver) drop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.timers = nil
}
