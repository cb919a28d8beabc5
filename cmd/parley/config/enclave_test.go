package config

import (
	"strings"
	"testing"
	"time"
)

func TestEnclaveListens(t *testing.T) {
	for _, c := range []struct {
		enclave Enclave
		has     bool
		listens string
	}{
		{Enclave{}, false, ":0"},
		{Enclave{EnclaveAddress: "fc00::1", EnclavePort: 7776}, true, "[fc00::1]:7776"},
		{Enclave{EnclaveAddress: "fe80::1%eth0"}, true, "[fe80::1%eth0]:0"},
	} {
		if e := &c.enclave; e.HasEnclave() != c.has || e.EnclaveListen() != c.listens {
			t.Errorf("%q: %v, on %q", c.enclave.EnclaveAddress, e.HasEnclave(), e.EnclaveListen())
		}
	}
}

func TestEnclaveDirectory(t *testing.T) {
	n := Node{DataDirectory: "/srv"}
	if got := n.EnclaveDirectory(false); got != "/srv/enclave" {
		t.Error(got)
	}
	if got := n.EnclaveDirectory(true); got != "/srv/node/enclave" {
		t.Error(got)
	}
}

func TestEnclaveAllows(t *testing.T) {
	for _, c := range []struct {
		allow   []string
		address string
		want    bool
	}{
		{nil, "203.0.113.7", true},
		{[]string{"10.0.0.0/8"}, "10.1.2.3", true},
		{[]string{"10.0.0.0/8"}, "::ffff:10.1.2.3", true},
		{[]string{"10.0.0.0/8"}, "11.0.0.1", false},
		{[]string{"::ffff:10.0.0.1"}, "10.0.0.1", true},
		{[]string{"10.0.0.1"}, "10.0.0.2", false},
		{[]string{"fe80::/10"}, "fe80::1%eth0", true},
		{[]string{"10.0.0.1", "fc00::/8"}, "fc12::3", true},
		{[]string{"fc00::/8"}, "", false},
		{[]string{"0.0.0.0/0"}, "::1", false},
	} {
		e := &Enclave{EnclaveAllow: c.allow}
		if got := e.EnclaveAllows(c.address); got != c.want {
			t.Errorf("%q allows %q: %v, want %v", c.allow, c.address, got, c.want)
		}
	}
}

func TestEnclaveOptions(t *testing.T) {
	for _, c := range []struct{ name, value, cause string }{
		{"enclave-retention", "forever", ""},
		{"enclave-retention", "off", ""},
		{"enclave-retention", "1d", ""},
		{"enclave-retention", "36500d", ""},
		{"enclave-retention", "0d", "no time"},
		{"enclave-retention", "36501d", "no time"},
		{"enclave-retention", "1", "no time"},
		{"enclave-retention", "01d", "no time"},
		{"enclave-retention", "+1d", "no time"},
		{"enclave-retention", "-1d", "no time"},
		{"enclave-allow", "fc00::/8", ""},
		{"enclave-allow", "10.0.0.1, ::1", ""},
		{"enclave-allow", "example.org", "neither"},
		{"enclave-allow", "10.0.0.1:7776", "neither"},
		{"enclave-allow", "fe80::1%eth0", "neither"},
		{"enclave-allow", "10.0.0.0/33", "neither"},
		{"enclave-max-packet", "64KiB", ""},
		{"enclave-max-packet", "65535", "range"},
		{"enclave-max-packet", "1MiB", ""},
		{"enclave-max-packet", "1048577", "range"},
	} {
		_, err := Load(giving(t, machine(), map[string]string{c.name: c.value}))
		if (err == nil) != (c.cause == "") || err != nil && !strings.Contains(err.Error(), c.cause) {
			t.Errorf("%s %q: %v, want %q", c.name, c.value, err, c.cause)
		}
	}
}

func TestEnclaveRetention(t *testing.T) {
	for value, want := range map[string]time.Duration{"forever": 0, "off": -1, "30d": 30 * 24 * time.Hour} {
		n := mustLoad(t, giving(t, machine(), map[string]string{"enclave-retention": value})).Node()
		if n.EnclaveRetention != want {
			t.Errorf("%s: %s, want %s", value, n.EnclaveRetention, want)
		}
	}
}

// TestEnclaveWarns: where addresses prove nothing, people hear of it, once.
func TestEnclaveWarns(t *testing.T) {
	for address, want := range map[string]int{
		"127.0.0.1": 0, "localhost": 0, "::1": 0, "fc12::1": 0, "201::1": 0, "off": 0, "::ffff:127.0.0.1": 0,
		"0.0.0.0": 1, "::": 1, "192.168.1.2": 1, "fd00::1": 1, "fe80::1%eth0": 1, "2001:db8::1": 1, "400::1": 1,
	} {
		got := 0
		for _, w := range mustLoad(t, giving(t, machine(), map[string]string{"enclave-address": address})).Warnings() {
			if strings.HasPrefix(w, "enclave-address: ") {
				got++
			}
		}
		if got != want {
			t.Errorf("%s: %d warnings, want %d", address, got, want)
		}
	}
}
