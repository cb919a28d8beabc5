package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"parley/actors/daemon"
)

// SetupSpace gives the table behind a Daemon's Setup space. opts are those of LoadDaemon: its
// flags and environment count as configured.
func SetupSpace(opts LoadOptions) daemon.Space {
	opts = opts.withDefaults()
	memory, err := opts.Memory() // once: Cross must not look outside
	opts.Memory = func() (int64, error) { return memory, err }
	s := &space{opts: opts, table: opts.table}
	l := newLoader(opts)
	s.accounts.Store(&l.accounts)
	l.apply(l.defaults())
	l.computeDefaults()
	return daemon.Space{Rows: s.rows(l), Check: s.check, Cross: s.cross, Configured: s.configured}
}

// space is what the functions of a daemon.Space share.
type space struct {
	// fixed at start
	opts  LoadOptions
	table *table

	accounts atomic.Pointer[accounts] // as Configured saw them last
}

// rows gives the parameters with what their defaults are on this machine.
func (s *space) rows(l *loader) []daemon.Row {
	var rows []daemon.Row
	for i := range s.table.options {
		o := &s.table.options[i]
		if o.outsideSetup {
			continue
		}
		rows = append(rows, daemon.Row{Name: o.Name, Default: o.format(l.values.Get(o.Name)), Secret: o.Secret, Owner: o.Owner, Veil: o.veil})
	}
	slices.SortFunc(rows, func(a, b daemon.Row) int { return strings.Compare(a.Name, b.Name) })
	return rows
}

// check implements daemon.Space.Check.
func (s *space) check(name, value string) (stored, problem string) {
	o := s.table.byName[name]
	if o == nil || o.outsideSetup {
		return "", "unknown parameter"
	}
	stored, bad := o.stored(value, *s.accounts.Load())
	if bad != nil {
		return "", o.problem(bad)
	}
	return stored, ""
}

// cross implements daemon.Space.Cross. A value that is bad by itself is left out.
func (s *space) cross(values map[string]string) (problems []daemon.Problem, required []string) {
	l := newLoader(s.opts.without())
	l.accounts = *s.accounts.Load()
	l.apply(l.defaults())
	l.apply(s.inEffect(l, values))
	l.crossCheck()
	l.checkWho()
	for _, p := range l.problems {
		if !slices.Contains(l.required, p.Option) { // its status says so
			problems = append(problems, daemon.Problem{Name: p.Option, Text: p.text()})
		}
	}
	slices.Sort(l.required)
	return problems, slices.Compact(l.required)
}

// inEffect gives the values that are good by themselves.
func (s *space) inEffect(l *loader, values map[string]string) []entry {
	var entries []entry
	for i := range s.table.options {
		o := &s.table.options[i]
		text, ok := values[o.Name]
		if !ok || o.outsideSetup {
			continue
		}
		if _, bad := o.parseText(text); bad != nil {
			l.failed[o.Name] = true
			continue
		}
		origin := Origin{Source: SourceSetup}
		if text == o.Default {
			origin.Source = SourceDefault
		}
		entries = append(entries, entry{o, text, origin})
	}
	return entries
}

// checkWho reports a user that a Node cannot become under this Daemon.
func (l *loader) checkWho() {
	own := l.opts.User()
	if text := l.values.String(optRealUser); own != 0 && text != "" {
		if uid, _, _, _ := parseRealUser(text); int64(uid) != int64(own) {
			l.clash(optRealUser, "", "is not the user that this Daemon runs as", "start the Daemon as root, or leave real-user blank")
		}
	}
}

// without gives opts for looking at values only.
func (o LoadOptions) without() LoadOptions {
	o.Accounts = func() ([]byte, error) { return nil, os.ErrNotExist }
	return o
}

