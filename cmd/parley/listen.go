package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"

	"parley/cmd/parley/assemble"
	"parley/cmd/parley/child"
	"parley/cmd/parley/config"
	"parley/cmd/parley/confine"
	pipes "parley/gateways/pipe"
)

// ownFiles is how many descriptors a node needs beside its clients': listeners,
// half-open connections that are about to be clients, logs, the poller.
const ownFiles = 128

// starPart is the part of the descriptors that clients of the rendezvous get
// where there are too few for all, 1 in so many, and what the relay leaves.
const starPart = 3

// fit lowers max-clients and max-star-clients to what the process may open: a
// client that is turned away knows why, one that cannot be accepted does not.
func fit(c *config.Node, log *slog.Logger) {
	var files syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files) != nil {
		return
	}
	star := 0
	if c.HasStar() {
		star = c.MaxStarClients
	}
	if files.Cur >= uint64(c.MaxClients+star)+ownFiles {
		return
	}
	room := max(2, int(files.Cur)-ownFiles)
	lower := func(name string, most *int, to int) {
		if asked := *most; to < asked {
			*most = to
			log.Info(name+" lowered: the process may not open more files", slog.Int("asked", asked), slog.Int("clients", to), slog.Uint64("files", files.Cur))
		}
	}
	if star > 0 {
		star = min(star, max(1, room/starPart, room-c.MaxClients))
		lower("max-star-clients", &c.MaxStarClients, star)
	}
	lower("max-clients", &c.MaxClients, room-star)
}

// listen opens what a node serves. daemon, if not nil, has opened the socket for
// user interfaces.
func listen(c *config.Node, log *slog.Logger, daemon *child.Child) (l assemble.Listeners, err error) {
	switch {
	case daemon != nil:
		l.UI.Listeners = []net.Listener{daemon.Listener}
		given, err := daemon.Settings()
		if err != nil {
			return l, err
		}
		l.UI.Dropped = given.GetUser() != nil
	case c.HasUI():
		if l.UI.Listeners, err = listenUI(c.UIPort); err != nil {
			return l, err
		}
	}
	l.UI.MaxFrame, l.UI.Most, l.UI.Idle = c.UIMaxFrame, c.MaxUIs, c.ConversationIdle
	if l.TLS, err = serverTLS(c, log); err != nil {
		return l, err
	}
	plain := net.ListenConfig{KeepAlive: -1} // pings tell who is gone, and four system calls a connection less
	if l.Relay, err = listenAt(&plain, c.RelayListen()); err != nil {
		return l, fmt.Errorf("node: cannot listen for clients: %w; choose another with --clandestine-port (0: any free one) or --relay-address", err)
	}
	if c.HasStar() {
		if l.Star, err = listenAt(&plain, c.StarListen()); err != nil {
			_ = l.Relay.Close()
			return l, fmt.Errorf("node: cannot listen for the rendezvous: %w; choose another with --star-port (0: any free one) or --star-address (off: none)", err)
		}
	}
	if c.HasEnclave() {
		if l.Enclave, err = listenAt(&plain, c.EnclaveListen()); err != nil {
			abandon(l.Relay, l.Star)
			return l, fmt.Errorf("node: cannot listen for friends: %w; choose another with --enclave-port (0: any free one) or --enclave-address (off: none)", err)
		}
	}
	if c.MetricsAddress != "" {
		if l.Metrics, err = listenAt(&net.ListenConfig{}, c.MetricsAddress); err != nil {
			abandon(l.Relay, l.Star, l.Enclave)
			return l, fmt.Errorf("node: cannot listen for metrics: %w; choose another with --metrics-address (off: none)", err)
		}
	}
	return l, nil
}

// listenAt opens a socket. To the library 0.0.0.0 is all addresses, those of IPv6
// too; who writes it means those of IPv4.
func listenAt(how *net.ListenConfig, address string) (net.Listener, error) {
	network := "tcp"
	if at, err := netip.ParseAddrPort(address); err == nil && at.Addr().Is4() {
		network = "tcp4"
	}
	return how.Listen(context.Background(), network, address)
}

