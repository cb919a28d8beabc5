package demo

import (
	"fmt"
	"strings"
	"testing"

	"parley/cmd/parley/fleet"
)

func TestParse(t *testing.T) {
	for line, want := range map[string]string{
		"": "{ []}", "  ": "{ []}", "cut 1 2": "{cut [1 2]}", " CUT  node3 1 ": "{cut [3 1]}", "cut 2": "{cut [2]}", "heal": "{heal []}", "kill 3": "{kill [3]}",
		"quit": "{quit []}", "links": "{links []}",
	} {
		if got, err := parse(line, 3); err != nil || fmt.Sprint(got) != want {
			t.Errorf("%q is %v, %v; want %s", line, got, err, want)
		}
	}
	for line, want := range map[string]string{
		"cute 1": "unknown command", "cut": "cut takes", "cut 1 1": "cut takes", "cut 1 2 3": "cut takes", "cut 4": "1 to 3", "cut 0": "1 to 3", "kill x": "1 to 3",
		"kill": "kill takes", "quit 1": "quit takes",
	} {
		if _, err := parse(line, 3); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", line, err, want)
		}
	}
}

func TestLinksOfACommand(t *testing.T) {
	for line, want := range map[string][3]bool{"cut 2 1": {true, false, false}, "cut 3": {false, true, true}} {
		w, err := parse(line, 3)
		if err != nil {
			t.Fatal(err)
		}
		if got := [3]bool{w.of(fleet.Edge{1, 2}), w.of(fleet.Edge{1, 3}), w.of(fleet.Edge{2, 3})}; got != want {
			t.Errorf("%q means %v, want %v", line, got, want)
		}
	}
}

func TestOptions(t *testing.T) {
	good := Options{Nodes: 3, Shape: fleet.Ring, Rate: 1}
	if err := good.check(); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*Options){
		"--nodes": func(o *Options) { o.Nodes = 0 }, "--nodes is 21": func(o *Options) { o.Nodes = 21 }, "--shape": func(o *Options) { o.Shape = "star" },
		"--rate": func(o *Options) { o.Rate = -1 }, "--for": func(o *Options) { o.For = -1 },
	} {
		o := good
		change(&o)
		if err := o.check(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v, want %q", err, name)
		}
	}
}
