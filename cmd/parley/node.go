package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/spf13/cobra"

	"parley/actors/tree"
	"parley/cmd/parley/assemble"
	"parley/cmd/parley/config"
)

func nodeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "node",
		Short: "Run a relay node in the foreground",
		Long: `Run a relay node in the foreground: clients at /connect, health at /health.

When it listens it prints one line on stdout:
  ready {"relay":"127.0.0.1:8912","metrics":"127.0.0.1:9464"}
SIGTERM or Ctrl-C says goodbye to all clients and ends with 0; a second one ends at once.`,
		Example: `  parley node
  parley node --clandestine-port 0 --log-format json
  parley node --config-file parley.toml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runNode(cmd) },
	}
	config.Flags(cmd.Flags())
	if err := config.RegisterCompletions(cmd); err != nil {
		panic(err)
	}
	return cmd
}

func runNode(cmd *cobra.Command) error {
	values, err := config.Load(config.LoadOptions{Flags: cmd.Flags()})
	if err != nil {
		return err
	}
	c := values.Node()
	log := newLogger(cmd.ErrOrStderr(), &c)
	for _, w := range values.Warnings() {
		log.Warn(w)
	}
	for _, name := range values.Unsafe() {
		log.Warn("an unsafe option is in effect", slog.String("option", name))
	}
	l, err := listen(&c, log)
	if err != nil {
		return err
	}
	// Signals from here on are ours: whoever reads the ready line may send one.
	signal.Ignore(syscall.SIGPIPE) // whoever reads the log may go away; the node stays
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	defer signal.Stop(signals)

	fatal := make(chan error, 1)
	pool := tree.NewPool()
	defer pool.Close()
	sys := tree.New(tree.Options{Log: log, Driver: pool, Fatal: func(reason any) {
		select {
		case fatal <- fmt.Errorf("node: a part failed again and again, last: %v", reason):
		default:
		}
	}})
	n := assemble.Start(sys, &c, l)
	// Hashing threads have processors of their own in the scheduler, and little
	// of the machine: one that waits for the kernel must not hold up the relay.
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + c.PasswordWorkers)
	stop := make(chan struct{})
	defer close(stop)
	go hush(n.Frames, stop)
	if err := ready(cmd.OutOrStdout(), l); err != nil {
		return err
	}
	if c.LogFormat == "text" {
		greet(cmd.ErrOrStderr(), l)
	}
	select {
	case s := <-signals:
		log.Info("stopping", slog.String("signal", s.String()))
	case err = <-n.Failed():
		log.Error("stopping", slog.Any("error", err))
	case err = <-fatal:
		log.Error("stopping", slog.Any("error", err))
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.DrainTimeout)
	defer cancel()
	go func() {
		<-signals
		log.Warn("stopped without goodbye: second signal")
		os.Exit(exitFailed)
	}()
	if stopErr := n.Stop(ctx); stopErr != nil {
		log.Warn("stopped late", slog.Any("error", stopErr))
	}
	return err
}

// ownFiles is how many descriptors a node needs beside its clients': listeners,
// half-open connections that are about to be clients, logs, the poller.
const ownFiles = 128

// fit lowers max-clients to what the process may open: a client that is turned
// away knows why, one that cannot be accepted does not.
func fit(c *config.Node, log *slog.Logger) {
	var files syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files) != nil || files.Cur >= uint64(c.MaxClients)+ownFiles {
		return
	}
	asked := c.MaxClients
	c.MaxClients = max(1, int(files.Cur)-ownFiles)
	log.Info("max-clients lowered: the process may not open more files", slog.Int("asked", asked),
		slog.Int("clients", c.MaxClients), slog.Uint64("files", files.Cur))
}

func listen(c *config.Node, log *slog.Logger) (l assemble.Listeners, err error) {
	if l.TLS, err = serverTLS(c, log); err != nil {
		return l, err
	}
	plain := net.ListenConfig{KeepAlive: -1} // pings tell who is gone, and four system calls a connection less
	if l.Relay, err = plain.Listen(context.Background(), "tcp", c.RelayListen()); err != nil {
		return l, fmt.Errorf("node: cannot listen for clients: %w; choose another with --clandestine-port (0: any free one) or --relay-address", err)
	}
	if c.MetricsAddress != "" {
		if l.Metrics, err = net.Listen("tcp", c.MetricsAddress); err != nil {
			_ = l.Relay.Close()
			return l, fmt.Errorf("node: cannot listen for metrics: %w; choose another with --metrics-address (off: none)", err)
		}
	}
	return l, nil
}

// ready prints where the gateways listen, for scripts and parents.
func ready(w io.Writer, l assemble.Listeners) error {
	at := struct {
		Relay   string `json:"relay"`
		Metrics string `json:"metrics,omitempty"`
	}{Relay: l.Relay.Addr().String()}
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
func greet(w io.Writer, l assemble.Listeners) {
	at, ws, web := l.Relay.Addr().String(), "ws", "http"
	if l.TLS != nil {
		ws, web = "wss", "https"
	}
	fmt.Fprintf(w, `
A relay node is running. Talk to it from other terminals:

  %[4]s sub lobby --url %[2]s://%[1]s/connect
  %[4]s pub lobby 'hello, all' --url %[2]s://%[1]s/connect
  curl %[3]s://%[1]s/health
`, at, ws, web, os.Args[0])
	if l.Metrics != nil {
		fmt.Fprintf(w, "  curl http://%s/metrics\n", l.Metrics.Addr())
	}
	fmt.Fprint(w, "\nCtrl-C stops it.\n\n")
}
