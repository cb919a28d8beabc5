package config

func relayOptions() []Option {
	return []Option{
		{
			Name: optRelayAddress, Section: "Relay", Kind: KindAddress, Default: "127.0.0.1", Essential: true,
			also: []string{"address", "listen", "bind", "relay-host"},
			Help: "address that relay clients connect to",
			Long: "The IP address of the network interface to listen on; 0.0.0.0 or :: is every interface. On a loopback address" +
				" only programs of this machine get in, and the Host header is checked (see relay-hosts).",
		},
		{
			Name: optClandestinePort, Section: "Relay", Kind: KindInt, Default: "8912", Min: 1025, Max: 65535,
			Zero: "any free port", Unit: "TCP port", Essential: true, also: []string{"port", "relay-port"},
			Help: "port for relay clients",
			Long: "The TCP port of /connect and /health. With 0 the system picks a free one, and the ready line on standard output" +
				" names it. Ports below 1025 need privileges and are refused: put a proxy in front instead.",
		},
		{
			Name: optTLSCertificate, Section: "Relay", Kind: KindPath, Owner: true, Computed: "no TLS", Essential: true, also: []string{"certificate", "tls-certificate"}, example: "relay.crt",
			Help: "TLS certificate chain of the relay (PEM)",
			Long: "Certificate of this node first, then the intermediate ones. With it relay and rendezvous speak https and wss only. Needs" +
				" relay-tls-key. The content of the file is read again when it changes. Relative names in a file are taken from" +
				" the directory of that file.",
		},
		{
			Name: optTLSKey, Section: "Relay", Kind: KindPath, Owner: true, Computed: "no TLS", Essential: true, also: []string{"key", "tls-key"}, example: "relay.key",
			Help: "private key of relay-tls-certificate (PEM)",
			Long: "The file must be readable by its owner only (chmod 600), otherwise the node does not start. Needs" +
				" relay-tls-certificate. Relative names in a file are taken from the directory of that file.",
		},
		{
			Name: "relay-origins", Section: "Relay", Kind: KindList, Computed: "any Origin, as a public relay wants", check: checkOrigin, Syntax: "scheme://host[:port], null, file://",
			also: []string{"origins", "allowed-origins"}, example: "https://chat.example",
			Help: "web pages that may connect, by Origin",
			Long: "Exact Origins as browsers send them: in lower case, with a port only if it is not the scheme's own, no path and no" +
				" slash at the end; null and file:// count only when listed. When the list is not empty, any other Origin gets 403." +
				" Clients that send no Origin (programs, not pages) are not concerned.",
		},
		{
			Name: "relay-hosts", Section: "Relay", Kind: KindList, check: checkHost, Syntax: "name, IPv4 address or [IPv6 address], each with :port or without", example: "relay.example",
			Computed: "any Host; only loopback names while relay-address is a loopback address",
			also:     []string{"hosts", "allowed-hosts"},
			Help:     "names that clients may call this relay by (Host header)",
			Long: "Without a port, an entry goes with no port and with that of the relay. When the list is not empty, requests for" +
				" any other Host get 403. While relay-address is a loopback address, localhost, 127.0.0.0/8 and [::1] are always" +
				" allowed and all others must be listed here: this keeps web pages from reaching a local relay through a name of" +
				" theirs (DNS rebinding). Behind a proxy on this machine, list its public name. The rendezvous takes these names, too.",
		},
	}
}

func clientOptions() []Option {
	return []Option{
		{
			Name: "max-frame", Section: "Clients", Kind: KindSize, Default: "4MiB", Min: kib, Max: 64 * mib, Unit: "bytes",
			also: []string{"max-message", "max-message-size", "max-frame-size"},
			Help: "largest message that a client may send",
			Long: "The whole message counts, over all its fragments. A longer one closes the connection with 1009. One message of" +
				" this size can be queued for a client beyond outbound-limit.",
		},
		{
			Name: optOutboundLimit, Section: "Clients", Kind: KindSize, Default: "1MiB", Min: 64 * kib, Max: gib, Unit: "bytes",
			also: []string{"outbound", "queue-limit"},
			Help: "bytes that may wait for one client",
			Long: "What the socket of a slow client does not take is queued. Each piece of it counts 128 bytes more than it has. When more than this is" +
				" waiting and another message comes, the client is closed with 1013, slow consumer. One message is always taken, so that the bound is this limit and one" +
				" message.",
		},
		{
			Name: optOutboundCeiling, Section: "Clients", Kind: KindShare, Default: "25%", Min: mib, Max: 1024 * gib,
			Unit: "percent of the memory, or bytes", also: []string{"outbound-total"},
			Help: "bytes that may wait for all clients together",
			Long: "A percentage is taken of the machine's memory, or of the control group's limit if that is lower. Above it, the clients with the longest queues are closed" +
				" with 1013 until the rest fits. Browsers at the rendezvous have half as much of their own, and a quarter for" +
				" what they say before anybody accepts it.",
		},
		{
			Name: "write-timeout", Section: "Clients", Kind: KindDuration, Default: "10s", Min: 100 * millisecond, Max: 5 * minute,
			Unit: "time", also: []string{"slow-timeout"},
			Help: "longest time that one write to a client may block",
			Long: "A client that takes nothing for this long is closed with 1013, slow consumer, however little is waiting for it.",
		},
		{
			Name: optPingInterval, Section: "Clients", Kind: KindDuration, Default: "30s", Min: 100 * millisecond, Max: hour,
			Unit: "time", also: []string{"ping", "heartbeat", "keepalive"},
			Help: "time between two pings to a client",
			Long: "Pings keep proxies and address translators from forgetting a silent connection, and find dead clients. Shorter than" +
				" dead-after.",
		},
		{
			Name: optDeadAfter, Section: "Clients", Kind: KindDuration, Default: "75s", Min: 200 * millisecond, Max: 3 * hour,
			Unit: "time", also: []string{"idle-timeout", "pong-timeout"},
			Help: "silence after which a client counts as gone",
			Long: "Any frame from the client counts, an answer to a ping too. Must be longer than ping-interval; twice as long" +
				" forgives one lost ping.",
		},
		{
			Name: "message-rate-per-client", Section: "Clients", Kind: KindInt, Default: "0", Min: 1, Max: million,
			Zero: "unlimited", Unit: "messages a second", also: []string{"message-rate", "rate-limit"},
			Help: "messages that one client may send a second",
			Long: "Every command counts. A client above the rate is read from more slowly, not closed. Without a rate, clients are" +
				" still slowed to what the node can deliver.",
		},
	}
}

