//go:build !linux

package guard

import (
	"errors"
	"net/netip"
)

// LocalUser cannot be answered on this system: see user_linux.go.
func LocalUser(_, _ netip.AddrPort) (uid uint32, err error) {
	return 0, errors.New("guard: local user: only Linux tells who is at the other end of a connection")
}
