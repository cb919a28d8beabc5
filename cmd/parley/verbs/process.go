package verbs

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// processOf finds the process at the other end of a connection between two
// sockets of this machine; 0: it is another user's, or nobody can tell here.
// Source: proc_net(5), tcp.
func processOf(remote, local netip.AddrPort) int {
	inode := socketOf(remote, local)
	if inode == "" {
		return 0
	}
	want := "socket:[" + inode + "]"
	all, _ := filepath.Glob("/proc/[0-9]*/fd/*") // only for a bad pattern
	for _, name := range all {
		if to, err := os.Readlink(name); err == nil && to == want {
			pid, _ := strconv.Atoi(strings.Split(name, "/")[2]) // 0 if it were none
			return pid
		}
	}
	return 0
}

// socketOf is the inode of the socket at the other end.
func socketOf(remote, local netip.AddrPort) string {
	if !remote.Addr().Is4() || !local.Addr().Is4() {
		return ""
	}
	f, err := os.Open("/proc/net/tcp")
	if err != nil {
		return ""
	}
	defer f.Close()
	const (
		own, peer, inode = 1, 2, 9 // columns
		columns          = 10
	)
	of, to := procAddress(remote), procAddress(local)
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if part := strings.Fields(lines.Text()); len(part) >= columns && part[own] == of && part[peer] == to && part[inode] != "0" {
			return part[inode]
		}
	}
	return ""
}

// procAddress writes an address as /proc does: the machine's own byte order.
func procAddress(a netip.AddrPort) string {
	ip := a.Addr().As4()
	return fmt.Sprintf("%08X:%04X", binary.NativeEndian.Uint32(ip[:]), a.Port())
}
