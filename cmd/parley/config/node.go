package config

import (
	"log/slog"
	"net"
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
}

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
func (n *Node) Level() slog.Level {
	return map[string]slog.Level{
		"off": LevelOff, "error": slog.LevelError, "warn": slog.LevelWarn,
		"info": slog.LevelInfo, "debug": slog.LevelDebug, "trace": LevelTrace,
	}[n.LogLevel]
}

// coresPerPasswordWorker: hashing may take half of the machine, not more.
// Source: gateways/relay/PROTOCOL.md, passwords.
const coresPerPasswordWorker = 2

// newNode takes the options over. memory and cores are the machine's; memory, bytes, is
// used for a percentage only.
func newNode(v *Values, memory int64, cores int) Node {
	n := Node{
		ConfigFile: v.String(optConfigFile), Name: v.String(optNodeName),

		LogLevel: v.String("log-level"), LogFormat: v.String("log-format"), DrainTimeout: v.Duration("drain-timeout"),

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

		MetricsAddress: v.String(optMetricsAddress),
	}
	if n.MetricsAddress == "off" {
		n.MetricsAddress = ""
	}
	if n.PasswordWorkers == 0 {
		n.PasswordWorkers = max(1, cores/coresPerPasswordWorker)
	}
	return n
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