// abandon closes listeners of a node that does not start; nil is none.
func abandon(all ...net.Listener) {
	for _, l := range all {
		if l != nil {
			_ = l.Close()
		}
	}
}

// openPipes makes the named pipes that are a front end of Enclave. A node goes on
// without them: they are one of several.
func openPipes(c *config.Node, l *assemble.Listeners, log *slog.Logger) {
	err := makeDirectory(c.DataDirectory)
	if err == nil {
		l.Pipes, err = pipes.Open(c.EnclaveDirectory(l.UI.Dropped))
	}
	if err != nil {
		log.Warn("no named pipes for front ends of the Enclave", slog.Any("error", err))
	}
}

// ready prints where the gateways listen, for scripts and parents.
func ready(w io.Writer, l *assemble.Listeners) error {
	at := struct {
		UI      string `json:"ui,omitempty"`
		Relay   string `json:"relay"`
		Star    string `json:"star,omitempty"`
		Enclave string `json:"enclave,omitempty"`
		Metrics string `json:"metrics,omitempty"`
	}{Relay: l.Relay.Addr().String()}
	if len(l.UI.Listeners) > 0 {
		at.UI = l.UI.Listeners[0].Addr().String()
	}
	if l.Star != nil {
		at.Star = l.Star.Addr().String()
	}
	if l.Enclave != nil {
		at.Enclave = l.Enclave.Addr().String()
	}
	if l.Metrics != nil {
		at.Metrics = l.Metrics.Addr().String()
	}
	b, err := json.Marshal(at)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "ready %s\n", b)
	return err
}

// greet tells people how to talk to the node.
func greet(w io.Writer, c *config.Node, l *assemble.Listeners) {
	relay, ws, web := l.Relay.Addr().String(), "ws", "http"
	if l.TLS != nil {
		ws, web = "wss", "https"
	}
	fmt.Fprintf(w, `
A relay node is running. Talk to it from other terminals:

  %[4]s sub lobby --url %[2]s://%[1]s/connect
  %[4]s pub lobby 'hello, all' --url %[2]s://%[1]s/connect
  curl %[3]s://%[1]s/health
`, relay, ws, web, os.Args[0])
	if l.Metrics != nil {
		fmt.Fprintf(w, "  curl http://%s/metrics\n", l.Metrics.Addr())
	}
	if at := l.Multiaddr(c); at != "" {
		fmt.Fprintf(w, "\nBrowsers with libp2p-websocket-star meet at\n\n  %s\n", at)
	}
	fmt.Fprint(w, "\nCtrl-C stops it.\n\n")
}

// anyPort allows sockets to be bound to ports that the kernel picks.
const anyPort = 0

// restrict takes from a node that has secrets what it does not need any more:
// everything that it listens on is open.
func restrict(c *config.Node, l assemble.Listeners, log *slog.Logger) error {
	if len(l.UI.Listeners) == 0 {
		return nil
	}
	paths := confine.NodePaths{Write: []string{c.Directory()}, Ports: []uint16{}}
	if c.LogFile != "" {
		paths.Write = append(paths.Write, filepath.Dir(c.LogFile))
	}
	if l.Enclave != nil {
		paths.Ports = append(paths.Ports, anyPort) // friends are dialled from the address that they know
	}
	if l.Pipes != nil {
		paths.Write = append(paths.Write, c.EnclaveDirectory(l.UI.Dropped))
	}
	for _, file := range []string{c.RelayTLSCertificate, c.RelayTLSKey} {
		if file != "" {
			paths.Read = append(paths.Read, filepath.Dir(file))
		}
	}
	for _, name := range []string{"SSL_CERT_FILE", "SSL_CERT_DIR"} { // whom to believe that they are the node that was dialled
		paths.Read = append(paths.Read, filepath.SplitList(os.Getenv(name))...)
	}
	r, err := confine.Node(paths)
	if err != nil {
		return err
	}
	log.Info("confined", slog.Bool("root", r.Root), slog.Int("landlock", r.ABI), slog.Bool("files", r.Files), slog.Bool("ports", r.Ports), slog.Bool("signals", r.Signals))
	return nil
}
