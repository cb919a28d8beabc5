package demo

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"parley/cmd/parley/fleet"
)

// word is a command from standard input.
type word struct {
	verb  string
	nodes []int // numbers, from 1 on
}

const help = `cut A B, cut A, heal A B, heal A, heal, kill A, stop A, start A, links, help, quit; nodes by number or name`

// arity says how many nodes a command takes, at least and at most.
var arity = map[string][2]int{
	"cut": {1, 2}, "heal": {0, 2}, "kill": {1, 1}, "stop": {1, 1}, "start": {1, 1}, "links": {0, 0}, "help": {0, 0}, "quit": {0, 0},
}

// parse reads a command; the error says what to do.
func parse(line string, most int) (w word, err error) {
	fields := strings.Fields(strings.ToLower(line))
	if len(fields) == 0 {
		return w, nil
	}
	w.verb = fields[0]
	count, known := arity[w.verb]
	if !known {
		return word{}, fmt.Errorf("unknown command %q; there are: %s", w.verb, help)
	}
	for _, f := range fields[1:] {
		n, err := strconv.Atoi(strings.TrimPrefix(f, "node"))
		if err != nil || n < 1 || n > most {
			return word{}, fmt.Errorf("%q is no node; there are 1 to %d", f, most)
		}
		w.nodes = append(w.nodes, n)
	}
	if n := len(w.nodes); n < count[0] || n > count[1] || n == 2 && w.nodes[0] == w.nodes[1] {
		return word{}, fmt.Errorf("%s takes other nodes; write: %s", w.verb, help)
	}
	return w, nil
}

// of tells whether a command means a link: that of two nodes, or any of one.
func (w word) of(e fleet.Edge) bool {
	if len(w.nodes) == 2 {
		return e == fleet.NewEdge(w.nodes[0], w.nodes[1])
	}
	return e[0] == w.nodes[0] || e[1] == w.nodes[0]
}

// listen reads lines until there are no more. A read of a terminal ends with the
// process.
func listen(ctx context.Context, in io.Reader) <-chan string {
	lines := make(chan string)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(in); s.Scan(); {
			select {
			case lines <- s.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	return lines
}
