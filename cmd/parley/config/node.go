package config

import (
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Node are the options of a node, checked, computed ones filled in. The field
// comments name the option; its meaning and range stand in the table.
type Node struct {
	ConfigFile string // config-file; blank: none
	Name       string // node-name; never blank

	LogLevel     string        // log-level; see Level
	LogFormat    string        // log-format: text or json
	DrainTimeout time.Duration // drain-timeout

	RelayAddress        string   // relay-address: IP address or localhost
	ClandestinePort     int      // clandestine-port; 0: any free port
	RelayTLSCertificate string   // relay-tls-certificate; blank: no TLS
	RelayTLSKey         string   // relay-tls-key; blank: no TLS
	RelayOrigins        []string // relay-origins; empty: any
	RelayHosts          []string // relay-hosts; empty: any, or loopback names on loopback

	MaxFrame             int64         // max-frame, bytes
	OutboundLimit        int64         // outbound-limit, bytes a client
	OutboundCeiling      int64         // outbound-ceiling, bytes; a percentage is resolved
	WriteTimeout         time.Duration // write-timeout
	PingInterval         time.Duration // ping-interval
	DeadAfter            time.Duration // dead-after, longer than PingInterval
	MessageRatePerClient int           // message-rate-per-client, messages a second; 0: unlimited

	MaxClients           int // max-clients
	MaxChannels          int // max-channels
	MaxChannelsPerClient int // max-channels-per-client

	HandshakeTimeout      time.Duration // handshake-timeout
	HalfOpenPerAddress    int           // half-open-per-address
	HalfOpenTotal         int           // half-open-total, at least HalfOpenPerAddress
	ConnectRatePerAddress int           // connect-rate-per-address, a second; 0: unlimited
	ConnectBurst          int           // connect-burst

	PasswordWorkers int // password-workers, at least 1; 0 is resolved
	PasswordQueue   int // password-queue

	MetricsAddress string // metrics-address: loopback address:port; blank: off

	UI
	UIPort int // ui-port; 0: any free port, negative: no user interfaces, see HasUI

	DataDirectory string // data-directory, a full path; see Directory
	DBPassword    string // db-password, secret; blank: not given
	LogFile       string // log-file; blank: standard error only
	CrashPoint    bool   // crash-point message: the crash message is obeyed

	Mesh
	Star
	Enclave
}

// UI are the options of a gateway for user interfaces, of a Node or a Daemon.
type UI struct {
	UIUsers          []uint32      // ui-users, by number, sorted; beside root and the process's own user
	UIOrigins        []string      // ui-origins; empty: no web page
	UIAccessLook     bool          // ui-access look: other local users may connect and look
	UIMaxFrame       int64         // ui-max-frame, bytes
	MaxUIs           int           // max-uis
	ConversationIdle time.Duration // conversation-idle
}

// Mesh are the options of the node's place among others.
type Mesh struct {
	Chain            string   // chain
	NeighborhoodMode string   // neighborhood-mode
	Neighbors        []string // neighbors, as descriptors with their tokens: secret
	MaxPeerLinks     int      // max-peer-links; 0: none
	IP               string   // ip; blank: not known
	PublicURL        string   // public-url; blank: none
	RelayToken       string   // relay-token, secret; blank: to be generated
	Master           bool     // master

	AskFirst      time.Duration // ask-first; 0: not at all
	ChannelLinger time.Duration // channel-linger; 0: not at all
	HighLatency   time.Duration // high-latency
}

// HasUI tells whether the node by itself listens for user interfaces.
func (n *Node) HasUI() bool { return n.UIPort >= 0 }

// Directory gives the Node's own directory.
func (n *Node) Directory() string { return NodeDirectory(n.DataDirectory) }

// NodeDirectory gives the directory of the Node whose data-directory is data;
// that of its Daemon is beside it.
func NodeDirectory(data string) string { return filepath.Join(data, "node") }

// RelayListen gives address:port of the relay's listener.
func (n *Node) RelayListen() string {
	return net.JoinHostPort(n.RelayAddress, strconv.Itoa(n.ClandestinePort))
}

// RelayOnLoopback tells whether only this machine can reach the relay: then
// the Host header is checked.
func (n *Node) RelayOnLoopback() bool { return isLoopback(n.RelayAddress) }

// Log levels beside those of slog.
const (
	LevelTrace = slog.LevelDebug - 4
	LevelOff   = slog.LevelError + 4 // nothing is logged at it
)

// Level gives log-level for slog.
func (n *Node) Level() slog.Level { return Level(n.LogLevel) }

// Level gives a value of log-level for slog.
func Level(name string) slog.Level {
	return map[string]slog.Level{
		off: LevelOff, "error": slog.LevelError, "warn": slog.LevelWarn,
		"info": slog.LevelInfo, "debug": slog.LevelDebug, "trace": LevelTrace,
	}[name]
}

// coresPerPasswordWorker: hashing may take half of the machine, not more.
// Source: gateways/relay/PROTOCOL.md, passwords.
const coresPerPasswordWorker = 2

// newNode takes the options over. memory and cores are the machine's; memory, bytes, is
// used for a percentage only.
func newNode(v *Values, memory int64, cores int) Node {
	n := Node{
		ConfigFile: v.String(optConfigFile), Name: v.String(optNodeName),

		LogLevel: v.String(optLogLevel), LogFormat: v.String(optLogFormat), DrainTimeout: v.Duration("drain-timeout"),

		RelayAddress: v.String(optRelayAddress), ClandestinePort: v.Int(optClandestinePort),
		RelayTLSCertificate: v.String(optTLSCertificate), RelayTLSKey: v.String(optTLSKey),
		RelayOrigins: v.List("relay-origins"), RelayHosts: v.List("relay-hosts"),

		MaxFrame: v.Size("max-frame"), OutboundLimit: v.Size(optOutboundLimit),
		OutboundCeiling: resolveShare(v.String(optOutboundCeiling), memory),
		WriteTimeout:    v.Duration("write-timeout"), PingInterval: v.Duration(optPingInterval), DeadAfter: v.Duration(optDeadAfter),
		MessageRatePerClient: v.Int("message-rate-per-client"),

		MaxClients: v.Int("max-clients"), MaxChannels: v.Int("max-channels"), MaxChannelsPerClient: v.Int("max-channels-per-client"),

		HandshakeTimeout:   v.Duration("handshake-timeout"),
		HalfOpenPerAddress: v.Int(optHalfOpenAddress), HalfOpenTotal: v.Int(optHalfOpenTotal),
		ConnectRatePerAddress: v.Int("connect-rate-per-address"), ConnectBurst: v.Int("connect-burst"),

		PasswordWorkers: v.Int("password-workers"), PasswordQueue: v.Int("password-queue"),

		MetricsAddress: listenAt(v, optMetricsAddress),

		UI: newUI(v), UIPort: v.Int(optUIPort),

		DataDirectory: v.String(optDataDirectory), DBPassword: v.String(optDBPassword), LogFile: v.String(optLogFile),
		CrashPoint: v.String(optCrashPoint) == "message",

		Mesh: newMesh(v), Star: newStar(v), Enclave: newEnclave(v),
	}
	if n.PasswordWorkers == 0 {
		n.PasswordWorkers = max(1, cores/coresPerPasswordWorker)
	}
	return n
}

// newUI takes the options over; the users are not resolved yet.
func newUI(v *Values) UI {
	return UI{
		UIOrigins: v.List(optUIOrigins), UIAccessLook: v.String(optUIAccess) == accessLook,
		UIMaxFrame: v.Size("ui-max-frame"), MaxUIs: v.Int("max-uis"), ConversationIdle: v.Duration("conversation-idle"),
	}
}

func newMesh(v *Values) Mesh {
	return Mesh{
		Chain: v.String(optChain), NeighborhoodMode: v.String(optNeighborhoodMode), Neighbors: v.List(optNeighbors),
		MaxPeerLinks: v.Int(optMaxPeerLinks), IP: v.String("ip"), PublicURL: v.String("public-url"), RelayToken: v.String("relay-token"),
		Master: v.String("master") == "on",

		AskFirst: v.Duration("ask-first"), ChannelLinger: v.Duration("channel-linger"), HighLatency: v.Duration("high-latency"),
	}
}

// listenAt gives an address to listen on; blank: off.
func listenAt(v *Values, name string) string {
	if address := v.String(name); address != off {
		return address
	}
	return ""
}

// resolveShare gives the bytes of a percent-or-size value.
func resolveShare(text string, memory int64) int64 {
	if digits, percent := strings.CutSuffix(text, "%"); percent {
		n, _ := strconv.ParseInt(digits, 10, 64)
		return memory / 100 * n
	}
	n, _ := sizeOf(text)
	return n
}
