package daemon

// Row is one parameter of the Setup space.
type Row struct {
	Name    string
	Default string // empty: none, the parameter is Blank or Required without a value
	Secret  bool   // never shown, never stored
	Owner   bool   // only root and the Daemon's own user may change it: it decides what others may
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
