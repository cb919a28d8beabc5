package config

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"parley/gateways/guard"
)

// accepted are option, text and value; blank text with a fault stands in refused.
var accepted = []struct {
	option, text string
	want         any
}{
	{"node-name", "a.B-c_9", "a.B-c_9"},
	{"node-name", "", ""},
	{"clandestine-port", "0", 0},
	{"clandestine-port", "1025", 1025},
	{"clandestine-port", "65535", 65535},
	{"ping-interval", "1m30s", 90 * time.Second},
	{"ping-interval", "500ms", 500 * time.Millisecond},
	{"max-frame", "1048576", int64(1 << 20)},
	{"max-frame", "1MiB", int64(1 << 20)},
	{"max-frame", "64KiB", int64(64 << 10)},
	{"max-frame", "2048B", int64(2048)},
	{"outbound-ceiling", "25%", "25%"},
	{"outbound-ceiling", "1073741824", "1GiB"},
	{"relay-address", "0.0.0.0", "0.0.0.0"},
	{"relay-address", "::1", "::1"},
	{"relay-address", "fe80::1%eth0", "fe80::1%eth0"},
	{"relay-address", "localhost", "localhost"},
	{"metrics-address", "127.8.9.1:0", "127.8.9.1:0"},
	{"metrics-address", "[::1]:9464", "[::1]:9464"},
	{"metrics-address", "localhost:1", "localhost:1"},
	{"metrics-address", "off", "off"},
	{"log-level", "trace", "trace"},
	{"relay-origins", "", []string{}},
	{"relay-origins", " https://a.example , http://localhost:8080,null,file://,chrome-extension://abc", []string{"https://a.example", "http://localhost:8080", "null", "file://", "chrome-extension://abc"}},
	{"relay-hosts", "a.example,b_1.example:80,10.0.0.1,[::1]:8912,[::1],localhost", []string{"a.example", "b_1.example:80", "10.0.0.1", "[::1]:8912", "[::1]", "localhost"}},
	{"relay-tls-key", "dir/a b.key", "dir/a b.key"},
	{"ui-port", "", noNumber},
	{"ui-port", "0", 0},
	{"ui-users", "anna, 1001,svc_x$,0", []string{"anna", "1001", "svc_x$", "0"}},
	{"real-user", "1000:1000:/home/anna", "1000:1000:/home/anna"},
	{"real-user", "1:4294967294:/", "1:4294967294:/"},
	{"real-user", "7:7:/srv/a:b c", "7:7:/srv/a:b c"},
	{"real-user", "", ""},
	{"chain", "base-mainnet", "base-mainnet"},
	{"neighbors", "parley://a@b:1,parley://A.b_c~d-9@10.0.0.1:8912?tls=1", []string{"parley://a@b:1", "parley://A.b_c~d-9@10.0.0.1:8912?tls=1"}},
	{"neighbors", "parley://a@[2001:db8::1]:65535?name=n.1_-&tls=1", []string{"parley://a@[2001:db8::1]:65535?name=n.1_-&tls=1"}},
	{"neighbors", "", []string{}},
	{"max-peer-links", "0", 0},
	{"ip", "2001:db8::1", "2001:db8::1"},
	{"ip", "", ""},
	{"public-url", "ws://10.0.0.1", "ws://10.0.0.1"},
	{"public-url", "wss://Relay.example:8443/a/b%20c", "wss://Relay.example:8443/a/b%20c"},
	{"relay-token", "aA0._~-", "aA0._~-"},
	{"star-address", "off", "off"},
	{"enclave-address", "::", "::"},
	{"enclave-alias", "Änna 🦜", "Änna 🦜"},
	{"db-password", " spaces stay ", " spaces stay "},
	{"scans", "anything, really", "anything, really"},
	{"test-unsafe", "true", true},
	{"test-unsafe", "off", false},
}

func TestTextIsAccepted(t *testing.T) {
	table := withExtra()
	for _, c := range accepted {
		got, bad := table.byName[c.option].parseText(c.text)
		if bad != nil {
			t.Errorf("%s %q: %+v", c.option, c.text, bad)
		} else if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s %q: -want +got\n%s", c.option, c.text, diff)
		}
	}
}

