package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/spf13/cobra"

	"parley/actors/store"
	"parley/actors/tree"
	"parley/cmd/parley/assemble"
	"parley/cmd/parley/config"
	"parley/cmd/parley/confine"
	"parley/gateways/guard"
	processes "parley/gateways/process"
	"parley/gateways/uiv2"
)

func daemonCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "daemon",
		Short: "Run the Daemon in the foreground: it serves user interfaces, and starts a Node when one asks",
		Long: `Run the Daemon in the foreground. User interfaces connect to it on loopback, fill the Setup space, and have it start a Node.

When it listens it prints one line on stdout:
  ready {"ui":"127.0.0.1:5333"}
SIGTERM or Ctrl-C stops the Node in order and ends with 0. SIGHUP opens the log file anew and reads the config file again;
to a Daemon that logs to a terminal it means that the terminal is gone, and that it should stop.
"parley --initialization" is the same.`,
		Example: `  parley daemon
  parley daemon --ui-port 0 --data-directory /tmp/parley
  parley start`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runDaemon(cmd, nil) },
	}
	daemonFlags(cmd)
	return cmd
}

func daemonFlags(cmd *cobra.Command) {
	config.DaemonFlags(cmd.Flags())
	if err := config.RegisterDaemonCompletions(cmd); err != nil {
		panic(err)
	}
}

// runDaemon is all of a Daemon's life. serving, if not nil, runs beside it once
// it serves, until its context ends, and tells people what they should know; an
// error from it stops the Daemon.
func runDaemon(cmd *cobra.Command, serving func(ctx context.Context, port uint16, notes io.Writer) error) (err error) {
	opts := config.LoadOptions{Flags: cmd.Flags()}
	values, err := config.LoadDaemon(opts)
	if err != nil {
		return err
	}
	c := values.Daemon()
	uis, err := listenUI(c.UIPort) // before anything else is touched
	if err != nil {
		return err
	}
	defer closeAll(uis)
	out, err := openLog(cmd.ErrOrStderr(), logging{c.Level(), c.LogFormat, c.LogFile})
	if err != nil {
		return err
	}
	defer func() { err = out.end(err) }()
	log := out.logger
	for _, w := range values.Warnings() {
		log.Warn(w)
	}
	if err := confine.Daemon(); err != nil {
		log.Warn("not confined", slog.Any("error", err))
	}
	db, err := openStore(c.DataDirectory, c.Directory(), 0, log)
	if err != nil {
		return err
	}
	defer closeStore(db, log)
	signals := make(chan os.Signal, 2)
	signal.Ignore(syscall.SIGPIPE)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt, syscall.SIGHUP)
	defer signal.Stop(signals)

	fatal := make(chan error, 1)
	pool := tree.NewPool()
	defer pool.Close()
	sys := tree.New(tree.Options{Log: log, Driver: pool, Fatal: fatalTo(fatal, "daemon")})
	d := assemble.StartDaemon(sys, assemble.DaemonParts{
		UIs: assemble.UIs{Listeners: uis, MaxFrame: c.UIMaxFrame, Most: c.MaxUIs, Idle: c.ConversationIdle},
		DB:  db, Space: config.SetupSpace(opts), Policy: policyOf(c.UI),
		Processes: func(ctx actor.SpawnerContext) *actor.PID {
			return processes.Spawn(ctx, "processes", processes.Options{Line: out.nodeLine})
		},
	})
	if os.Geteuid() != 0 {
		log.Info("not root: Nodes run as the same user as this Daemon", slog.Int("uid", os.Geteuid()))
	}
	stop := make(chan struct{})
	defer close(stop)
	go hush(d.Frames, stop)
	if err := readyDaemon(cmd.OutOrStdout(), uis[0]); err != nil {
		return errors.Join(err, stopDaemon(d, log))
	}
	ctx, cancel := context.WithCancel(cmd.Context())
	defer cancel()
	beside := make(chan error, 1)
	if serving != nil {
		go func() { beside <- serving(ctx, portOf(uis[0]), out.screen) }()
	}
	err = superviseDaemon(d, out, signals, fatal, beside)
	cancel()
	go impatientSince(true, false).watch(signals, out)
	return errors.Join(err, stopDaemon(d, log))
}

// superviseDaemon returns when the Daemon is to stop, and why if it failed.
func superviseDaemon(d *assemble.Daemon, out *logOutput, signals <-chan os.Signal, fatal, beside <-chan error) error {
	for {
		select {
		case s := <-signals:
			if out.reload(s) {
				out.logger.Info("reloading")
				out.Reopen()
				d.Reload()
				continue
			}
			out.logger.Info("stopping", slog.String("signal", s.String()))
			return nil
		case err := <-d.Failed():
			return err
		case err := <-fatal:
			return err
		case err := <-beside:
			if err != nil {
				return err
			}
			beside = nil
		}
	}
}

