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
