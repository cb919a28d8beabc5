package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Kind says how an option is written and what it becomes in Go.
type Kind int

// The kinds; in brackets the type that Values holds.
const (
	KindString   Kind = iota // text without control characters (string)
	KindBool                 // true or false (bool)
	KindInt                  // whole number (int)
	KindDuration             // number with unit, as 30s (time.Duration)
	KindSize                 // bytes, as 1048576 or 1MiB (int64)
	KindShare                // percent of the memory, or a size (string)
	KindAddress              // IP address or localhost, no port (string)
	KindListen               // address:port, or one of Allowed (string)
	KindEnum                 // one of Allowed (string)
	KindList                 // several texts ([]string)
	KindPath                 // file name (string)
)

var kindNames = [...]string{
	"text", "bool", "int", "duration", "size", "percent-or-size",
	"address", "address:port", "choice", "list", "path",
}

// String gives the kind's name as help, explain and OPTIONS.md show it.
func (k Kind) String() string { return kindNames[k] }

// withArticle gives the kind's name for a sentence.
func (k Kind) withArticle() string {
	if strings.ContainsRune("aeiou", rune(kindNames[k][0])) {
		return "an " + kindNames[k]
	}
	return "a " + kindNames[k]
}

// Option is one row of the table.
type Option struct {
	Name    string // lower case, words joined by "-"; the key in the file
	Section string // heading that groups it in help and documents
	Kind    Kind
	Default string // as people write it; lists joined by ","
	// Computed says what a blank Default becomes; blank: it stays blank.
	Computed string
	Unit     string // what a number counts, in words
	// Min and Max bound int (count), duration (ns), size and the size form of
	// percent-or-size (bytes), both inclusive.
	Min, Max int64
	// Zero says what 0 means where it is allowed beside Min to Max.
	Zero     string
	Blank    string   // what no value means, for a number that may be without
	Allowed  []string // choices of an enum; words an address may be
	Syntax   string   // what a text, or each text of a list, looks like
	Loopback bool     // a listen address must be on this machine

	Secret     bool // never shown, no flag (argv is public)
	Reloadable bool // a running node can take a new value over
	Unsafe     bool // weakens protection: no shorthand, reported while set
	Essential  bool // part of "config init --minimal"
	Owner      bool // in the Setup space, only root and the Daemon's own user may change it
	Runtime    bool // a user interface can change it while the Node runs
	Inert      bool // stored and shown for existing user interfaces, never used

	Help string // one line
	Long string // for explain: when to change it, what happens at the limit

	also        []string                    // other words people try, for suggestions
	example     string                      // a value for config init where the default is blank
	check       func(string) (cause string) // syntax of one text; blank: fine. It never repeats a secret
	veil        func(string) string         // hides what is secret in a value that is not
	outsideFile bool                        // cannot stand in the file

	outsideSetup bool // no parameter of the Setup space
	noFlag       bool // though it is no secret
	flagOnly     bool // taken from the command line only
}

// Env gives the environment variable of the option: PARLEY_<NAME>.
func (o *Option) Env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(o.Name, "-", "_"))
}

// Flag gives the flag with its dashes, or "": a secret has none, because other
// users of the machine can read the command line.
func (o *Option) Flag() string {
	if o.Secret || o.noFlag {
		return ""
	}
	return "--" + o.Name
}

// Effect says when a changed value is used.
func (o *Option) Effect() string {
	switch {
	case o.Inert:
		return "never"
	case o.Reloadable:
		return "on reload, without a restart"
	case o.Runtime:
		return "at the next start, or at once by set-configuration"
	default:
		return "at the next start"
	}
}

// AllowedText gives the values that the option takes, for people.
func (o *Option) AllowedText() string {
	var text string
	switch o.Kind {
	case KindString:
		text = "text"
		if o.Syntax != "" {
			text = o.Syntax
		}
	case KindBool:
		text = "true, false"
	case KindInt, KindSize, KindDuration:
		text = o.number(o.Min) + " to " + o.number(o.Max)
	case KindShare:
		text = fmt.Sprintf("%d%% to %d%%, or %s to %s", minPercent, maxPercent, o.number(o.Min), o.number(o.Max))
	case KindAddress:
		text = "an IP address, localhost"
	case KindListen:
		text = "address:port"
		if o.Loopback {
			text = "loopback address:port"
		}
	case KindList:
		text = "any number of texts"
		if o.Syntax != "" {
			text = "any number of: " + o.Syntax
		}
	case KindPath:
		text = "a file name"
	}
	if len(o.Allowed) > 0 {
		words := strings.Join(o.Allowed, ", ")
		if text == "" {
			text = words
		} else {
			text += ", " + words
		}
	}
	if o.Zero != "" {
		text += ", or 0: " + o.Zero
	}
	if o.Blank != "" {
		text += ", or blank: " + o.Blank
	}
	return text
}

// number writes n, a count, ns or bytes by kind, as people write it.
func (o *Option) number(n int64) string {
	switch o.Kind {
	case KindDuration:
		return formatDuration(time.Duration(n))
	case KindSize, KindShare:
		return formatSize(n)
	default:
		return strconv.FormatInt(n, 10)
	}
}

// fileExample gives value, written as people do, as it stands in the file.
func (o *Option) fileExample(value string) string {
	switch o.Kind {
	case KindBool, KindInt:
		return value
	case KindList:
		var quoted []string
		for _, item := range splitList(value) {
			quoted = append(quoted, strconv.Quote(item))
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	default:
		return strconv.Quote(value)
	}
}

// table is a list of options with its index by name; immutable once made.
type table struct {
	options []Option
	byName  map[string]*Option
}

func newTable(options []Option) *table {
	t := &table{options: options, byName: make(map[string]*Option, len(options))}
	for i := range options {
		t.byName[options[i].Name] = &options[i]
	}
	return t
}

// sections gives the sections in table order.
func (t *table) sections() []string {
	var sections []string
	for i := range t.options {
		if !slices.Contains(sections, t.options[i].Section) {
			sections = append(sections, t.options[i].Section)
		}
	}
	return sections
}

// parley is the product's own table.
var parley = newTable(options())

// Table gives a copy of the options in the order of their documents.
func Table() []Option { return slices.Clone(parley.options) }
