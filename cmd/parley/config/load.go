package config

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"
)

// envPrefix starts the environment variable of every option.
const envPrefix = "PARLEY_"

// newKoanf gives an empty store of one layer or of all of them.
func newKoanf() *koanf.Koanf { return koanf.New(delim) }

// delim separates nested keys in koanf; no option's name contains it.
const delim = "."

// LoadOptions says what Load reads; the zero value is a process's defaults,
// PARLEY_ environment and the file that it names.
type LoadOptions struct {
	// File is the configuration file; blank: --config-file, then
	// PARLEY_CONFIG_FILE, else none.
	File string
	// Flags are a command's, with those of Flags among them; nil: none.
	Flags *pflag.FlagSet
	// Environ gives NAME=value pairs; nil: os.Environ.
	Environ func() []string
	// Hostname gives the machine's name; nil: os.Hostname.
	Hostname func() (string, error)
	// Memory gives what the process may use, bytes; nil: RAM or the control
	// group's limit, whichever is lower.
	Memory func() (int64, error)
	// Cores is the number of CPUs to plan for; 0: GOMAXPROCS.
	Cores int

	table *table // nil: Parley's own; tests add to it
}

func (o LoadOptions) withDefaults() LoadOptions {
	if o.Environ == nil {
		o.Environ = os.Environ
	}
	if o.Hostname == nil {
		o.Hostname = os.Hostname
	}
	if o.Memory == nil {
		o.Memory = machineMemory
	}
	if o.Cores == 0 {
		o.Cores = runtime.GOMAXPROCS(0)
	}
	if o.table == nil {
		o.table = parley
	}
	return o
}

// Load gives the options in effect: defaults < file < environment < flags. The
// error is a *UsageError with all problems of all layers.
func Load(opts LoadOptions) (*Values, error) {
	l := &loader{
		opts:   opts.withDefaults(),
		values: newKoanf(), origins: map[string]Origin{}, failed: map[string]bool{},
	}
	l.table = l.opts.table
	environment := l.environment()
	flags := l.flags()
	l.apply(l.defaults())
	l.apply(l.file(slices.Concat(environment, flags)))
	l.apply(environment)
	l.apply(flags)
	if l.opts.File != "" {
		l.apply([]entry{{l.table.byName[optConfigFile], l.opts.File, Origin{Source: SourceArgument}}})
	}
	l.compute()
	node := l.crossCheck()
	if len(l.problems) > 0 {
		return nil, &UsageError{Problems: l.problems}
	}
	return &Values{table: l.table, koanf: l.values, origins: l.origins, warnings: l.warnings, node: node}, nil
}

// loader gathers one Load.
type loader struct {
	// fixed at start
	opts  LoadOptions
	table *table

	// owned
	values   *koanf.Koanf
	origins  map[string]Origin
	failed   map[string]bool // options with a bad value in some layer
	problems []Problem
	warnings []string
}

// apply checks one layer's entries and lays the good ones over the earlier layers.
func (l *loader) apply(entries []entry) {
	layer := make(map[string]any, len(entries))
	for _, e := range entries {
		value, bad := parseEntry(e)
		if bad != nil {
			l.failed[e.option.Name] = true
			l.problems = append(l.problems, Problem{
				Option: e.option.Name, Value: e.option.masked(bad.value), Origin: e.origin, Cause: bad.cause, Next: bad.next,
			})
			continue
		}
		layer[e.option.Name] = value
		l.origins[e.option.Name] = e.origin
	}
	l.load(layer)
}

func (l *loader) load(layer map[string]any) {
	if err := l.values.Load(confmap.Provider(layer, ""), nil); err != nil {
		panic("config: merging checked values: " + err.Error()) // no provider or merge function of ours can fail
	}
}

func parseEntry(e entry) (any, *fault) {
	if e.origin.Source == SourceFile {
		value, bad := e.option.parseFile(e.raw)
		if name, ok := value.(string); ok && e.option.Kind == KindPath {
			return beside(e.origin.Name, name), bad
		}
		return value, bad
	}
	if items, ok := e.raw.([]string); ok {
		return e.option.parseList(items)
	}
	value, bad := e.option.parseText(e.raw.(string))
	if bad != nil && e.raw == "" {
		bad.cause = "a blank value " + bad.cause
	}
	return value, bad
}

