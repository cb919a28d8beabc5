package config

import "path/filepath"

// Setting is one value that a Daemon starts its Node with. Source:
// messages/processpb, Setting.
type Setting struct{ Name, Value string }

// settings gives what a Daemon set, as entries. Secrets come this way too.
func (l *loader) settings() []entry {
	var entries []entry
	for _, s := range l.opts.Settings {
		origin := Origin{Source: SourceSetup}
		o := l.table.byName[s.Name]
		if o == nil || o.outsideSetup {
			l.problems = append(l.problems, Problem{
				Origin: origin, unknown: true, Cause: "no parameter is called " + quote(s.Name), Next: "start the Node by a Daemon of its own version",
			})
			continue
		}
		if o.Name == optDataDirectory && !filepath.IsAbs(s.Value) {
			l.failed[o.Name] = true
			l.problems = append(l.problems, Problem{Option: o.Name, Value: s.Value, Origin: origin, Cause: notFull.cause, Next: notFull.next})
			continue
		}
		entries = append(entries, entry{o, s.Value, origin})
	}
	return entries
}

// notFull is what is wrong with a relative data directory in the Setup space:
// every process would find another one.
var notFull = fault{cause: "is not the full name of a directory", next: "write it with a slash at its beginning, as /var/lib/parley"}

// stored gives the text that the Setup space keeps for a value; known are the
// users of this machine.
func (o *Option) stored(text string, known accounts) (string, *fault) {
	value, bad := o.parseText(text)
	users, _ := value.([]string)
	switch {
	case bad != nil:
	case o.Name == optDataDirectory && !filepath.IsAbs(text):
		bad = &fault{text, notFull.cause, notFull.next}
	case o.Name == optRealUser && text == "":
		bad = &fault{text, checkRealUser(text), "clear it to get its default back"}
	case o.Name == optUIUsers:
		if _, unknown := known.resolve(users); unknown != "" {
			bad = unknownUser(unknown)
		}
	}
	if bad == nil {
		return o.format(value), nil
	}
	if text == "" {
		bad.cause = "a blank value " + bad.cause
	}
	return "", bad
}
