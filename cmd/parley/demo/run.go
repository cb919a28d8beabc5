package demo

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"parley/cmd/parley/fleet"
)

// demo is a running one.
type demo struct {
	o       *Options
	fleet   *fleet.Fleet
	clients []*client
	out     *printer
	wanted  map[int]bool // nodes that are to run, by number
	parted  []fleet.Edge // links that were cut, and are healed, and not up yet
}

// redial is the longest that a node waits before it dials a neighbor again, for
// people: half a minute, give or take a fifth.
const redial = "36 s"

// run is all of it, until the context ends or somebody has had enough.
func run(ctx context.Context, o *Options, in io.Reader, out io.Writer) (err error) {
	f, err := fleet.New(fleet.Options{
		Nodes: o.Nodes, Shape: o.Shape, Doors: true, UI: true, Free: o.Free, HighLatency: time.Second, Args: []string{"--log-level", "info"},
	})
	if err != nil {
		return err
	}
	d := &demo{o: o, fleet: f, out: &printer{w: out, json: o.JSON}, wanted: map[int]bool{}}
	defer func() {
		if left := d.fleet.Close(); left != nil && err == nil && d.out.err == nil {
			err = left
		}
	}()
	if err := f.Start(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	for _, n := range f.Nodes {
		d.wanted[n.Number] = true
		d.clients = append(d.clients, &client{node: n, o: o, last: map[string]uint64{}})
	}
	d.out.begin(f, os.Args[0], o.Channel)
	return d.watch(ctx, in)
}

// watch prints once a second, and does what it is told.
func (d *demo) watch(ctx context.Context, in io.Reader) error {
	talking, hush := context.WithCancel(ctx)
	var all sync.WaitGroup
	defer all.Wait()
	defer hush()
	for _, c := range d.clients {
		all.Go(func() { c.run(talking) })
	}
	lines := listen(talking, in)
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for d.out.err == nil {
		select {
		case <-ctx.Done():
			d.out.say("ending all nodes")
			return nil
		case line, more := <-lines:
			if !more {
				lines = nil // nobody says anything any more; Ctrl-C still ends it
				continue
			}
			if d.obey(ctx, line) {
				d.out.say("ending all nodes")
				return nil
			}
		case now := <-t.C:
			d.missing()
			d.mended()
			d.out.second(now, d.fleet, d.clients)
		}
	}
	return d.out.err
}

// missing tells of nodes that have ended by themselves.
func (d *demo) missing() {
	for _, n := range d.fleet.Nodes {
		if _, runs := n.Place(); !runs && d.wanted[n.Number] {
			d.wanted[n.Number] = false
			d.out.say(fmt.Sprintf("%s has ended; its log is %s; start %d starts it again", n.Name, n.Log, n.Number))
		}
	}
}

// mended tells of links that are up again.
func (d *demo) mended() {
	open, cut := d.fleet.Links()
	d.parted = slices.DeleteFunc(d.parted, func(e fleet.Edge) bool {
		up := slices.Contains(open, e)
		if up {
			d.out.say(e.String() + " is up again")
		}
		return up || slices.Contains(cut, e)
	})
}

// obey does what a line says; true: that was all.
func (d *demo) obey(ctx context.Context, line string) (quit bool) {
	w, err := parse(line, len(d.fleet.Nodes))
	if err != nil {
		d.out.say(err.Error())
		return false
	}
	switch w.verb {
	case "":
	case "quit":
		return true
	case "help":
		d.out.say(help)
	case "links":
		d.links()
	case "cut":
		d.each(w, d.fleet.Cut)
		d.out.say(strings.TrimSpace(line) + ": done")
	case "heal":
		d.heal(w)
		d.out.say(strings.TrimSpace(line) + ": they may link again, and dial at the latest within " + redial)
	default:
		d.process(ctx, w.verb, d.fleet.Nodes[w.nodes[0]-1])
	}
	return false
}

// each calls f for the links that a command means: of two nodes, or all of one.
func (d *demo) each(w word, f func(fleet.Edge)) {
	for a := range d.fleet.Nodes {
		for b := range a {
			if e := fleet.NewEdge(a+1, b+1); w.of(e) {
				f(e)
			}
		}
	}
}

// heal undoes cuts; for two nodes it lets them link in any case.
func (d *demo) heal(w word) {
	_, before := d.fleet.Links()
	defer func() {
		_, cut := d.fleet.Links()
		for _, e := range before {
			if !slices.Contains(cut, e) && !slices.Contains(d.parted, e) {
				d.parted = append(d.parted, e)
			}
		}
	}()
	switch len(w.nodes) {
	case 0:
		d.fleet.HealAll()
	case 1:
		_, cut := d.fleet.Links()
		for _, e := range cut {
			if w.of(e) {
				d.fleet.Heal(e)
			}
		}
	default:
		d.each(w, d.fleet.Heal)
	}
}

// process starts or ends a node.
func (d *demo) process(ctx context.Context, verb string, n *fleet.Node) {
	place, runs := n.Place()
	switch {
	case verb == "start" && runs:
		d.out.say(n.Name + " runs already: " + address(place))
		return
	case verb != "start" && !runs:
		d.out.say(fmt.Sprintf("%s does not run; start %d starts it", n.Name, n.Number))
		return
	}
	d.wanted[n.Number] = verb == "start"
	var err error
	what := n.Name + " was killed"
	switch verb {
	case "start":
		err = n.Start(ctx)
		place, _ = n.Place()
		what = n.Name + " runs again: " + address(place)
	case "stop":
		err = n.Stop()
		what = n.Name + " has ended in order"
	default:
		n.Kill()
	}
	if err != nil {
		d.wanted[n.Number], what = false, err.Error()
	}
	d.out.say(what)
}

func (d *demo) links() {
	open, cut := d.fleet.Links()
	text := "up: " + list(open)
	if len(cut) > 0 {
		text += "; cut: " + list(cut)
	}
	d.out.say(text)
}

func list(edges []fleet.Edge) string {
	if len(edges) == 0 {
		return "none"
	}
	var all []string
	for _, e := range edges {
		all = append(all, e.String())
	}
	return strings.Join(all, " ")
}
