package tcp

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// How the kernel finds a peer that is gone without a word. Source:
// gateways/enclave/PROTOCOL.md, Limits.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 10 * time.Second, Count: 3}

// takenTime is how long a peer's kernel may not acknowledge what was sent: then no
// keep-alives are sent, and the kernel would go on for a quarter of an hour.
const takenTime = time.Minute

// watch has the kernel end a connection whose peer is gone. It fails only when the
// connection is over: the first read tells.
func watch(c net.Conn) {
	t, ok := c.(*net.TCPConn)
	if !ok {
		return
	}
	_ = t.SetKeepAliveConfig(keepAlive)
	raw, err := t.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(takenTime.Milliseconds()))
	})
}
