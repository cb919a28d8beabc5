package config

// defaultUIPort is where a Daemon is found. Source: gateways/uiv2/PROTOCOL.md.
const defaultUIPort = "5333"

const sectionUI = "User interfaces"

// Choices of ui-access.
const (
	accessOwners = "owners"
	accessLook   = "look"
)

func uiOptions() []Option {
	return []Option{
		uiPortOption(),
		{
			Name: optUIUsers, Section: sectionUI, Kind: KindList, Owner: true, check: checkUser, Syntax: "name or number of a user of this machine",
			Computed: "nobody else", example: "1001,1002", also: []string{"users", "allowed-users"},
			Help: "local users who may change things",
			Long: "Beside root and the user that the Daemon runs as. They can do all that a user interface can, but for what decides who" +
				" may do what (marked \"owner only\" in this table). Everybody else is turned away, or may look: see ui-access.",
		},
		{
			Name: optUIAccess, Section: sectionUI, Kind: KindEnum, Owner: true, Default: accessOwners, Allowed: []string{accessOwners, accessLook}, also: []string{"access"},
			Help: "what other local users may do",
			Long: "With owners, a user interface of any user but root, the Daemon's own and ui-users is refused with 403. With look it may" +
				" connect, ask and listen, and is refused every change.",
		},
		{
			Name: optUIOrigins, Section: sectionUI, Kind: KindList, Owner: true, check: checkOrigin, Syntax: "scheme://host[:port], null, file://",
			Computed: "no web page", example: "http://localhost:3000",
			Help: "web pages that may be user interfaces, by Origin",
			Long: "Exact Origins as browsers send them: in lower case, with a port only if it is not the scheme's own, no path and no" +
				" slash at the end; null and file:// count only when listed. Programs, which send no Origin, need not be listed. A page" +
				" that is listed can do what the user can in whose browser it is.",
		},
		{
			Name: "ui-max-frame", Section: sectionUI, Kind: KindSize, Default: "1MiB", Min: 4 * kib, Max: 64 * mib, Unit: "bytes",
			Help: "largest message that a user interface may send",
			Long: "The whole message counts, over all its fragments. A longer one closes the connection with 1009.",
		},
		{
			Name: "max-uis", Section: sectionUI, Kind: KindInt, Default: "2000", Min: 1, Max: million, Unit: "connections", also: []string{"ui-limit"},
			Help: "user interfaces that may be connected at once",
			Long: "One more is turned away. Each needs a file descriptor: raise the process's limit of open files as well.",
		},
		{
			Name: "conversation-idle", Section: sectionUI, Kind: KindDuration, Default: "5m", Min: second, Max: 24 * hour, Unit: "time",
			also: []string{"conversation-timeout"},
			Help: "silence after which a conversation ends",
			Long: "A user interface does not notice: its next message in that conversation begins it anew. Longer costs memory for" +
				" interfaces that use many of them.",
		},
	}
}

// uiPortOption is the one option that is no parameter of the Setup space: under a Daemon, a
// Node gets its port from it.
func uiPortOption() Option {
	return Option{
		Name: optUIPort, Section: sectionUI, Kind: KindInt, Min: 1025, Max: 65535, Zero: "any free port", Blank: "no user interfaces", Unit: "TCP port",
		Computed: defaultUIPort + " for a Daemon, none for a Node by itself", example: defaultUIPort,
		outsideFile: true, outsideSetup: true,
		Help: "port for user interfaces, on loopback",
		Long: "The TCP port that user interfaces connect to, on 127.0.0.1 and ::1, never on another address. A Daemon has " + defaultUIPort +
			" by default, a Node by itself has none without it. With 0 the system picks a free one, and the ready line names it.",
	}
}
