package demo

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"parley/cmd/parley/fleet"
)

// printer writes for people, or JSON, and keeps the first error.
type printer struct {
	w    io.Writer
	json bool
	err  error
}

func (p *printer) text(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, args...)
	}
}

func (p *printer) object(v any) {
	b, err := json.Marshal(v)
	if err != nil {
		p.err = err
		return
	}
	p.text("%s\n", b)
}

// say tells what has happened.
func (p *printer) say(what string) {
	if p.json {
		p.object(map[string]string{"event": what})
		return
	}
	p.text("-- %s\n", what)
}

// begin tells where everything is.
func (p *printer) begin(f *fleet.Fleet, program, channel string) {
	type row struct {
		Name string `json:"name"`
		fleet.Place
		Log string `json:"log"`
	}
	var rows []row
	for _, n := range f.Nodes {
		place, _ := n.Place()
		rows = append(rows, row{n.Name, place, n.Log})
	}
	if p.json {
		p.object(map[string]any{"nodes": rows, "edges": f.Edges()})
		return
	}
	t := tabwriter.NewWriter(p.w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "NODE\tCLIENTS\tUSER INTERFACES\tMETRICS\tPROCESS\tLOG")
	for _, r := range rows {
		_, _ = fmt.Fprintf(t, "%s\tws://%s/connect\t%s\thttp://%s/metrics\t%d\t%s\n", r.Name, r.Relay, r.UI, r.Metrics, r.PID, r.Log)
	}
	if err := t.Flush(); err != nil && p.err == nil {
		p.err = err
	}
	if len(rows) == 0 || p.err != nil {
		return
	}
	first, last := rows[0], rows[len(rows)-1]
	port := first.UI[strings.LastIndexByte(first.UI, ':')+1:]
	p.text(`
Look at them from other terminals:

  %[1]s peers --ui-port %[2]s
  %[1]s channels --scope network --ui-port %[2]s
  %[1]s stats --node %[3]s --ui-port %[2]s
  %[1]s health http://%[4]s/health
  %[1]s sub %[5]s --url ws://%[6]s/connect

Links are %[7]s. Type here: %[8]s.
Once a second: what the client of each node has heard, of what the others have sent.

`, program, port, last.Name, first.Relay, channel, last.Relay, list(f.Edges()), help)
}

// address is where a node is, in a few words.
func address(p fleet.Place) string {
	return fmt.Sprintf("clients at ws://%s/connect, user interfaces at %s, process %d", p.Relay, p.UI, p.PID)
}

// second is what is told once a second.
type second struct {
	At     time.Time         `json:"at"`
	Heard  map[string]uint64 `json:"heard"`          // by node; one that does not run is not there
	Others map[string]uint64 `json:"sent_by_others"` // likewise
	Twice  uint64            `json:"twice"`          // in all
	P50    float64           `json:"latency_p50_ms"`
	Most   float64           `json:"latency_max_ms"`
	Up     []fleet.Edge      `json:"up"`
	Cut    []fleet.Edge      `json:"cut"`
}

// second prints what has come through since the last time.
func (p *printer) second(now time.Time, f *fleet.Fleet, clients []*client) {
	s := second{At: now, Heard: map[string]uint64{}, Others: map[string]uint64{}}
	s.Up, s.Cut = f.Links()
	var late []time.Duration
	var total uint64
	sent := map[string]uint64{}
	for _, c := range clients {
		mine, heard, twice, took := c.look()
		late = append(late, took...)
		sent[c.node.Name], total, s.Twice = mine, total+mine, s.Twice+twice
		if _, runs := c.node.Place(); runs {
			s.Heard[c.node.Name] = heard
		}
	}
	for name := range s.Heard {
		s.Others[name] = total - sent[name]
	}
	slices.Sort(late)
	if n := len(late); n > 0 {
		s.P50, s.Most = late[n/2].Seconds()*1e3, late[n-1].Seconds()*1e3
	}
	if p.json {
		p.object(s)
		return
	}
	p.text("%s", now.Format(time.TimeOnly))
	for _, c := range clients {
		if heard, runs := s.Heard[c.node.Name]; runs {
			p.text("  %s %3d/%-3d", c.node.Name, heard, s.Others[c.node.Name])
		} else {
			p.text("  %s    -   ", c.node.Name)
		}
	}
	p.text("  p50 %.2f ms, up %s", s.P50, list(s.Up))
	if len(s.Cut) > 0 && len(s.Cut) <= 6 {
		p.text(", cut %s", list(s.Cut))
	}
	if s.Twice > 0 {
		p.text(", TWICE %d", s.Twice)
	}
	p.text("\n")
}