func (l *loader) defaults() []entry {
	entries := make([]entry, len(l.table.options))
	for i := range l.table.options {
		o := &l.table.options[i]
		entries[i] = entry{o, o.Default, Origin{Source: SourceDefault}}
	}
	return entries
}

// environment gives the variables that name options. A blank one counts as
// not set. Unknown ones are a warning only: container platforms make up
// variables from the names of services.
func (l *loader) environment() []entry {
	byEnv := make(map[string]*Option, len(l.table.options))
	for i := range l.table.options {
		byEnv[l.table.options[i].Env()] = &l.table.options[i]
	}
	found := newKoanf()
	provider := env.Provider(delim, env.Opt{Prefix: envPrefix, EnvironFunc: l.opts.Environ, TransformFunc: func(key, value string) (string, any) {
		o := byEnv[key]
		if o == nil {
			l.unknownVariable(key)
			return "", nil
		}
		if value == "" {
			return "", nil
		}
		return o.Name, value
	}})
	if err := found.Load(provider, nil); err != nil {
		l.problems = append(l.problems, Problem{Cause: "environment cannot be read: " + err.Error()})
	}
	return l.inOrder(found, func(o *Option) Origin { return Origin{Source: SourceEnvironment, Name: o.Env()} })
}

func (l *loader) unknownVariable(key string) {
	name := strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(key, envPrefix), "_", "-"))
	warning := "environment " + key + ": no option has this name"
	if near := l.table.nearest(name); near != "" {
		warning += "; did you mean " + l.table.byName[near].Env() + "?"
	}
	l.warnings = append(l.warnings, warning)
	slices.Sort(l.warnings)
}

// flags gives the options that the command line sets.
func (l *loader) flags() []entry {
	if l.opts.Flags == nil {
		return nil
	}
	found := newKoanf()
	provider := posflag.ProviderWithFlag(l.opts.Flags, delim, nil, func(f *pflag.Flag) (string, any) {
		value, ours := f.Value.(*flagValue)
		if !ours || !f.Changed {
			return "", nil
		}
		return f.Name, value.given()
	})
	if err := found.Load(provider, nil); err != nil {
		l.problems = append(l.problems, Problem{Cause: "flags cannot be read: " + err.Error()})
	}
	return l.inOrder(found, func(o *Option) Origin { return Origin{Source: SourceFlag, Name: o.Flag()} })
}

// inOrder gives what a provider found as entries in table order.
func (l *loader) inOrder(found *koanf.Koanf, origin func(*Option) Origin) []entry {
	var entries []entry
	for i := range l.table.options {
		o := &l.table.options[i]
		if raw := found.Get(o.Name); raw != nil {
			entries = append(entries, entry{o, raw, origin(o)})
		}
	}
	return entries
}

// file gives the file's entries; the last of upper that names a file wins,
// and LoadOptions.File over all.
func (l *loader) file(upper []entry) []entry {
	name, origin := l.opts.File, Origin{Source: SourceArgument}
	for _, e := range upper {
		if given, ok := e.raw.(string); ok && e.option.Name == optConfigFile && l.opts.File == "" {
			name, origin = given, e.origin
		}
	}
	if name == "" {
		return nil
	}
	content, mode, problem := readFile(name)
	if problem != nil {
		if origin.Source != SourceArgument {
			problem.Origin = origin
		}
		l.problems = append(l.problems, *problem)
		return nil
	}
	entries, problems := l.table.decodeFile(name, content)
	l.problems = append(l.problems, problems...)
	for _, e := range entries {
		if e.option.Secret && mode&0o077 != 0 {
			l.problems = append(l.problems, Problem{
				Option: e.option.Name, Origin: e.origin, Cause: fmt.Sprintf("is secret, but others may read the file (mode %04o)", mode),
				Next: "run: chmod 600 " + shellWord(name),
			})
		}
	}
	return entries
}

// compute fills in what depends on the machine, so that it is shown as the default.
func (l *loader) compute() {
	if l.values.String(optNodeName) != "" {
		return
	}
	host, err := l.opts.Hostname()
	if err != nil {
		l.warnings = append(l.warnings, "node-name: the host name is unknown ("+err.Error()+"), so the node is called "+fallbackNodeName)
	}
	l.load(map[string]any{optNodeName: sanitizeNodeName(host)})
}
