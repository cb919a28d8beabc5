package config

func enclaveOptions() []Option {
	return []Option{
		{
			Name: optEnclaveAddress, Section: "Enclave", Kind: KindAddress, Default: "127.0.0.1", Allowed: []string{off},
			Help: "address that friends connect to",
			Long: "The IP address of the network interface to listen on for person-to-person messages; off: none, and no named pipes" +
				" either. Friends know this node by it, and are dialled from it. The packets are not encrypted, and an address proves" +
				" who somebody is only in networks that derive it from keys (cjdns, Yggdrasil): on others, but for loopback, the node" +
				" warns at its start.",
		},
		{
			Name: optEnclavePort, Section: "Enclave", Kind: KindInt, Default: "7776", Min: 1025, Max: 65535, Zero: "any free port", Unit: "TCP port",
			Help: "port that friends connect to",
			Long: "The TCP port for person-to-person messages. With 0 the system picks a free one, and the ready line on standard output" +
				" names it. Friends dial 7776 unless they were told another. When somebody else has the port, the node does not start.",
		},
		{
			Name: optEnclaveAlias, Section: "Enclave", Kind: KindString, Runtime: true, check: checkAlias, Syntax: "text of at most 128 bytes",
			Computed: "node-name", example: "Anna", also: []string{"alias"},
			Help: "name that friends see",
			Long: "What this node calls itself; friends may call it something else.",
		},
		{
			Name: optEnclaveMaxPacket, Section: "Enclave", Kind: KindSize, Default: "64KiB", Min: 64 * kib, Max: mib, Unit: "bytes",
			also: []string{"enclave-max-frame"},
			Help: "largest packet that a friend may send",
			Long: "A longer one ends the link before anything is allocated for it. What this node sends itself always fits into 64 KiB.",
		},
		{
			Name: optEnclaveRetention, Section: "Enclave", Kind: KindString, Default: forEver, check: checkRetention, Syntax: "forever, off, or a number of days as 90d",
			also: []string{"retention", "history"}, example: "90d",
			Help: "how long conversations are kept",
			Long: "What is said from then on is kept for so long, in the node's database; off: not at all. Once the database has a" +
				" password, conversations in it are encrypted. It needs a database, which a node with user interfaces has.",
		},
		{
			Name: optEnclaveOutbox, Section: "Enclave", Kind: KindEnum, Default: "on", Allowed: onOff, also: []string{"outbox"},
			Help: "whether messages are stored before they are sent",
			Long: "With on, what was taken is not lost when the node ends, however it ends: messages to friends who are offline wait in the" +
				" database, and those that a friend's node did not acknowledge are sent again. With off, messages go faster, and those" +
				" that wait are lost with the node. Without a database it is as off.",
		},
		{
			Name: optEnclaveAllow, Section: "Enclave", Kind: KindList, check: checkAllowed, Syntax: "IP address, or a range of them as fc00::/8",
			Computed: "anybody may ask", example: "fc00::/8", also: []string{"enclave-allow-list"},
			Help: "addresses that strangers may call from",
			Long: "When the list is not empty, calls from all other addresses are closed without a word. Friends are always let in.",
		},
	}
}