func limitOptions() []Option {
	return []Option{
		{
			Name: "max-clients", Section: "Limits", Kind: KindInt, Default: "100000", Min: 1, Max: million, Unit: "clients",
			also: []string{"max-connections"},
			Help: "clients that may be connected at once",
			Long: "One more is turned away. Each client needs a file descriptor: raise the process's limit of open files as well.",
		},
		{
			Name: "max-channels", Section: "Limits", Kind: KindInt, Default: "10000", Min: 1, Max: channelsMost, Unit: "channels",
			Help: "channels that may be open on this node",
			Long: "A subscription that would open one more is refused with channel limit reached; channels that are open already" +
				" go on taking subscribers. The nodes of a mesh keep track of 100000 of all others; beyond that" +
				" messages go to every node, and health says records full.",
		},
		{
			Name: "max-channels-per-client", Section: "Limits", Kind: KindInt, Default: "128", Min: 1, Max: 65536, Unit: "channels",
			also: []string{"max-subscriptions"},
			Help: "channels that one client may subscribe to",
			Long: "One more is refused with channel limit reached; the connection stays.",
		},
	}
}

func doorOptions() []Option {
	return []Option{
		{
			Name: "handshake-timeout", Section: "Door", Kind: KindDuration, Default: "5s", Min: 100 * millisecond, Max: minute,
			Unit: "time",
			Help: "longest WebSocket handshake, TLS included",
			Long: "From the accepted connection to the upgraded one. Who sends its request more slowly is cut.",
		},
		{
			Name: optHalfOpenAddress, Section: "Door", Kind: KindInt, Default: "256", Min: 1, Max: million, Unit: "connections",
			Help: "unfinished handshakes from one address",
			Long: "Connections beyond it are reset. An IPv6 /64 counts as one address; loopback addresses are exempt.",
		},
		{
			Name: optHalfOpenTotal, Section: "Door", Kind: KindInt, Default: "4096", Min: 1, Max: million, Unit: "connections",
			Help: "unfinished handshakes from all addresses",
			Long: "When one more comes, the oldest of them is reset. At least half-open-per-address.",
		},
		{
			Name: "connect-rate-per-address", Section: "Door", Kind: KindInt, Default: "200", Min: 1, Max: million,
			Zero: "unlimited", Unit: "handshakes a second", also: []string{"connect-rate"},
			Help: "new connections a second from one address",
			Long: "Those beyond it and beyond connect-burst are reset. An IPv6 /64 counts as one address; loopback addresses are" +
				" exempt.",
		},
		{
			Name: "connect-burst", Section: "Door", Kind: KindInt, Default: "400", Min: 1, Max: million, Unit: "handshakes",
			Help: "new connections that one address may make at once",
			Long: "What an address has saved up by being quiet: so many may come together before connect-rate-per-address counts." +
				" Unused while that is 0.",
		},
	}
}

func passwordOptions() []Option {
	return []Option{
		{
			Name: "password-workers", Section: "Passwords", Kind: KindInt, Default: "0", Min: 1, Max: 256,
			Zero: "1 for every 2 cores, at least 1", Unit: "workers",
			Help: "channel passwords hashed at the same time",
			Long: "Each takes a core for about 16 ms by design of the hash. More workers answer password storms sooner and leave" +
				" less of the machine to messages.",
		},
		{
			Name: "password-queue", Section: "Passwords", Kind: KindInt, Default: "256", Min: 1, Max: 65536, Unit: "passwords",
			Help: "channel passwords waiting to be hashed",
			Long: "One more is refused with busy; the client may try again. Passwords that were right lately do not queue.",
		},
	}
}

func metricsOptions() []Option {
	return []Option{
		{
			Name: optMetricsAddress, Section: "Metrics", Kind: KindListen, Default: "127.0.0.1:9464", Loopback: true, Allowed: []string{"off"},
			also: []string{"metrics", "metrics-port", "prometheus", "pprof"},
			Help: "loopback address of /metrics and profiles",
			Long: "Prometheus metrics and Go profiles for programs of this machine only; another address is refused, because both tell" +
				" strangers too much. With port 0 the system picks a free one, and the ready line names it. off disables both. To" +
				" read them from elsewhere, use a proxy with a login or an SSH tunnel.",
		},
	}
}
