package config

import "time"

const (
	kib = int64(1) << 10
	mib = int64(1) << 20
	gib = int64(1) << 30

	millisecond = int64(time.Millisecond)
	second      = int64(time.Second)
	minute      = int64(time.Minute)
	hour        = int64(time.Hour)

	// million bounds counts: above it a limit is a typing error, not a limit.
	million = 1_000_000
	// channelsMost bounds the channels of a node: more than that other nodes of its
	// mesh do not keep. Source: gateways/mesh/PROTOCOL.md, Limits.
	channelsMost = 30_000
)

// Names that code refers to; the rest stand only in the table and in Node.
const (
	optConfigFile      = "config-file"
	optNodeName        = "node-name"
	optRelayAddress    = "relay-address"
	optClandestinePort = "clandestine-port"
	optTLSCertificate  = "relay-tls-certificate"
	optTLSKey          = "relay-tls-key"
	optMetricsAddress  = "metrics-address"
	optOutboundLimit   = "outbound-limit"
	optOutboundCeiling = "outbound-ceiling"
	optPingInterval    = "ping-interval"
	optDeadAfter       = "dead-after"
	optHalfOpenAddress = "half-open-per-address"
	optHalfOpenTotal   = "half-open-total"

	optLogLevel      = "log-level"
	optLogFormat     = "log-format"
	optLogFile       = "log-file"
	optDataDirectory = "data-directory"
	optRealUser      = "real-user"
	optDBPassword    = "db-password"
	optCrashPoint    = "crash-point"

	optUIPort    = "ui-port"
	optUIUsers   = "ui-users"
	optUIOrigins = "ui-origins"
	optUIAccess  = "ui-access"

	optChain            = "chain"
	optNeighborhoodMode = "neighborhood-mode"
	optNeighbors        = "neighbors"
	optMaxPeerLinks     = "max-peer-links"
	optStarAddress      = "star-address"
	optStarPort         = "star-port"
	optStarChallenge    = "star-crypto-challenge"
	optStarStrict       = "star-strict-multiaddr"
	optStarAnnounce     = "star-announce"
	optMaxStarClients   = "max-star-clients"
	optEnclaveAddress   = "enclave-address"
	optEnclavePort      = "enclave-port"
	optEnclaveAlias     = "enclave-alias"
	optEnclaveMaxPacket = "enclave-max-packet"
	optEnclaveRetention = "enclave-retention"
	optEnclaveOutbox    = "enclave-outbox"
	optEnclaveAllow     = "enclave-allow"

	optGasPrice = "gas-price"
	optMinHops  = "min-hops"
)

// off is the word for what a node does not have, or does not do.
const off = "off"

// LogFileLimit is the size, bytes, at which a log file is put aside; one older
// one is kept beside it.
const LogFileLimit = 16 * mib

// options gives the table, grouped by section.
func options() []Option {
	var all []Option
	for _, section := range []func() []Option{
		generalOptions, processOptions, uiOptions,
		relayOptions, clientOptions, limitOptions, doorOptions, passwordOptions, metricsOptions,
		meshOptions, starOptions, enclaveOptions, inertOptions,
	} {
		all = append(all, section()...)
	}
	return all
}

func generalOptions() []Option {
	return []Option{
		{
			Name: optConfigFile, Section: "General", Kind: KindPath, Owner: true, outsideFile: true, also: []string{"config", "file"},
			Computed: "no file is read",
			Help:     "configuration file (TOML)",
			Long: "A TOML file with the names of this table as keys, at the top level, without [sections]. An unknown key is an error." +
				" Relative names are taken from the working directory, in the Setup space from data-directory. It cannot be set in" +
				" the file itself.",
		},
		{
			Name: optNodeName, Section: "General", Kind: KindString, Essential: true, check: checkNodeName, Syntax: "1 to 64 of A-Z a-z 0-9 . _ -", also: []string{"name", "hostname"},
			Computed: `the host name; characters outside A-Z a-z 0-9 . _ - become "-"`, example: "node1",
			Help: "name of this node, unique in its mesh",
			Long: "Logs and statistics carry it; a mesh refuses a second live node of the same name. Upper and lower case" +
				" differ.",
		},
		{
			Name: optLogLevel, Section: "General", Kind: KindEnum, Default: "info", Essential: true, Runtime: true,
			Allowed: []string{"off", "error", "warn", "info", "debug", "trace"}, also: []string{"level", "loglevel"},
			Help: "least serious log line that is written",
			Long: "From off (nothing) to trace (everything). info is for operation; debug and trace are for finding faults: they may" +
				" write lines for every connection or message, and slow a busy node down.",
		},
		{
			Name: optLogFormat, Section: "General", Kind: KindEnum, Default: "text", Allowed: []string{"text", "json"},
			Help: "shape of log lines",
			Long: "text is for people; json is one object a line for programs that collect logs.",
		},
		{
			Name: optLogFile, Section: "General", Kind: KindPath, Owner: true, Computed: "standard error only", also: []string{"log"}, example: "parley.log",
			Help: "file that log lines are written to",
			Long: "Log lines are written to it as well as to standard error. At " + formatSize(LogFileLimit) + " it is renamed, with .1 at the end of its name, and a" +
				" new one is begun; one older file is kept. A Daemon takes its own from its flag only: it and its Node cannot write" +
				" the same file.",
		},
		{
			Name: "drain-timeout", Section: "General", Kind: KindDuration, Default: "10s", Min: 100 * millisecond, Max: minute,
			Unit: "time", also: []string{"shutdown-timeout"},
			Help: "longest orderly end after SIGTERM",
			Long: "On SIGTERM or SIGINT the node accepts nobody new, tells its clients in batches (close code 1001) and ends. Whatever" +
				" is still open after this time is cut. Keep it below the time after which your init system kills.",
		},
	}
}
