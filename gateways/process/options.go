package process

import "time"

const (
	// ownExecutable stays what this process runs when an upgrade replaces or
	// removes the file, and can be started by a user who may not search its folder.
	ownExecutable = "/proc/self/exe"
	readyLimit    = 10 * time.Second
	killAfter     = time.Second
)

// ownArgs are the arguments of a Node, its name first. They carry no setting:
// anybody can read them.
var ownArgs = []string{"parley", "node", "--under-daemon"}

// Options configure Spawn. The zero value starts this executable as a Node.
type Options struct {
	Executable string   // path; empty: what this process runs
	Args       []string // from the program's name on; empty: those of a Node. Adopt expects them too

	ReadyLimit time.Duration // from Launch to ready; 0: 10 s
	KillAfter  time.Duration // from SIGTERM to SIGKILL for a Node that was not ready in time; 0: 1 s

	// Line gets what a Node writes to stderr, line by line: harmless on a
	// terminal, cut, and not more than lineRate lines a second; one that tells how
	// many were left out is among them. It is called on a goroutine that reads the
	// pipe and should not take long. nil: nobody wants them.
	Line func(pid uint32, line string)
}

// filled returns o with its defaults.
func (o Options) filled() *Options {
	if o.Executable == "" {
		o.Executable = ownExecutable
	}
	if len(o.Args) == 0 {
		o.Args = ownArgs
	}
	if o.ReadyLimit == 0 {
		o.ReadyLimit = readyLimit
	}
	if o.KillAfter == 0 {
		o.KillAfter = killAfter
	}
	return &o
}

// hand is Line for one process; nil: nobody wants the lines.
func (o *Options) hand(pid uint32) func(string) {
	if o.Line == nil {
		return nil
	}
	return func(line string) { o.Line(pid, line) }
}
