package config

// processOptions are about the process itself: where it keeps what it knows, who it runs as.
func processOptions() []Option {
	return []Option{
		{
			Name: optDataDirectory, Section: "Process", Kind: KindPath, Owner: true, also: []string{"data", "data-dir", "state"},
			Computed: "/var/lib/parley for root, else $XDG_DATA_HOME/parley or ~/.local/share/parley", example: "/var/lib/parley",
			Help: "directory for all that is kept",
			Long: "A Daemon keeps what it knows in daemon, a Node in node below it; both are made when they are missing, for their owner" +
				" only (0700). On a command line and in the environment a relative name is taken from the working directory, in a file" +
				" from the directory of that file; in the Setup space it must begin with a slash.",
		},
		{
			Name: optRealUser, Section: "Process", Kind: KindString, Owner: true, check: checkRealUser, Syntax: "<uid>:<gid>:<home>, neither of them root's",
			Computed: "under a Daemon of root the caller of sudo, else nobody; otherwise the Daemon's own user", example: "1000:1000:/home/anna", also: []string{"user", "run-as"},
			Help: "user that a Node becomes when its Daemon is root",
			Long: "Numbers of user and group, and the home directory, as in 1000:1000:/home/anna. A Daemon that runs as root gives a Node" +
				" none of its powers; any other Daemon can start a Node as itself only. A Node that is started without a Daemon stays" +
				" who it is.",
		},
		{
			Name: optDBPassword, Section: "Process", Kind: KindString, Secret: true, also: []string{"database-password"},
			Help: "password of the Node's database",
			Long: "The password under which the secrets in a Node's database are encrypted. It is kept in memory only: neither a Daemon nor" +
				" a Node stores it, so give it again after a restart of the Daemon. It is not changed here: change-password does that.",
		},
		{
			Name: optCrashPoint, Section: "Process", Kind: KindEnum, Owner: true, Unsafe: true, Default: "none", Allowed: []string{"none", "message"},
			Help: "whether a user interface may make the Node crash",
			Long: "For tests of what happens when a Node dies: with message, the crash message of a user interface ends it. Leave it at" +
				" none otherwise.",
		},
	}
}
