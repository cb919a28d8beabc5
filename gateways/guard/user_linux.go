package guard

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// LocalUser asks the kernel which user made the other end of a TCP connection
// between two sockets of this machine: remote and local are the addresses as
// this end sees them. It costs about as much as a few system calls and never
// waits.
//
// It is an error when there is no such socket in this network namespace any
// more, and when the other end has begun to close: the kernel then names root,
// whoever it was. Source: sock_diag(7).
func LocalUser(remote, local netip.AddrPort) (uid uint32, err error) {
	pair := ends{of: plainAddr(remote), to: plainAddr(local)}
	if !pair.valid() {
		return 0, fmt.Errorf("guard: local user: %q and %q are no two ends of a connection", remote, local)
	}
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return 0, fmt.Errorf("guard: local user: %w", err)
	}
	defer func() { _ = unix.Close(fd) }() // nothing is lost with it
	if err := unix.Sendto(fd, pair.question(), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return 0, fmt.Errorf("guard: local user: %w", err)
	}
	// The kernel answers within the call before. Who must wait has no answer.
	var room [answerRoom]byte
	n, from, err := unix.Recvfrom(fd, room[:], unix.MSG_DONTWAIT)
	if err != nil {
		return 0, fmt.Errorf("guard: local user: %w", err)
	}
	if k, ok := from.(*unix.SockaddrNetlink); !ok || k.Pid != 0 {
		return 0, errors.New("guard: local user: the answer is not from the kernel")
	}
	uid, err = pair.answer(room[:n])
	if err != nil {
		return 0, fmt.Errorf("guard: local user of %q: %w", remote, err)
	}
	return uid, nil
}

// ends are the addresses of a connection, as the socket that is asked for sees
// them. Mapped IPv4 addresses are plain ones here: one end of a connection may
// be of the one kind, and the other of the other.
type ends struct {
	of netip.AddrPort // its own
	to netip.AddrPort // its peer's
}

func plainAddr(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

func (e ends) valid() bool {
	return e.of.IsValid() && e.to.IsValid() && e.of.Addr().Is4() == e.to.Addr().Is4() &&
		e.of.Port() != 0 && e.to.Port() != 0
}

// Sizes and places in messages of NETLINK_SOCK_DIAG, in bytes. Source:
// linux/netlink.h, linux/inet_diag.h.
const (
	headerSize   = 16                    // nlmsghdr
	identitySize = 48                    // inet_diag_sockid
	questionSize = 8 + identitySize      // inet_diag_req_v2
	answerSize   = 4 + identitySize + 20 // inet_diag_msg
	answerRoom   = 1 << 10               // an answer and its attributes
	placeUID     = 4 + identitySize + 12
	placeInode   = placeUID + 4
)

// sequence is the number of our one question.
const sequence = 1

// question asks for exactly one socket.
func (e ends) question() []byte {
	family := byte(unix.AF_INET)
	if e.of.Addr().Is6() {
		family = unix.AF_INET6
	}
	b := make([]byte, 0, headerSize+questionSize)
	b = binary.NativeEndian.AppendUint32(b, headerSize+questionSize)
	b = binary.NativeEndian.AppendUint16(b, unix.SOCK_DIAG_BY_FAMILY)
	b = binary.NativeEndian.AppendUint16(b, unix.NLM_F_REQUEST)
	b = binary.NativeEndian.AppendUint32(b, sequence)
	b = binary.NativeEndian.AppendUint32(b, 0) // to the kernel
	b = append(b, family, unix.IPPROTO_TCP, 0, 0)
	b = binary.NativeEndian.AppendUint32(b, 1<<established)
	return e.appendIdentity(b)
}

// appendIdentity appends an inet_diag_sockid.
func (e ends) appendIdentity(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, e.of.Port())
	b = binary.BigEndian.AppendUint16(b, e.to.Port())
	for _, a := range [...]netip.Addr{e.of.Addr(), e.to.Addr()} {
		room := [16]byte{}
		if a.Is4() {
			four := a.As4()
			copy(room[:], four[:])
		} else {
			room = a.As16()
		}
		b = append(b, room[:]...)
	}
	const anyCookie = 1<<64 - 1
	b = binary.NativeEndian.AppendUint32(b, 0) // any interface
	return binary.NativeEndian.AppendUint64(b, anyCookie)
}

// established is the state of a connection that no end has begun to close.
// Source: TCP_ESTABLISHED in linux/tcp_states.h.
const established = 1

var (
	errShort  = errors.New("the kernel's answer is cut short")
	errOther  = errors.New("the kernel answered about another socket")
	errClosed = errors.New("the socket is being closed")
)

// answer reads the kernel's message.
func (e ends) answer(b []byte) (uid uint32, err error) {
	if len(b) < headerSize {
		return 0, errShort
	}
	size := binary.NativeEndian.Uint32(b)
	if size < headerSize || uint64(size) > uint64(len(b)) {
		return 0, errShort
	}
	if binary.NativeEndian.Uint32(b[8:]) != sequence {
		return 0, errOther
	}
	kind, body := binary.NativeEndian.Uint16(b[4:]), b[headerSize:size]
	switch {
	case kind == unix.NLMSG_ERROR && len(body) >= 4:
		if code := -int32(binary.NativeEndian.Uint32(body)); code > 0 {
			return 0, unix.Errno(code)
		}
		return 0, errOther
	case kind != unix.SOCK_DIAG_BY_FAMILY:
		return 0, errOther
	case len(body) < answerSize:
		return 0, errShort
	}
	// Where no connection fits, the kernel names a socket that listens at the address.
	if !e.is(body) {
		return 0, errOther
	}
	// A socket that its process has let go of belongs to root and has no inode.
	// The kernel reads the inode last: with one, the uid before it was true.
	if body[1] != established || binary.NativeEndian.Uint32(body[placeInode:]) == 0 {
		return 0, errClosed
	}
	return binary.NativeEndian.Uint32(body[placeUID:]), nil
}

// is tells whether an inet_diag_msg is about these ends.
func (e ends) is(body []byte) bool {
	id := body[4:]
	of, ok := address(body[0], id[4:20], binary.BigEndian.Uint16(id))
	if !ok || of != e.of {
		return false
	}
	to, ok := address(body[0], id[20:36], binary.BigEndian.Uint16(id[2:]))
	return ok && to == e.to
}

func address(family byte, raw []byte, port uint16) (a netip.AddrPort, ok bool) {
	switch family {
	case unix.AF_INET:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(raw[:4])), port), true
	case unix.AF_INET6:
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(raw)).Unmap(), port), true
	}
	return a, false
}
