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
	// User gives the user that the process runs as; nil: os.Geteuid.
	User func() int
	// Accounts gives the users of the machine as passwd(5) has them; nil: /etc/passwd.
	Accounts func() ([]byte, error)
	// Settings are the values that a Daemon gives its Node; not nil, also when there are none:
	// then file, environment and flags are not looked at.
	Settings []Setting

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
	if o.User == nil {
		o.User = os.Geteuid
	}
	if o.Accounts == nil {
		o.Accounts = readAccounts
	}
	if o.table == nil {
		o.table = parley
	}
	return o
}

// getenv gives a variable that is not an option's; blank: it is not set.
func (o *LoadOptions) getenv(name string) string {
	value := ""
	for _, pair := range o.Environ() {
		if key, text, _ := strings.Cut(pair, "="); key == name {
			value = text
		}
	}
	return value
}

// Load gives the options in effect: defaults < file < environment < flags, or
// defaults < Settings. The error is a *UsageError with all problems of all layers.
func Load(opts LoadOptions) (*Values, error) {
	l := newLoader(opts)
	l.apply(l.defaults())
	if l.opts.Settings != nil {
		l.apply(l.settings())
	} else {
		l.outside()
	}
	l.compute()
	node := l.crossCheck()
	l.warnEnclave(&node)
	l.checkMachine(&node)
	values, err := l.finish()
	if err != nil {
		return nil, err
	}
	values.node = node
	return values, nil
}

// loader gathers one Load.
type loader struct {
	// fixed at start
	opts     LoadOptions
	table    *table // the options that are taken
	known    *table // the options that there are
	accounts accounts

	// owned
	values   *koanf.Koanf
	origins  map[string]Origin
	failed   map[string]bool // options with a bad value in some layer
	problems []Problem
	required []string // options that need a value because of another one's
	warnings []string
}

func newLoader(opts LoadOptions) *loader {
	l := &loader{opts: opts.withDefaults(), values: newKoanf(), origins: map[string]Origin{}, failed: map[string]bool{}}
	l.table, l.known = l.opts.table, l.opts.table
	if content, err := l.opts.Accounts(); err == nil { // without, numbers still do
		l.accounts = parseAccounts(content)
	}
	return l
}

// outside lays file, environment and flags over the defaults.
func (l *loader) outside() {
	environment, flags := l.own(l.environment()), l.own(l.flags())
	if name, origin := l.fileName(slices.Concat(environment, flags)); name != "" {
		l.apply(l.own(l.file(name, origin)))
	}
	l.apply(environment)
	l.apply(flags)
	if l.opts.File != "" {
		l.apply([]entry{{l.table.byName[optConfigFile], l.opts.File, Origin{Source: SourceArgument}}})
	}
}

// own gives the entries of options that are taken.
func (l *loader) own(entries []entry) []entry {
	var found []entry
	for _, e := range entries {
		o := l.table.byName[e.option.Name]
		if o == nil || (o.flagOnly && e.origin.Source != SourceFlag) {
			continue
		}
		found = append(found, entry{o, e.raw, e.origin})
	}
	return found
}

func (l *loader) finish() (*Values, error) {
	if len(l.problems) > 0 {
		return nil, &UsageError{Problems: l.problems}
	}
	return &Values{table: l.table, koanf: l.values, origins: l.origins, warnings: l.warnings}, nil
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
	byEnv := make(map[string]*Option, len(l.known.options))
	for i := range l.known.options {
		byEnv[l.known.options[i].Env()] = &l.known.options[i]
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
	if near := l.known.nearest(name); near != "" {
		warning += "; did you mean " + l.known.byName[near].Env() + "?"
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
	for i := range l.known.options {
		o := &l.known.options[i]
		if raw := found.Get(o.Name); raw != nil {
			entries = append(entries, entry{o, raw, origin(o)})
		}
	}
	return entries
}

// fileName gives the file to read; blank: none. The last of upper that names
// one wins, and LoadOptions.File over all.
func (l *loader) fileName(upper []entry) (name string, origin Origin) {
	name, origin = l.opts.File, Origin{Source: SourceArgument}
	for _, e := range upper {
		if given, ok := e.raw.(string); ok && e.option.Name == optConfigFile && l.opts.File == "" {
			name, origin = given, e.origin
		}
	}
	return name, origin
}

// file gives a file's entries.
func (l *loader) file(name string, origin Origin) []entry {
	content, mode, problem := readFile(name)
	if problem != nil {
		if origin.Source != SourceArgument {
			problem.Origin = origin
		}
		l.problems = append(l.problems, *problem)
		return nil
	}
	entries, problems := l.known.decodeFile(name, content)
	for _, p := range problems {
		// What others read from the same file is theirs to complain of.
		if mine := p.Option != "" && l.table.byName[p.Option] != nil; mine || l.table == l.known || (p.Option == "" && !p.unknown) {
			l.problems = append(l.problems, p)
		}
	}
	kept := entries[:0]
	for _, e := range entries {
		if e.option.Secret && mode&0o077 != 0 {
			l.problems = append(l.problems, Problem{
				Option: e.option.Name, Origin: e.origin, Cause: fmt.Sprintf("is secret, but others may read the file (mode %04o)", mode),
				Next: "run: chmod 600 " + shellWord(name),
			})
			continue
		}
		kept = append(kept, e)
	}
	return kept
}
