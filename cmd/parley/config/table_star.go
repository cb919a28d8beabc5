package config

// Choices of star-announce.
const (
	announceSeed  = "seed"
	announceDelta = "delta"
)

func starOptions() []Option {
	return []Option{
		{
			Name: optStarAddress, Section: "Rendezvous", Kind: KindAddress, Default: "127.0.0.1", Allowed: []string{off},
			also: []string{"rendezvous", "rendezvous-address"},
			Help: "address that browsers meet at",
			Long: "The IP address of the network interface to listen on for libp2p WebSocketStar; off: no rendezvous. Web pages of any" +
				" Origin may meet there. With relay-tls-certificate it speaks https and wss only, as the relay does; the Host header" +
				" is checked as the relay's is, with relay-hosts, and on a loopback address always. The limits under Door hold for it, too.",
		},
		{
			Name: optStarPort, Section: "Rendezvous", Kind: KindInt, Default: "9090", Min: 1025, Max: 65535, Zero: "any free port", Unit: "TCP port",
			also: []string{"rendezvous-port"},
			Help: "port that browsers meet at",
			Long: "The TCP port of the rendezvous. With 0 the system picks a free one, and the ready line on standard output names it. When" +
				" somebody else has the port, the node does not start.",
		},
		{
			Name: optStarChallenge, Section: "Rendezvous", Kind: KindEnum, Unsafe: true, Default: "on", Allowed: onOff, also: []string{"crypto-challenge"},
			Help: "whether browsers must prove who they are",
			Long: "With on, a browser signs a number to show that its address is its own. With off, any address can be taken by anybody," +
				" once who had it is gone or silent.",
		},
		{
			Name: optStarStrict, Section: "Rendezvous", Kind: KindEnum, Default: "on", Allowed: onOff, also: []string{"strict-multiaddr"},
			Help: "whether addresses of browsers must be well formed",
			Long: "With off, odd addresses may join; those that would harm other browsers are still not announced to them.",
		},
		{
			Name: optStarAnnounce, Section: "Rendezvous", Kind: KindEnum, Default: announceSeed, Allowed: []string{announceSeed, announceDelta},
			Help: "how browsers hear of each other",
			Long: "seed: every address to everybody when it joins and every 10 s. delta: new addresses at once, all of them once a minute," +
				" which costs less when many meet.",
		},
		{
			Name: optMaxStarClients, Section: "Rendezvous", Kind: KindInt, Default: "10000", Min: 1, Max: million, Unit: "browsers",
			also: []string{"max-browsers"},
			Help: "browsers that may be connected at once",
			Long: "One more is turned away. Each needs a file descriptor beside those of max-clients, and costs more than a relay's client:" +
				" it hears of all others.",
		},
	}
}
