package config

// sectionInert holds names that user interfaces of MASQNode-UIv2 send and expect to be shown.
// Source: the Setup parameters of that protocol.
const sectionInert = "For existing user interfaces"

const inertLong = "User interfaces of the same protocol send it and show it. Parley stores it and shows it to them, and never uses it."

func inertOptions() []Option {
	var all []Option
	for _, o := range []Option{
		{Name: "blockchain-service-url", Help: "address of a blockchain service (never used)"},
		{Name: "consuming-private-key", Secret: true, Help: "private key of a wallet (never used)"},
		{Name: "dns-servers", Help: "name servers (never used)"},
		{Name: "earning-wallet", Help: "address of a wallet (never used)"},
		{Name: optGasPrice, Runtime: true, Help: "price of a transaction (never used)"},
		{Name: "mapping-protocol", Help: "way to open a port in a router (never used)"},
		{Name: optMinHops, Runtime: true, Help: "least number of nodes on a route (never used)"},
		{Name: "new-public-key", Help: "whether to take a new key at the start (never used)"},
		{Name: "payment-thresholds", Help: "when to pay (never used)"},
		{Name: "rate-pack", Help: "what services cost (never used)"},
		{Name: "scan-intervals", Help: "time between scans of accounts (never used)"},
		{Name: "scans", Help: "whether accounts are scanned (never used)"},
	} {
		o.Section, o.Kind, o.Inert, o.Long = sectionInert, KindString, true, inertLong
		all = append(all, o)
	}
	return all
}
