package config

import (
	"fmt"
	"time"

	"github.com/knadh/koanf/v2"
)

// Source is the kind of place that a value comes from.
type Source string

// The sources, weakest first. An argument is the FILE of "config check".
const (
	SourceDefault     Source = "default"
	SourceFile        Source = "file"
	SourceEnvironment Source = "environment"
	SourceFlag        Source = "flag"
	SourceArgument    Source = "argument"
	SourceSetup       Source = "setup" // the Setup space of a Daemon
)

// Origin tells where a value comes from.
type Origin struct {
	Source Source
	Name   string // file, variable or flag
	Line   int    // of a file, from 1; 0: none
	Column int    // of a file, bytes from 1; 0: none
}

// String gives default, file:line, "environment NAME" or "flag --name".
func (o Origin) String() string {
	switch {
	case o.Source == SourceFile && o.Line > 0:
		return fmt.Sprintf("%s:%d", o.Name, o.Line)
	case o.Source == SourceFile:
		return o.Name
	case o.Name == "":
		return string(o.Source)
	default:
		return string(o.Source) + " " + o.Name
	}
}

// Place is String with the column of a file, and "" for a default: where to
// look for a mistake.
func (o Origin) Place() string {
	switch {
	case o.Source == SourceDefault || o.Source == "":
		return ""
	case o.Source == SourceFile && o.Line > 0:
		return fmt.Sprintf("%s:%d:%d", o.Name, o.Line, o.Column)
	default:
		return o.String()
	}
}

// secretMask stands for a secret that is set.
const secretMask = "****************"

// Values are the checked options of one Load; immutable. The getters panic on
// a name or kind that the table does not have: that is a bug of the caller.
type Values struct {
	table    *table
	koanf    *koanf.Koanf
	origins  map[string]Origin
	warnings []string
	node     Node
	daemon   Daemon
}

// Bool gives a KindBool option.
func (v *Values) Bool(name string) bool { return get[bool](v, name) }

// Int gives a KindInt option.
func (v *Values) Int(name string) int { return get[int](v, name) }

// Duration gives a KindDuration option.
func (v *Values) Duration(name string) time.Duration { return get[time.Duration](v, name) }

// Size gives a KindSize option, bytes.
func (v *Values) Size(name string) int64 { return get[int64](v, name) }

// String gives a text, path, choice, address, address:port or percent-or-size
// option; blank: not set.
func (v *Values) String(name string) string { return get[string](v, name) }

// List gives a KindList option; never nil.
func (v *Values) List(name string) []string { return get[[]string](v, name) }

func get[T any](v *Values, name string) T {
	value, ok := v.koanf.Get(name).(T)
	if !ok {
		panic(fmt.Sprintf("config: option %q is not in the table as %T", name, value))
	}
	return value
}

// Text gives any option as people write it; a secret as 16 asterisks when
// set, blank when not.
func (v *Values) Text(name string) string {
	o := v.table.byName[name]
	if o == nil {
		panic(fmt.Sprintf("config: option %q is not in the table", name))
	}
	return o.masked(o.format(v.koanf.Get(name)))
}

// masked gives text without what is secret in it: the mask for all of a secret
// that is not blank.
func (o *Option) masked(text string) string {
	switch {
	case text == "":
		return ""
	case o.Secret:
		return secretMask
	case o.veil != nil:
		return o.veil(text)
	default:
		return text
	}
}

// Origin tells where the value of an option comes from.
func (v *Values) Origin(name string) Origin { return v.origins[name] }

// Warnings are what is odd but not wrong, one line each, for log or stderr.
func (v *Values) Warnings() []string { return v.warnings }

// Unsafe names the unsafe options that are in effect; a node reports them at
// every start.
func (v *Values) Unsafe() []string {
	var names []string
	for i := range v.table.options {
		o := &v.table.options[i]
		if o.Unsafe && o.format(v.koanf.Get(o.Name)) != o.Default {
			names = append(names, o.Name)
		}
	}
	return names
}

// Node gives the options of a node, computed ones filled in.
func (v *Values) Node() Node { return v.node }

// Daemon gives the options of a Daemon, after LoadDaemon.
func (v *Values) Daemon() Daemon { return v.daemon }