// refused are option, text, and the message after "config: environment X: ".
var refused = []struct{ option, text, want string }{
	{"node-name", "a b", `"a b" is not a node's name; allowed are 1 to 64 of A-Z a-z 0-9 . _ -`},
	{"node-name", "ä", `"ä" is not a node's name; allowed are 1 to 64 of A-Z a-z 0-9 . _ -`},
	{"node-name", "a\x1b[2J", `"a\x1b[2J" contains a control character; leave it out`},
	{"node-name", "a\xff", `"a\xff" is not UTF-8; write 1 to 64 of A-Z a-z 0-9 . _ -`},
	{"clandestine-port", "80", `"80" is out of range; allowed are 1025 to 65535, or 0: any free port`},
	{"clandestine-port", "65536", `"65536" is out of range; allowed are 1025 to 65535, or 0: any free port`},
	{"clandestine-port", "-1", `"-1" is out of range; allowed are 1025 to 65535, or 0: any free port`},
	{"clandestine-port", "8912 ", `"8912 " is not a whole number; allowed are 1025 to 65535, or 0: any free port`},
	{"max-clients", "0", `"0" is out of range; allowed are 1 to 1000000`},
	{"max-clients", "99999999999999999999", `"99999999999999999999" is not a whole number; allowed are 1 to 1000000`},
	{"ping-interval", "30", `"30" is not a duration; write a number with a unit, as 500ms, 30s or 1m30s; allowed are 100ms to 1h`},
	{"ping-interval", "2h", `"2h" is out of range; allowed are 100ms to 1h`},
	{"ping-interval", "-5s", `"-5s" is out of range; allowed are 100ms to 1h`},
	{"max-frame", "1MB", `"1MB" is not a size; write bytes, or a number with KiB, MiB or GiB, as 1048576 or 1MiB; allowed are 1KiB to 64MiB`},
	{"max-frame", "1.5MiB", `"1.5MiB" is not a size; write bytes, or a number with KiB, MiB or GiB, as 1048576 or 1MiB; allowed are 1KiB to 64MiB`},
	{"max-frame", "9999999999TiB", `"9999999999TiB" is not a size; write bytes, or a number with KiB, MiB or GiB, as 1048576 or 1MiB; allowed are 1KiB to 64MiB`},
	{"max-frame", "1023", `"1023" is out of range; allowed are 1KiB to 64MiB`},
	{"outbound-ceiling", "0%", `"0%" is out of range; allowed are 1% to 90%, or 1MiB to 1TiB`},
	{"outbound-ceiling", "91%", `"91%" is out of range; allowed are 1% to 90%, or 1MiB to 1TiB`},
	{"outbound-ceiling", "2.5%", `"2.5%" is not a percentage; write a whole number with %, as 25%`},
	{"outbound-ceiling", "much", `"much" is neither a percentage nor a size; write it as 25% or 512MiB; allowed are 1% to 90%, or 1MiB to 1TiB`},
	{"outbound-ceiling", "1KiB", `"1KiB" is out of range; allowed are 1% to 90%, or 1MiB to 1TiB`},
	{"relay-address", "relay.example", `"relay.example" is not an IP address; write an IP address, as 127.0.0.1, 0.0.0.0 or ::1, or localhost`},
	{"relay-address", "127.0.0.1:8912", `"127.0.0.1:8912" is not an IP address; write an IP address, as 127.0.0.1, 0.0.0.0 or ::1, or localhost; the port is an option of its own`},
	{"metrics-address", "9464", `"9464" is not address:port; write it as 127.0.0.1:9464, or one of: off`},
	{"metrics-address", "127.0.0.1:70000", `"127.0.0.1:70000" has no port number from 0 to 65535; write it as 127.0.0.1:9464`},
	{"metrics-address", "0.0.0.0:9464", `"0.0.0.0:9464" is not a loopback address; this is served to programs of this machine only: write 127.0.0.1:9464, or one of: off`},
	{"metrics-address", ":9464", `":9464" is not a loopback address; this is served to programs of this machine only: write 127.0.0.1:9464, or one of: off`},
	{"metrics-address", "[::ffff:10.0.0.1]:1", `"[::ffff:10.0.0.1]:1" is not a loopback address; this is served to programs of this machine only: write 127.0.0.1:9464, or one of: off`},
	{"log-level", "INFO", `"INFO" is not a choice; write one of: off, error, warn, info, debug, trace`},
	{"relay-origins", "https://a.example/", `"https://a.example/" is not what browsers send: write "https://a.example"; allowed are any number of: scheme://host[:port], null, file://`},
	{"relay-origins", "HTTPS://A.example", `"HTTPS://A.example" is not what browsers send: write "https://a.example"; allowed are any number of: scheme://host[:port], null, file://`},
	{"relay-origins", "https://a.example:443", `"https://a.example:443" names the port of its scheme, which browsers leave out: write "https://a.example"; allowed are any number of: scheme://host[:port], null, file://`},
	{"relay-origins", "https://u@a.example", `"https://u@a.example" is not an Origin; allowed are any number of: scheme://host[:port], null, file://`},
	{"relay-origins", "a.example", `"a.example" is not an Origin; allowed are any number of: scheme://host[:port], null, file://`},
	{"relay-origins", "https://büro.example", `"https://büro.example" is not plain ASCII: browsers send other names in their xn-- form; allowed are any number of: scheme://host[:port], null, file://`},
	{"relay-origins", "*", `"*" is not an Origin; allowed are any number of: scheme://host[:port], null, file://`},
	{"relay-origins", "null,,null", `is blank or contains a control character; leave it out of the list`},
	{"relay-hosts", "https://a.example", `"https://a.example" has no port from 1 to 65535 after its last colon; allowed are any number of: name, IPv4 address or [IPv6 address], each with :port or without`},
	{"relay-hosts", "A.example", `"A.example" is not a host name in lower case; allowed are any number of: name, IPv4 address or [IPv6 address], each with :port or without`},
	{"relay-hosts", "*", `"*" is not a host name in lower case; allowed are any number of: name, IPv4 address or [IPv6 address], each with :port or without`},
	{"relay-hosts", "::", `"::" is an IPv6 address without brackets; allowed are any number of: name, IPv4 address or [IPv6 address], each with :port or without`},
	{"relay-hosts", "::1", `"::1" is an IPv6 address without brackets; allowed are any number of: name, IPv4 address or [IPv6 address], each with :port or without`},
	{"relay-hosts", "a.example:080", `"a.example:080" has no port from 1 to 65535 after its last colon; allowed are any number of: name, IPv4 address or [IPv6 address], each with :port or without`},
	{"relay-hosts", "[fe80::1%eth0]", `"[fe80::1%eth0]" is not an IPv6 address in brackets; allowed are any number of: name, IPv4 address or [IPv6 address], each with :port or without`},
	{"relay-hosts", "127.1", `"127.1" is neither a name nor an IPv4 address; allowed are any number of: name, IPv4 address or [IPv6 address], each with :port or without`},
	{"relay-hosts", "0x7f000001", `"0x7f000001" is neither a name nor an IPv4 address; allowed are any number of: name, IPv4 address or [IPv6 address], each with :port or without`},
	{"relay-hosts", "a..b", `"a..b" is not a host name in lower case; allowed are any number of: name, IPv4 address or [IPv6 address], each with :port or without`},
	{"ui-port", "80", `"80" is out of range; allowed are 1025 to 65535, or 0: any free port, or blank: no user interfaces`},
	{"ui-port", "-1", `"-1" is out of range; allowed are 1025 to 65535, or 0: any free port, or blank: no user interfaces`},
	{"ui-users", "an na", `"an na" is not a user's name; allowed are any number of: name or number of a user of this machine`},
	{"ui-users", "-x", `"-x" is not a user's name; allowed are any number of: name or number of a user of this machine`},
	{"ui-users", "01", `"01" is not a user's number, 0 to 4294967294; allowed are any number of: name or number of a user of this machine`},
	{"ui-users", "4294967295", `"4294967295" is not a user's number, 0 to 4294967294; allowed are any number of: name or number of a user of this machine`},
	{"ui-users", "anna,alcie,x", `"alcie" is not a user of this machine; write a name that stands in /etc/passwd, or the number that "id -u NAME" prints`},
	{"ui-access", "all", `"all" is not a choice; write one of: owners, look`},
	{"ui-max-frame", "1KiB", `"1KiB" is out of range; allowed are 4KiB to 64MiB`},
	{"real-user", "anna", `"anna" is not <uid>:<gid>:<home>; allowed are <uid>:<gid>:<home>, neither of them root's`},
	{"real-user", "0:1000:/root", `"0:1000:/root" is root, whose powers a Node must not have; allowed are <uid>:<gid>:<home>, neither of them root's`},
	{"real-user", "1000:0:/x", `"1000:0:/x" is root, whose powers a Node must not have; allowed are <uid>:<gid>:<home>, neither of them root's`},
	{"real-user", "anna:1000:/x", `"anna:1000:/x" does not begin with two numbers, 1 to 4294967294; allowed are <uid>:<gid>:<home>, neither of them root's`},
	{"real-user", "4294967295:1:/x", `"4294967295:1:/x" does not begin with two numbers, 1 to 4294967294; allowed are <uid>:<gid>:<home>, neither of them root's`},
	{"real-user", "00:1:/x", `"00:1:/x" does not begin with two numbers, 1 to 4294967294; allowed are <uid>:<gid>:<home>, neither of them root's`},
	{"real-user", "1:1:home", `"1:1:home" has no full path of a directory after its second colon; allowed are <uid>:<gid>:<home>, neither of them root's`},
	{"real-user", "1:1:/a/../b", `"1:1:/a/../b" has no full path of a directory after its second colon; allowed are <uid>:<gid>:<home>, neither of them root's`},
	{"chain", "Dev", `"Dev" is not a chain's name; allowed are 1 to 32 of a-z 0-9 -`},
	{"chain", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", `"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" is not a chain's name; allowed are 1 to 32 of a-z 0-9 -`},
	{"log-file", "a\x00b", `"a\x00b" contains a control character; leave it out`},
	{"neighborhood-mode", "standart", `"standart" is not a choice; write one of: standard, originate-only, consume-only, zero-hop`},
	{"ip", "relay.example", `"relay.example" is not an IP address; allowed are an IP address`},
	{"ip", "fe80::1%eth0", `"fe80::1%eth0" has a zone, which means something on one machine only; allowed are an IP address`},
	{"ip", "0.0.0.0", `"0.0.0.0" is not the address of one machine; allowed are an IP address`},
	{"public-url", "https://a.example", `"https://a.example" does not begin with ws:// or wss://; allowed are ws://host[:port][/path] or wss://host[:port][/path]`},
	{"public-url", "wss://u:p@a.example", `"wss://u:p@a.example" names no host, or a user; allowed are ws://host[:port][/path] or wss://host[:port][/path]`},
	{"public-url", "wss://a.example/?x", `"wss://a.example/?x" has more than a path after the host; allowed are ws://host[:port][/path] or wss://host[:port][/path]`},
	{"public-url", "wss://127.1", `"wss://127.1" is neither a name nor an IPv4 address; allowed are ws://host[:port][/path] or wss://host[:port][/path]`},
	{"relay-token", "two words", `"****************" is not a token; allowed are 1 to 256 of A-Z a-z 0-9 . _ ~ -`},
	{"max-peer-links", "257", `"257" is out of range; allowed are 0 to 256`},
	{"master", "true", `"true" is not a choice; write one of: on, off`},
	{"star-address", "x", `"x" is not an IP address; write an IP address, as 127.0.0.1, 0.0.0.0 or ::1, or localhost, or off`},
	{"star-port", "off", `"off" is not a whole number; allowed are 1025 to 65535, or 0: any free port`},
	{"metrics-address", "off:9464", `"off:9464" is not a loopback address; this is served to programs of this machine only: write 127.0.0.1:9464, or one of: off`},
	{"enclave-alias", "anna\u202e", `"anna\u202e" has a space at its end, or something invisible in it; allowed are text of at most 128 bytes`},
	{"test-unsafe", "yes", `"yes" is neither true nor false; write true or false`},
	{"test-token", "se\x00cret", `"****************" contains a control character; leave it out`},
}

func TestTextIsRefused(t *testing.T) {
	table := withExtra()
	for _, c := range refused {
		option := table.byName[c.option]
		opts := machine(option.Env() + "=" + c.text)
		opts.table = table
		got := problemsOf(t, opts)
		want := []string{"config: environment " + option.Env() + ": " + c.option + ": " + c.want}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s %q: -want +got\n%s", c.option, c.text, diff)
		}
	}
}

