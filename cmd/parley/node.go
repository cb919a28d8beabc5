package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	actors "parley/actors/node"
	"parley/actors/store"
	"parley/actors/tree"
	"parley/actors/vault"
	"parley/cmd/parley/assemble"
	"parley/cmd/parley/child"
	"parley/cmd/parley/config"
	"parley/cmd/parley/confine"
)

func nodeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "node",
		Short: "Run a Node by itself, without a Daemon, in the foreground",
		Long: `Run a Node by itself, without a Daemon, in the foreground: relay clients at /connect, health at /health, browsers that meet
(libp2p WebSocketStar) and friends (Enclave) at ports of their own, and with --ui-port user interfaces on loopback.

When it listens it prints one line on stdout:
  ready {"ui":"127.0.0.1:5400","relay":"127.0.0.1:8912","star":"127.0.0.1:9090","enclave":"127.0.0.1:7776","metrics":"127.0.0.1:9464"}
SIGTERM or Ctrl-C says goodbye to all clients and ends with 0; a second one ends at once. SIGHUP opens the log file anew.`,
		Example: `  parley node
  parley node --clandestine-port 0 --log-format json
  parley node --config-file parley.toml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if under, _ := cmd.Flags().GetBool(underDaemon); under {
				return runChild(cmd)
			}
			values, err := config.Load(config.LoadOptions{Flags: cmd.Flags()})
			if err != nil {
				return err
			}
			return serveNode(cmd, values, nil)
		},
	}
	config.Flags(cmd.Flags())
	cmd.Flags().Bool(underDaemon, false, "started by a Daemon, which opened descriptors for it")
	if err := errors.Join(cmd.Flags().MarkHidden(underDaemon), config.RegisterCompletions(cmd)); err != nil {
		panic(err)
	}
	return cmd
}

// underDaemon is the flag that a Daemon starts its Node with. Source:
// gateways/process.
const underDaemon = "under-daemon"

// runChild is a Node that a Daemon started.
func runChild(cmd *cobra.Command) error {
	daemon, err := child.Open()
	if err != nil {
		return &usageError{err}
	}
	given, err := daemon.Settings()
	if err != nil {
		return err
	}
	if u := given.GetUser(); u != nil {
		if err := confine.Dropped(u.GetUid(), u.GetGid()); err != nil {
			return err
		}
	}
	settings := []config.Setting{}
	for _, v := range given.GetValues() {
		settings = append(settings, config.Setting{Name: v.GetName(), Value: v.GetValue()})
	}
	values, err := config.Load(config.LoadOptions{Settings: settings})
	if err != nil {
		return err
	}
	return serveNode(cmd, values, daemon)
}

// serveNode is all of a Node's life. daemon is who started it; nil: nobody.
func serveNode(cmd *cobra.Command, values *config.Values, daemon *child.Child) (err error) {
	c := values.Node()
	out, err := openLog(cmd.ErrOrStderr(), logging{c.Level(), c.LogFormat, c.LogFile})
	if err != nil {
		return err
	}
	defer func() { err = out.end(err) }()
	tee := actors.NewTee(out.logger.Handler())
	log := slog.New(tee)
	for _, w := range values.Warnings() {
		log.Warn(w)
	}
	for _, name := range values.Unsafe() {
		log.Warn("an unsafe option is in effect", slog.String("option", name))
	}
	fit(&c, log)
	l, db, err := open(&c, log, daemon)
	if db != nil {
		defer closeStore(db, log)
	}
	if err != nil {
		return err
	}
	if db != nil {
		l.DB, l.UI.Tee, l.UI.Apply = db, tee, out.apply
		if l.Password, err = password(&c); err != nil {
			return err
		}
	}
	if c.HasEnclave() {
		openPipes(&c, &l, log)
	}
	l.Identity = identity(l.DB, &c, log)
	if err := restrict(&c, l, log); err != nil {
		return err
	}
	// Signals from here on are ours: whoever reads the ready line may send one.
	signal.Ignore(syscall.SIGPIPE) // whoever reads the log may go away; the node stays
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt, syscall.SIGHUP)
	defer signal.Stop(signals)

	fatal := make(chan error, 1)
	pool := tree.NewPool()
	defer pool.Close()
	sys := tree.New(tree.Options{Log: log, Driver: pool, Fatal: fatalTo(fatal, "node")})
	l.Unsafe = values.Unsafe()
	n := assemble.Start(sys, &c, l)
	out.lost.Store(n.LogLost)
	// Hashing threads have processors of their own in the scheduler, and little
	// of the machine: one that waits for the kernel must not hold up the relay.
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + c.PasswordWorkers)
	stop := make(chan struct{})
	defer close(stop)
	go hush(n.Frames, stop)
	if err = n.Opened(&c); err == nil {
		err = announce(cmd, out.screen, &c, &l, daemon)
	}
	signalled := false
	if err == nil {
		signalled, err = superviseNode(n, out, log, signals, fatal, daemon)
	}
	return errors.Join(err, stopNode(n, c.DrainTimeout, impatientSince(signalled, daemon != nil), signals, out))
}

// unkeptMost is how long a Node may take to end whose Daemon died as it started.
const unkeptMost = 5 * time.Second

// open opens what a Node works with: its database, nil if it keeps nothing, which
// its caller closes whatever the error is, and what it listens on.
func open(c *config.Node, log *slog.Logger, daemon *child.Child) (l assemble.Listeners, db *store.DB, err error) {
	if daemon != nil {
		// The next Daemon knows nothing of a Node that was not kept, and may start
		// this one on its heels. That one gives back its ports before its database.
		if db, err = openStore(c.DataDirectory, c.Directory(), unkeptMost, log); err != nil {
			return l, nil, err
		}
	}
	l, err = listen(c, log, daemon)
	if err == nil && db == nil && (len(l.UI.Listeners) > 0 || l.Enclave != nil) {
		db, err = openStore(c.DataDirectory, c.Directory(), 0, log)
	}
	return l, db, err
}

// password takes the database password out of the options; nil: there is none.
func password(c *config.Node) (*vault.Secret, error) {
	if c.DBPassword == "" {
		return nil, nil
	}
	given := []byte(c.DBPassword)
	c.DBPassword = ""
	return vault.NewSecret(given)
}

// announce tells whoever started this node that it is ready.
func announce(cmd *cobra.Command, notes io.Writer, c *config.Node, l *assemble.Listeners, daemon *child.Child) error {
	if daemon != nil {
		return daemon.Ready()
	}
	if err := ready(cmd.OutOrStdout(), l); err != nil {
		return err
	}
	if c.LogFormat == "text" {
		greet(notes, c, l)
	}
	return nil
}

// errOrphan ends a Node whose Daemon died before it knew the Node for good.
var errOrphan = errors.New("node: the Daemon that started this Node is gone, and no other will know of it")

// superviseNode returns when the node is to stop, whether a signal said so, and
// why if it failed.
func superviseNode(n *assemble.Node, out *logOutput, log *slog.Logger, signals <-chan os.Signal, fatal <-chan error, daemon *child.Child) (signalled bool, err error) {
	var gone <-chan struct{}
	if daemon != nil {
		gone = daemon.Gone()
	}
	for {
		select {
		case s := <-signals:
			if out.reload(s) {
				log.Info("log file opened anew")
				out.Reopen()
				continue
			}
			log.Info("stopping", slog.String("signal", s.String()))
			return true, nil
		case <-n.Ended():
			log.Info("stopping", slog.String("reason", "a user interface asked for it"))
			return false, nil
		case <-gone:
			if !daemon.WasKept() {
				return false, errOrphan
			}
			gone = nil
			log.Warn("the Daemon is gone; this Node goes on, and the next Daemon adopts it")
		case err = <-n.Failed():
			log.Error("stopping", slog.Any("error", err))
			return false, err
		case err = <-fatal:
			log.Error("stopping", slog.Any("error", err))
			return false, err
		}
	}
}

// stopNode stops the node in order, or at once when a signal asks for that.
func stopNode(n *assemble.Node, most time.Duration, how *impatience, signals <-chan os.Signal, out *logOutput) error {
	ctx, cancel := context.WithTimeout(context.Background(), most)
	defer cancel()
	go how.watch(signals, out)
	if err := n.Stop(ctx); err != nil {
		out.logger.Warn("stopped late", slog.Any("error", err))
	}
	return nil
}
