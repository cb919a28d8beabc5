package life_test

import (
	"errors"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// ownNetwork is set in a process that has a network with nobody else in it.
const ownNetwork = "LIFE_TEST_OWN_NETWORK"

// TestNobodyIsDialled has the kernel count who connects to whom: in the life of a
// Daemon and a Node nobody does but the user interfaces. Those two do not talk.
// It takes a user who may make a network.
func TestNobodyIsDialled(t *testing.T) {
	if os.Getenv(ownNetwork) == "" {
		if root {
			again(t)
		}
		return
	}
	loopbackUp(t)
	d := start(t, directory(t), nil)
	u, other := connect(t, d.port), connect(t, d.port)
	u.settle()
	node := u.launch()
	c := connect(t, node.Port)
	c.ask("changePassword", `{"newPassword":"one"}`).want(t)
	c.check(`"one"`, true)
	other.ask("configuration", "{}")
	kill(t, node.PID, syscall.SIGKILL)
	u.crashed(node.PID)
	node = u.launch()
	d.kill()
	d = start(t, d.dir, nil) // adopts the Node
	u = connect(t, d.port)
	if f := u.ask("nodeStats", "{}"); f.Opcode != "redirect" {
		t.Errorf("the next Daemon says %s", f.text)
	}
	connect(t, node.Port).ask("shutdown", "{}").want(t)
	u.crashed(node.PID)
	d.stop()
	const connected = 5 // user interfaces
	if n := counted(t, "Tcp", "ActiveOpens"); n != connected {
		t.Errorf("%d connections were begun, by user interfaces %d", n, connected)
	}
	if n := counted(t, "Udp", "OutDatagrams"); n != 0 {
		t.Errorf("%d datagrams were sent", n)
	}
}

// again runs the test that runs in a process with a network of its own.
func again(t *testing.T) {
	t.Helper()
	at, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run", "^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), ownNetwork+"=1", "PARLEY_BINARY="+at)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET}
	switch out, err := cmd.CombinedOutput(); {
	case errors.Is(err, unix.EPERM):
		t.Log("this root may not make a network")
	case err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()):
		t.Errorf("%v:\n%s", err, out)
	}
}

// loopbackUp starts the loopback of a network that is new.
func loopbackUp(t *testing.T) {
	t.Helper()
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(s) }()
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		t.Fatal(err)
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, lo); err != nil {
		t.Fatal(err)
	}
}

// counted is a number that the kernel keeps of the network: of TCP in all, of UDP
// without IPv6. Source: proc_net(5), /proc/net/snmp.
func counted(t *testing.T, protocol, name string) int {
	t.Helper()
	b, err := os.ReadFile("/proc/self/net/snmp")
	if err != nil {
		t.Fatal(err)
	}
	_, names, _ := strings.Cut(string(b), "\n"+protocol+": ")
	names, rest, _ := strings.Cut(names, "\n")
	numbers, _, _ := strings.Cut(strings.TrimPrefix(rest, protocol+": "), "\n")
	at := slices.Index(strings.Fields(names), name)
	if at < 0 {
		t.Fatalf("the kernel does not count %s %s", protocol, name)
	}
	n, err := strconv.Atoi(strings.Fields(numbers)[at])
	if err != nil {
		t.Fatal(err)
	}
	return n
}