// TestTheDoorKnowsEveryListedName: what passes here must mean the same at the door.
func TestTheDoorKnowsEveryListedName(t *testing.T) {
	alphabet := rapid.StringOfN(rapid.SampledFrom([]rune("ab01x.:-[]/_ü\"\\%?#@")), 1, 12, -1)
	rapid.Check(t, func(t *rapid.T) {
		host := alphabet.Draw(t, "host")
		origin := rapid.SampledFrom([]string{"http", "https", "x"}).Draw(t, "scheme") + "://" + host
		if err := (guard.Rules{Hosts: []string{host}}).Validate(); checkHost(host) == "" && err != nil {
			t.Fatalf("host %q is accepted: %v", host, err)
		}
		if err := (guard.Rules{Origins: []string{origin}}).Validate(); checkOrigin(origin) == "" && err != nil {
			t.Fatalf("origin %q is accepted: %v", origin, err)
		}
	})
}

func TestNumbersReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(0, 1<<62).Draw(t, "bytes")
		if got, ok := sizeOf(formatSize(n)); !ok || got != n {
			t.Fatalf("size %d is shown as %q and read as %d", n, formatSize(n), got)
		}
		d := time.Duration(rapid.Int64Range(0, int64(1000*time.Hour)).Draw(t, "ns"))
		if rapid.Bool().Draw(t, "round") {
			d = d.Truncate(time.Minute)
		}
		if got, err := time.ParseDuration(formatDuration(d)); err != nil || got != d {
			t.Fatalf("duration %d is shown as %q and read as %d, %v", d, formatDuration(d), got, err)
		}
	})
}

func TestLongValuesAreCut(t *testing.T) {
	long := ""
	for range 100 {
		long += "é…"
	}
	if got := quote(long); len(got) > maxQuoted+10 {
		t.Errorf("quoted to %d bytes: %s", len(got), got)
	}
}
