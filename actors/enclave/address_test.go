package enclave

import (
	"net/netip"
	"strings"
	"testing"
)

func TestAddresses(t *testing.T) {
	for text, want := range map[string]string{
		"1.2.3.4":                  "1.2.3.4:7776",
		"1.2.3.4:5":                "1.2.3.4:5",
		"::ffff:1.2.3.4":           "1.2.3.4:7776",
		"[::ffff:1.2.3.4]:65535":   "1.2.3.4:65535",
		"FC00:0:0::1":              "[fc00::1]:7776",
		"[fc00::1]":                "[fc00::1]:7776",
		"[fc00::1%eth0]:9":         "[fc00::1]:9",
		"fe80::1%eth0":             "[fe80::1%eth0]:7776",
		"[fe80::1%wlp3s0.5]:9":     "[fe80::1%wlp3s0.5]:9",
		"::1":                      "[::1]:7776",
		"":                         "",
		"localhost":                "",
		"1.2.3":                    "",
		"1.2.3.4:0":                "",
		"1.2.3.4:65536":            "",
		"1.2.3.4:-1":               "",
		"[1.2.3.4:5":               "",
		"1.2.3.4]":                 "",
		"::":                       "",
		"0.0.0.0:7":                "",
		"ff02::1":                  "",
		"239.1.2.3":                "",
		"255.255.255.255":          "",
		"fe80::1%a/b":              "",
		"fe80::1%a b":              "",
		"fe80::1%":                 "",
		"fe80::1%" + longText(33):  "",
		"fe80::1%\x00":             "",
		"[fe80::1%a]:9]:9":         "",
		" 1.2.3.4":                 "",
		"1.2.3.4\n":                "",
		"01.2.3.4":                 "",
		"[fe80::1%..]:9":           "[fe80::1%..]:9",
		"::ffff:255.255.255.255":   "",
		"[::ffff:0.0.0.0%eth0]:80": "",
	} {
		addr, port, ok := parseAddress(text)
		got := ""
		if ok {
			got = dialAddress(addr, port)
		}
		if got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
		if ok && canonical(addr.String()) != addr.String() {
			t.Errorf("%q: %s is not canonical", text, addr)
		}
	}
}

func longText(n int) string { return strings.Repeat("x", n) }

func TestOrder(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"1.2.3.4", "1.2.3.5", -1},
		{"10.0.0.10", "10.0.0.9", 1},
		{"1.2.3.4", "1.2.3.4", 0},
		{"fe80::1%a", "fe80::1%b", 0},
		{"fe80::1%b", "fe80::2%a", -1},
		{"1.2.3.4", "fc00::1", 0},
	} {
		if got := order(netip.MustParseAddr(c.a), netip.MustParseAddr(c.b)); got != c.want {
			t.Errorf("%s, %s: %d", c.a, c.b, got)
		}
	}
	if order(netip.Addr{}, netip.MustParseAddr("::1")) != 0 {
		t.Error("an unknown address has an order")
	}
}

// FuzzAddress reads whatever people write: what is an address has one canonical
// form, which makes a key of the store.
func FuzzAddress(f *testing.F) {
	for _, seed := range []string{"1.2.3.4", "[fe80::1%eth0]:7776", "::ffff:1.2.3.4", "[::1]", "x", "fe80::1%\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		addr, port, ok := parseAddress(text)
		if !ok {
			return
		}
		s := addr.String()
		if canonical(s) != s || port > 65535 || len(s) > 100 || strings.ContainsAny(s, "/\x00\n ") {
			t.Errorf("%q: %q %d", text, s, port)
		}
		again, p, ok := parseAddress(dialAddress(addr, port))
		if !ok || again != addr || port != 0 && p != port {
			t.Errorf("%q: %s is dialled as %s", text, s, again)
		}
	})
}

// FuzzID takes ids of messages apart.
func FuzzID(f *testing.F) {
	for _, seed := range []string{"a-1", "-", "a-", "-1", "a-b-zz"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, id string) {
		if name, n, ok := splitID(id); ok {
			again, m, ok := splitID(makeID(name, n))
			if !ok || again != name || m != n {
				t.Errorf("%q: %q %d", id, again, m)
			}
		}
	})
}
