package testkit

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// step is one line of a story, or a group of "?" lines.
type step struct {
	line  int
	name  string
	verb  string
	arg   string
	bytes []byte   // of binary and raw
	any   []string // of ?
}

// verbs are what can stand behind a client's name, and whether more must follow.
var verbs = map[string]bool{
	">": true, "<": true, "~": true, "?": true, "=": true, "!": true, "!!": true, "binary": true, "raw": true,
	".": false, "hangup": false, "pause": false, "resume": false, "deaf": false, "ignore": false,
}

// macro is {{TEXT*N}} or {{i}}.
var macro = regexp.MustCompile(`\{\{(?:i|([^{}]*)\*(\d+))\}\}`)

// parseStory turns a story's text into steps. Errors start with the line's number.
func parseStory(text string) ([]step, error) {
	var steps, body []step
	times, opened := 0, 0
	for i, line := range strings.Split(text, "\n") {
		n := i + 1
		line = strings.TrimSpace(line)
		first, rest, _ := strings.Cut(line, " ")
		rest = strings.TrimSpace(rest)
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case first == "repeat":
			count, err := strconv.Atoi(rest)
			if err != nil || times > 0 || count < 1 {
				return nil, fmt.Errorf("%d: cannot repeat %q here", n, rest)
			}
			times, opened, body = count, n, nil
		case line == "end":
			if times == 0 {
				return nil, fmt.Errorf("%d: end of nothing", n)
			}
			for k := range times {
				for _, s := range body {
					steps = grouped(steps, s, k+1)
				}
			}
			times = 0
		default:
			s, err := parseStep(n, first, rest)
			if err != nil {
				return nil, fmt.Errorf("%d: %w", n, err)
			}
			if times > 0 {
				body = append(body, s)
			} else {
				steps = grouped(steps, s, 0)
			}
		}
	}
	if times > 0 {
		return nil, fmt.Errorf("%d: repeat without end", opened)
	}
	return steps, nil
}

// parseStep reads one line, its macros left as they are.
func parseStep(n int, first, rest string) (step, error) {
	switch first {
	case "wait", "act":
		return step{line: n, verb: first, arg: rest}, nil
	case "open", "refused", "set":
		name, args, _ := strings.Cut(rest, " ")
		return step{line: n, verb: first, name: name, arg: args}, nil
	}
	verb, arg, _ := strings.Cut(rest, " ")
	arg = strings.TrimSpace(arg)
	wants, known := verbs[verb]
	if !known || wants != (arg != "") {
		return step{}, fmt.Errorf("cannot read %q", first+" "+rest)
	}
	s := step{line: n, name: first, verb: verb, arg: arg}
	if verb == "binary" || verb == "raw" {
		b, err := hex.DecodeString(strings.ReplaceAll(expand(arg, 0), " ", ""))
		if err != nil {
			return step{}, fmt.Errorf("cannot read %q: %w", arg, err)
		}
		s.bytes = b
	}
	return s, nil
}

// grouped appends s with its macros expanded, or adds it to the group it
// belongs to. i is the round of a repeat.
func grouped(steps []step, s step, i int) []step {
	s.arg, s.name = expand(s.arg, i), expand(s.name, i)
	if s.verb != "?" {
		return append(steps, s)
	}
	if n := len(steps); n > 0 && steps[n-1].verb == "?" && steps[n-1].name == s.name {
		steps[n-1].any = append(steps[n-1].any, s.arg)
		return steps
	}
	s.any = []string{s.arg}
	return append(steps, s)
}

func expand(text string, i int) string {
	return macro.ReplaceAllStringFunc(text, func(m string) string {
		parts := macro.FindStringSubmatch(m)
		if m == "{{i}}" {
			return strconv.Itoa(i)
		}
		n, _ := strconv.Atoi(parts[2]) // digits only
		return strings.Repeat(parts[1], n)
	})
}

// Words of a story's frames.
const (
	anyValue = "..." // any value
	anyMore  = "***" // any number of elements between those of a list; as a key, any further keys
)

// sameFrame compares a frame with what a story wants: as JSON if that is JSON,
// else as text. Objects must have the same keys, numbers the same digits.
func sameFrame(got, want string) error {
	w, err := readJSON(want)
	if err != nil {
		if got != want {
			return fmt.Errorf("want this text")
		}
		return nil
	}
	g, err := readJSON(got)
	if err != nil {
		return err
	}
	return match("", g, w)
}

// readJSON is strict: no duplicate keys, no invalid UTF-8, nothing behind.
func readJSON(text string) (v any, err error) {
	if !jsontext.Value(text).IsValid() {
		return nil, fmt.Errorf("not strict JSON")
	}
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	return v, dec.Decode(&v)
}

// match reports where got differs from want; path leads there.
func match(path string, got, want any) error {
	if want == anyValue {
		return nil
	}
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			break
		}
		_, more := w[anyMore]
		for _, k := range slices.Sorted(maps.Keys(w)) {
			if k == anyMore {
				continue
			}
			if _, ok := g[k]; !ok {
				return fmt.Errorf("%s.%s is missing", path, k)
			}
			if err := match(path+"."+k, g[k], w[k]); err != nil {
				return err
			}
		}
		for _, k := range slices.Sorted(maps.Keys(g)) {
			if _, ok := w[k]; !ok && !more {
				return fmt.Errorf("%s.%s is too much", path, k)
			}
		}
		return nil
	case []any:
		g, ok := got.([]any)
		if ok && slices.Contains(w, any(anyMore)) {
			return matchSome(path, g, w)
		}
		if !ok || len(g) != len(w) {
			break
		}
		for i := range w {
			if err := match(fmt.Sprintf("%s[%d]", path, i), g[i], w[i]); err != nil {
				return err
			}
		}
		return nil
	default:
		if got == want {
			return nil
		}
	}
	return fmt.Errorf("%s is %s, want %s", path, show(got), show(want))
}

// matchSome finds each element of want in got, in order; anyMore only says that
// there may be others.
func matchSome(path string, got, want []any) error {
	at := 0
	for _, w := range want {
		if w == anyMore {
			continue
		}
		var err error
		for ; at < len(got); at++ {
			if err = match(path+"[]", got[at], w); err == nil {
				break
			}
		}
		if at == len(got) {
			return fmt.Errorf("%s has no element %s", path, show(w))
		}
		at++
	}
	return nil
}

func show(v any) string {
	b, _ := json.Marshal(v) // came from JSON
	return clip(string(b))
}