// daemonStop is what an orderly end may take: the Node has 10 s of it.
const daemonStop = 15 * time.Second

func stopDaemon(d *assemble.Daemon, log *slog.Logger) error {
	ctx, cancel := context.WithTimeout(context.Background(), daemonStop)
	defer cancel()
	if err := d.Stop(ctx); err != nil {
		log.Warn("stopped late", slog.Any("error", err))
	}
	return nil
}

// fatalTo reports that a topmost supervisor gave up.
func fatalTo(to chan<- error, who string) func(any) {
	return func(reason any) {
		select {
		case to <- fmt.Errorf("%s: a part failed again and again, last: %v", who, reason):
		default:
		}
	}
}

// anyPortTries is how many free ports are tried until one is free on 127.0.0.1
// and on ::1.
const anyPortTries = 16

// listenUI listens for user interfaces on loopback: on 127.0.0.1, and on ::1
// with the same port where there is IPv6. One of them alone will not do: who has
// the other is whom user interfaces reach that connect to localhost.
func listenUI(port int) (all []net.Listener, err error) {
	for try := 0; ; try++ {
		if all, err = listenBoth(port); port != 0 || try == anyPortTries || !errors.Is(err, syscall.EADDRINUSE) {
			return all, err
		}
	}
}

func listenBoth(port int) ([]net.Listener, error) {
	l, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return nil, notListening(err, "127.0.0.1", port)
	}
	six, err := net.Listen("tcp6", net.JoinHostPort("::1", strconv.Itoa(int(portOf(l)))))
	if errors.Is(err, syscall.EADDRINUSE) {
		_ = l.Close()
		return nil, notListening(err, "::1", port)
	}
	if err != nil { // there is no IPv6
		return []net.Listener{l}, nil
	}
	return []net.Listener{l, six}, nil
}

func notListening(err error, at string, port int) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return &takenError{at, port}
	}
	return fmt.Errorf("cannot listen for user interfaces: %w; choose another port with --ui-port", err)
}

// takenError says that somebody else has the port for user interfaces.
type takenError struct {
	at   string
	port int
}

func (e *takenError) Error() string {
	return fmt.Sprintf("port %d on %s is taken: perhaps a Daemon is already running (parley status tells); choose another with --ui-port", e.port, e.at)
}

// Unwrap is for errors.Is.
func (e *takenError) Unwrap() error { return syscall.EADDRINUSE }

func portOf(l net.Listener) uint16 { return uint16(l.Addr().(*net.TCPAddr).Port) }

func closeAll(all []net.Listener) {
	for _, l := range all {
		_ = l.Close() // by then the servers have closed it
	}
}

// readyDaemon prints where the Daemon listens, for scripts and parents.
func readyDaemon(w io.Writer, l net.Listener) error {
	b, err := json.Marshal(map[string]string{"ui": l.Addr().String()})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "ready %s\n", b)
	return err
}

// policyOf says who may come in, given the Setup space; byDefault until it is known.
func policyOf(byDefault config.UI) func(values map[string]string) uiv2.Policy {
	return func(values map[string]string) uiv2.Policy {
		u := byDefault
		if values != nil {
			u = config.UIOf(config.LoadOptions{}, values)
		}
		return uiv2.Policy{Rules: guard.Rules{Origins: u.UIOrigins}, Users: u.UIUsers, AllMayLook: u.UIAccessLook}
	}
}

// directoryMode lets the users of the parts below pass, and nobody list.
const directoryMode = 0o711

// makeDirectory makes a directory, and those above it, unless it is there: then
// it is left as its owner wants it.
func makeDirectory(data string) error {
	if _, err := os.Stat(data); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(data, directoryMode); err != nil {
		return err
	}
	return os.Chmod(data, directoryMode) // whatever the umask
}

// inUseEvery is the pause before another try to open a database in use.
const inUseEvery = 20 * time.Millisecond

// openStore opens the database in its own directory below data. It waits for
// another process that has it and may be about to end, but at most so long.
func openStore(data, own string, most time.Duration, log *slog.Logger) (*store.DB, error) {
	if err := makeDirectory(data); err != nil {
		return nil, fmt.Errorf("data-directory: %w; name another with --data-directory", err)
	}
	late := time.Now().Add(most)
	for {
		db, err := store.Open(own, store.OpenOptions{Log: log})
		if err == nil {
			return db, nil
		}
		var inUse *store.InUseError
		if !errors.As(err, &inUse) || !time.Now().Before(late) {
			return nil, err
		}
		time.Sleep(inUseEvery)
	}
}

func closeStore(db *store.DB, log *slog.Logger) {
	if err := db.Close(); err != nil {
		log.Error("the database was not closed in order", slog.Any("error", err))
	}
}