// configured implements daemon.Space.Configured. A value that is wrong is given, too, where it
// is text: a Node then refuses to start with it, and does not start without it unnoticed.
func (s *space) configured(values map[string]string) (map[string]string, []daemon.Problem) {
	l := newLoader(s.opts)
	s.accounts.Store(&l.accounts)
	upper := s.upper(l)
	found := map[string]string{}
	for _, e := range slices.Concat(s.fileEntries(l, values, upper), upper) {
		text, bad := s.configure(l, e)
		if bad != nil {
			l.problems = append(l.problems, Problem{Option: e.option.Name, Value: e.option.masked(bad.value), Origin: e.origin, Cause: bad.cause, Next: bad.next})
			if text = e.wrong(); text == "" {
				delete(found, e.option.Name)
				continue
			}
		}
		found[e.option.Name] = text
	}
	var problems []daemon.Problem
	for _, p := range l.problems {
		name := p.Option
		if name == "" {
			name = optConfigFile
		}
		problems = append(problems, daemon.Problem{Name: name, Text: p.place() + p.text()})
	}
	return found, problems
}

// wrong gives the text of a wrong value for a Node to refuse; blank: it is none, or the
// Daemon itself would act on it.
func (e entry) wrong() string {
	raw, isText := e.raw.(string)
	if !isText || len(raw) > maxText || !utf8.ValidString(raw) || e.option.Name == optRealUser || e.option.Name == optDataDirectory {
		return ""
	}
	return raw
}

// upper gives what environment and flags of the Daemon say about Nodes, names of files in full.
func (s *space) upper(l *loader) []entry {
	var entries []entry
	for _, e := range slices.Concat(l.environment(), l.flags()) {
		own := daemonOptions.byName[e.option.Name]
		if e.option.outsideSetup || (own != nil && own.flagOnly && e.origin.Source == SourceFlag) {
			continue
		}
		if name, ok := e.raw.(string); ok && e.option.Kind == KindPath && name != "" {
			if full, err := filepath.Abs(name); err == nil {
				e.raw = full
			}
		}
		entries = append(entries, e)
	}
	return entries
}

// fileEntries gives what the file says that values or upper name.
func (s *space) fileEntries(l *loader, values map[string]string, upper []entry) []entry {
	name, origin := l.fileName(upper)
	relative := false
	if set := values[optConfigFile]; set != "" && set != name {
		relative = !filepath.IsAbs(set)
		name, origin = under(values[optDataDirectory], set), Origin{Source: SourceSetup}
	}
	if name == "" {
		return nil
	}
	// Opening a pipe waits for who writes to it, for ever if nobody does.
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() && !info.IsDir() {
		l.problems = append(l.problems, Problem{Option: optConfigFile, Value: name, Cause: "is not a file on a disk", Next: "name a configuration file"})
		return nil
	}
	entries := l.file(name, origin)
	if !relative {
		return entries
	}
	return slices.DeleteFunc(entries, func(e entry) bool {
		if e.option.Name != optDataDirectory {
			return false
		}
		l.problems = append(l.problems, Problem{
			Option: optDataDirectory, Origin: e.origin, Cause: "cannot be set in a file that is looked for in it",
			Next: "set config-file to its full name, or data-directory elsewhere",
		})
		return true
	})
}

// configure gives the text of one entry as the Setup space keeps it.
func (s *space) configure(l *loader, e entry) (string, *fault) {
	value, bad := parseEntry(e)
	if bad != nil {
		return "", bad
	}
	return e.option.stored(e.option.format(value), l.accounts)
}

// UIOf gives what a Setup space says about user interfaces; values are those in effect. A value
// that is wrong counts as its default, and a user who is not known as nobody. It reads the users of
// this machine, so it has no place in an actor.
func UIOf(opts LoadOptions, values map[string]string) UI {
	l := newLoader(opts)
	s := &space{table: l.table}
	l.apply(l.defaults())
	l.apply(s.inEffect(l, values))
	v := &Values{table: l.table, koanf: l.values, origins: l.origins}
	ui := newUI(v)
	ui.UIUsers = l.users(v)
	return ui
}
