package config

import "path/filepath"

// compute fills in what depends on the machine, so that it is shown as the default.
func (l *loader) compute() {
	l.computeDefaults()
	l.computeText(optEnclaveAlias, func() string { return l.values.String(optNodeName) })
	l.computePaths()
}

// computeDefaults fills in what depends on the machine alone.
func (l *loader) computeDefaults() {
	l.computeText(optNodeName, func() string {
		host, err := l.opts.Hostname()
		if err != nil {
			l.warnings = append(l.warnings, "node-name: the host name is unknown ("+err.Error()+"), so the node is called "+fallbackNodeName)
		}
		return sanitizeNodeName(host)
	})
	l.computeText(optRealUser, func() string { return defaultRealUser(l.opts.User(), l.opts.getenv, l.accounts) })
	l.computeText(optDataDirectory, func() string { return defaultDataDirectory(l.opts.User(), l.opts.getenv, l.accounts) })
}

// computeText fills in a text that is blank.
func (l *loader) computeText(name string, value func() string) {
	if l.table.byName[name] != nil && l.values.String(name) == "" {
		l.load(map[string]any{name: value()})
	}
}

// computePaths gives the data directory its full name, and places what a Daemon
// set in it: its Node has another working directory than who set it.
func (l *loader) computePaths() {
	data := l.values.String(optDataDirectory)
	switch full, err := filepath.Abs(data); {
	case data == "":
		l.clash(optDataDirectory, "", "is not set, and this user has no home directory", "name a directory with --data-directory or "+l.table.byName[optDataDirectory].Env())
	case err != nil:
		l.clash(optDataDirectory, "", "cannot be made a full name: "+reason(err), "write it with a slash at its beginning")
	default:
		data = full
		l.load(map[string]any{optDataDirectory: data})
	}
	for i := range l.table.options {
		o := &l.table.options[i]
		if o.Kind == KindPath && l.origins[o.Name].Source == SourceSetup {
			l.load(map[string]any{o.Name: under(data, l.values.String(o.Name))})
		}
	}
}

// under gives name as seen from directory; blank stays blank.
func under(directory, name string) string {
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(directory, name)
}
