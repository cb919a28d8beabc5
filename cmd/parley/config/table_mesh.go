package config

// Choices of neighborhood-mode. Source: the neighborhood modes of MASQNode-UIv2.
const (
	ModeStandard  = "standard"
	ModeOriginate = "originate-only"
	ModeConsume   = "consume-only"
	ModeZeroHop   = "zero-hop"
)

var onOff = []string{"on", off}

func meshOptions() []Option {
	return []Option{
		{
			Name: optChain, Section: "Mesh", Kind: KindString, Default: "dev", check: checkChain, Syntax: "1 to 32 of a-z 0-9 -", also: []string{"mesh", "network"},
			Help: "name of the mesh to join",
			Long: "Nodes of another chain are refused, and refuse this one.",
		},
		{
			Name: optNeighborhoodMode, Section: "Mesh", Kind: KindEnum, Default: ModeStandard, also: []string{"mode"},
			Allowed: []string{ModeStandard, ModeOriginate, ModeConsume, ModeZeroHop},
			Help:    "part that this node takes in its mesh",
			Long: "standard: connects to other nodes, is connected to, and passes on for them. originate-only: connects and passes on, but" +
				" nobody connects to it. consume-only: connects, is not connected to either, and passes nothing on for others. zero-hop:" +
				" no mesh, a relay by itself. originate-only and consume-only need neighbors.",
		},
		{
			Name: optNeighbors, Section: "Mesh", Kind: KindList, check: checkNeighbor, veil: veilNeighbors,
			Syntax:   "parley://<token>@<host>:<port>[?name=<node-name>][&tls=1]",
			Computed: "none", example: "parley://s3cr3t-token@node2.example:8912?name=node2&tls=1", also: []string{"peers", "descriptors"},
			Help: "nodes to connect to",
			Long: "Each as its descriptor, which parley descriptor prints there. They are dialled for ever, up to 30 s apart; through" +
				" them the node finds others by itself. The token in a descriptor lets in whoever has it: on a command line all" +
				" users of the machine can read it, so prefer a file. parley config shows asterisks instead of tokens.",
		},
		{
			Name: optMaxPeerLinks, Section: "Mesh", Kind: KindInt, Default: "8", Max: 256, Unit: "links", Runtime: true, also: []string{"max-peers"},
			Help: "links to and from other nodes",
			Long: "A node that has so many turns another one away. Beyond its neighbors it dials 6 nodes at most. 0 is none.",
		},
		{
			Name: "ip", Section: "Mesh", Kind: KindString, check: checkPublicIP, Syntax: "an IP address", Computed: "not known", example: "203.0.113.7", also: []string{"public-ip"},
			Help: "public IP address of this node",
			Long: "What this node's descriptor says, when others reach it at another address than the one it listens on.",
		},
		{
			Name: "public-url", Section: "Mesh", Kind: KindString, check: checkPublicURL, Syntax: "ws://host[:port][/path] or wss://host[:port][/path]",
			Computed: "made of the address and port that the relay listens on", example: "wss://relay.example/",
			Help: "what other nodes are told as this node's address",
			Long: "For a node behind a proxy, or with a name of its own.",
		},
		{
			Name: "relay-token", Section: "Mesh", Kind: KindString, Secret: true, check: checkToken, Syntax: "1 to 256 of A-Z a-z 0-9 . _ ~ -",
			Computed: "a random one, made once and kept",
			Help:     "token that other nodes present",
			Long: "Whoever has it can join the mesh through this node. It is part of the descriptor. The random one is in the node's" +
				" database, which only the node's user can read; without a database it is made anew at every start.",
		},
		{
			Name: "master", Section: "Mesh", Kind: KindEnum, Default: off, Allowed: onOff,
			Help: "whether this node watches over the mesh",
			Long: "A master asks all nodes how they are, keeps the histories, and mends reservations that do not agree. It passes no" +
				" messages on by that. One a mesh is enough: of two, the one whose name sorts first does it.",
		},
		{
			Name: "ask-first", Section: "Mesh", Kind: KindDuration, Default: "300ms", Min: 10 * millisecond, Max: 5 * second,
			Zero: "not at all", Unit: "time", also: []string{"reserve-timeout"},
			Help: "longest wait for other nodes before a new channel opens",
			Long: "The first subscriber of a name that nobody is known to have waits until all known nodes have agreed, and so long at most:" +
				" then no two of them open it with different passwords. With 0 it waits for nobody; of two who were at it at the same" +
				" time, one then loses the channel again.",
		},
		{
			Name: "channel-linger", Section: "Mesh", Kind: KindDuration, Default: "2s", Min: 100 * millisecond, Max: minute,
			Zero: "not at all", Unit: "time", also: []string{"linger"},
			Help: "time that a channel stays reserved behind its last subscriber",
			Long: "Who connects again within it finds the channel as it was, and the other nodes are not told twice. At other nodes," +
				" names and their passwords stay taken for as long.",
		},
		{
			Name: "high-latency", Section: "Mesh", Kind: KindDuration, Default: "10ms", Min: millisecond, Max: minute,
			Unit: "time", also: []string{"peer-latency", "latency"},
			Help: "round trip to a linked node from which this node is degraded",
			Long: "GET /health says degraded, high latency, when the median to a linked node was over it three times in a row. Raise it" +
				" where nodes are far apart.",
		},
	}
}
