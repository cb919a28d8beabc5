package config

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEveryOptionIsDocumented(t *testing.T) {
	seen := map[string]bool{}
	for _, o := range Table() {
		if !regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`).MatchString(o.Name) || seen[o.Name] {
			t.Errorf("option %q: name is not lower-case words joined by -, or appears twice", o.Name)
		}
		seen[o.Name] = true
		if o.Section == "" || o.Help == "" || strings.ContainsAny(o.Help, "\n|") || strings.HasSuffix(o.Help, ".") {
			t.Errorf("option %q: needs a section and one line of help without a full stop", o.Name)
		}
		if len(o.Long) < len(o.Help) || !strings.HasSuffix(o.Long, ".") {
			t.Errorf("option %q: the long text is missing or shorter than the help", o.Name)
		}
		if slices.Contains([]Kind{KindInt, KindDuration, KindSize, KindShare}, o.Kind) && (o.Unit == "" || o.Min >= o.Max) {
			t.Errorf("option %q: a number needs a unit and a range", o.Name)
		}
		if o.Kind == KindEnum && len(o.Allowed) == 0 {
			t.Errorf("option %q: a choice needs its choices", o.Name)
		}
		if o.Secret && o.Kind != KindString {
			t.Errorf("option %q: a secret is text", o.Name)
		}
		for _, word := range o.also {
			if parley.byName[word] != nil {
				t.Errorf("option %q: also %q is an option itself", o.Name, word)
			}
		}
	}
}

func TestDefaultsAreValidAndReadBack(t *testing.T) {
	for _, o := range Table() {
		value, bad := o.parseText(o.Default)
		if bad != nil {
			t.Errorf("option %q: default %q %s", o.Name, o.Default, bad.cause)
			continue
		}
		if got := o.format(value); got != o.Default {
			t.Errorf("option %q: default %q is shown as %q", o.Name, o.Default, got)
		}
	}
	mustLoad(t, machine())
}

func TestOptionsDocumentIsFresh(t *testing.T) { golden(t, "OPTIONS.md", Markdown()) }

// samples is a value for every option other than its default.
func samples(t *testing.T) map[string]string {
	certificate, key := writePair(t, 0o600)
	return map[string]string{
		"config-file": writeTemp(t, "other.toml", ""), "node-name": "n1", "log-level": "trace", "log-format": "json", "drain-timeout": "3s",
		"relay-address": "::1", "clandestine-port": "0", "relay-tls-certificate": certificate, "relay-tls-key": key,
		"relay-origins": "https://a.example,null", "relay-hosts": "a.example,b.example:81", "max-frame": "64KiB", "outbound-limit": "2MiB",
		"outbound-ceiling": "1GiB", "write-timeout": "4s", "ping-interval": "6s", "dead-after": "7m", "message-rate-per-client": "8",
		"max-clients": "9", "max-channels": "10", "max-channels-per-client": "11", "handshake-timeout": "12s", "half-open-per-address": "13",
		"half-open-total": "999", "connect-rate-per-address": "15", "connect-burst": "16", "password-workers": "17", "password-queue": "18",
		"metrics-address": "[::1]:0",
		"log-file":        "/var/log/parley.log", "data-directory": "/srv/parley", "real-user": "1001:1001:/home/ben", "db-password": "pass word",
		"crash-point": "message", "ui-port": "5334", "ui-users": "ben,2000,root,ben", "ui-access": "look", "ui-origins": "null,http://localhost:3000",
		"ui-max-frame": "2MiB", "max-uis": "19", "conversation-idle": "20s",
		"chain": "test-1", "neighborhood-mode": "zero-hop", "neighbors": "parley://a@b.example:1?name=b&tls=1,parley://c@[::1]:65535",
		"max-peer-links": "0", "ip": "203.0.113.7", "public-url": "wss://relay.example/", "relay-token": "tok-en", "master": "on",
		"ask-first": "0", "channel-linger": "3s", "high-latency": "50ms",
		"star-address": "off", "star-port": "9091", "star-crypto-challenge": "off", "star-strict-multiaddr": "off", "star-announce": "delta",
		"max-star-clients": "12",
		"enclave-address":  "0.0.0.0", "enclave-port": "7777", "enclave-alias": "Anna B.",
		"enclave-max-packet": "1MiB", "enclave-retention": "90d", "enclave-outbox": "off", "enclave-allow": "fc00::/8,10.0.0.1",
	}
}

// giving adds values to opts: flags, and the environment for what has no flag.
func giving(t *testing.T, opts LoadOptions, values map[string]string) LoadOptions {
	t.Helper()
	var args, environ []string
	for name, value := range values {
		if o := parley.byName[name]; o.Flag() == "" {
			environ = append(environ, o.Env()+"="+value)
		} else {
			args = append(args, o.Flag()+"="+value)
		}
	}
	opts.Flags = parsed(t, parley, args...)
	opts.Environ = func() []string { return environ }
	return opts
}

func TestEveryOptionReachesTheNode(t *testing.T) {
	samples := samples(t)
	before := mustLoad(t, machine()).Node()
	for _, o := range Table() {
		if o.Inert || o.Name == optRealUser { // real-user is for the Daemon that starts the node
			continue
		}
		sample, ok := samples[o.Name]
		if !ok {
			t.Errorf("option %q: give this test a sample that is not the default", o.Name)
			continue
		}
		if strings.HasPrefix(o.Name, "relay-tls") { // each needs the other: compared with the other pair's
			continue
		}
		if cmp.Equal(before, mustLoad(t, giving(t, machine(), map[string]string{o.Name: sample})).Node()) {
			t.Errorf("option %q: %q does not change the node", o.Name, sample)
		}
	}
}

func TestNode(t *testing.T) {
	samples := samples(t)
	got := mustLoad(t, giving(t, machine(), samples)).Node()
	want := Node{
		ConfigFile: samples["config-file"], Name: "n1", LogLevel: "trace", LogFormat: "json", DrainTimeout: 3e9,
		RelayAddress: "::1", ClandestinePort: 0, RelayTLSCertificate: samples["relay-tls-certificate"], RelayTLSKey: samples["relay-tls-key"],
		RelayOrigins: []string{"https://a.example", "null"}, RelayHosts: []string{"a.example", "b.example:81"},
		MaxFrame: 64 << 10, OutboundLimit: 2 << 20, OutboundCeiling: 1 << 30, WriteTimeout: 4e9, PingInterval: 6e9, DeadAfter: 7 * 60e9,
		MessageRatePerClient: 8, MaxClients: 9, MaxChannels: 10, MaxChannelsPerClient: 11, HandshakeTimeout: 12e9, HalfOpenPerAddress: 13,
		HalfOpenTotal: 999, ConnectRatePerAddress: 15, ConnectBurst: 16, PasswordWorkers: 17, PasswordQueue: 18, MetricsAddress: "[::1]:0",
		UI: UI{
			UIUsers: []uint32{0, 1001, 2000}, UIOrigins: []string{"null", "http://localhost:3000"}, UIAccessLook: true,
			UIMaxFrame: 2 << 20, MaxUIs: 19, ConversationIdle: 20e9,
		},
		UIPort: 5334, DataDirectory: "/srv/parley", DBPassword: "pass word", LogFile: "/var/log/parley.log", CrashPoint: true,
		Mesh: Mesh{
			Chain: "test-1", NeighborhoodMode: "zero-hop", Neighbors: []string{"parley://a@b.example:1?name=b&tls=1", "parley://c@[::1]:65535"},
			MaxPeerLinks: 0, IP: "203.0.113.7", PublicURL: "wss://relay.example/", RelayToken: "tok-en", Master: true,
			ChannelLinger: 3e9, HighLatency: 50e6,
		},
		Star: Star{StarPort: 9091, StarAnnounceDelta: true, MaxStarClients: 12},
		Enclave: Enclave{
			EnclaveAddress: "0.0.0.0", EnclavePort: 7777, EnclaveAlias: "Anna B.", EnclaveMaxPacket: 1 << 20, EnclaveRetention: 90 * 24 * 3600e9,
			EnclaveAllow: []string{"fc00::/8", "10.0.0.1"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("node -want +got\n%s", diff)
	}
	if got.RelayListen() != "[::1]:0" || !got.RelayOnLoopback() || got.Level() != LevelTrace || !got.HasUI() || got.Directory() != "/srv/parley/node" {
		t.Errorf("listen %q, loopback %v, level %v, UI %v, in %q", got.RelayListen(), got.RelayOnLoopback(), got.Level(), got.HasUI(), got.Directory())
	}
}

func TestComputedDefaults(t *testing.T) {
	opts := machine("PARLEY_METRICS_ADDRESS=off")
	opts.Cores = 8
	node := mustLoad(t, opts).Node()
	if node.Name != "b-ro-pc.local" || node.EnclaveAlias != node.Name || node.HasUI() || node.DataDirectory != "/home/anna/.local/share/parley" || node.PasswordWorkers != 4 || node.OutboundCeiling != testMemory/100*25 || node.MetricsAddress != "" {
		t.Errorf("got %+v", node)
	}
	opts.Cores = 1
	opts.Hostname = func() (string, error) { return "", errNoName }
	values := mustLoad(t, opts)
	if values.Node().Name != "node" || values.Node().PasswordWorkers != 1 || len(values.Warnings()) != 1 {
		t.Errorf("got %+v, warnings %q", values.Node(), values.Warnings())
	}
	if long := sanitizeNodeName(strings.Repeat("x", 300)); checkNodeName(long) != "" {
		t.Errorf("sanitized to %q", long)
	}
}

func TestMachineMemory(t *testing.T) {
	if got, err := machineMemory(); err != nil || got < mib {
		t.Errorf("got %d bytes, %v", got, err)
	}
}

func TestNearest(t *testing.T) {
	for name, want := range map[string]string{
		"relay-adress": "relay-address", "ralay-address": "relay-address", "Relay_Address": "relay-address", "pign-interval": "ping-interval",
		"port": "clandestine-port", "prot": "clandestine-port", "max-chanels": "max-channels", "max-channels-per-clients": "max-channels-per-client",
		"deadafter": "dead-after", "x": "", "": "", "something-else-altogether": "", strings.Repeat("relay-address", 5000): "",
	} {
		if got := parley.nearest(name); got != want {
			t.Errorf("nearest(%.40q) = %q, want %q", name, got, want)
		}
	}
}
