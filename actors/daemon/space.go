package daemon

// Row is one parameter of the Setup space.
type Row struct {
	Name    string
	Default string // empty: none, the parameter is Blank or Required without a value
	Secret  bool   // never shown, never stored
	Owner   bool   // only root and the Daemon's own user may change it: it decides what others may
	// Veil hides what is secret in a value that is shown; nil: nothing is. The
	// value itself is stored.
	Veil func(value string) string
}

// shown is a value as user interfaces see it.
func (r *Row) shown(value string) string {
	switch {
	case value == "":
		return ""
	case r.Secret:
		return mask
	case r.Veil != nil:
		return r.Veil(value)
	}
	return value
}

// Problem is what is wrong with one parameter, for people.
type Problem struct{ Name, Text string }

// Space is the table behind the Setup space. The functions are handed over by
// who knows options, files and environment.
type Space struct {
	Rows []Row // sorted by name
	// Check says what is stored for a value that somebody gave, or what is wrong
	// with it. It does not look outside; name is one of Rows.
	Check func(name, value string) (stored, problem string)
	// Cross says what is wrong between parameters that are each right, and which
	// ones without a value need one. values are those in effect.
	Cross func(values map[string]string) (problems []Problem, required []string)
	// Configured reads the environment and the config file that values name (in
	// effect, by name: config-file, data-directory). It may take its time: it
	// runs off the actors.
	Configured func(values map[string]string) (configured map[string]string, problems []Problem)
}

// Shown tells how user interfaces see a value that one of them gave. ok is false
// if it would be refused, or is a secret: a mask tells nothing of what is behind it.
func (s *Space) Shown(name, value string) (shown string, ok bool) {
	row := s.row(name)
	if row == nil || row.Secret {
		return "", false
	}
	stored, problem := s.Check(name, value)
	return row.shown(stored), problem == ""
}
