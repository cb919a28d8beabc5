package config

import (
	"log/slog"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Daemon are the options of a Daemon itself, checked, computed ones filled in.
// What it starts Nodes with is in its Setup space: see SetupSpace.
type Daemon struct {
	ConfigFile    string // config-file, as given; blank: none
	DataDirectory string // data-directory, a full path; see Directory

	LogLevel  string // log-level; see Level
	LogFormat string // log-format: text or json
	LogFile   string // log-file, of the flag only; blank: standard error only

	UI
	UIPort int // ui-port; 0: any free port
}

// Directory gives the Daemon's own directory; that of its Node is beside it,
// wherever the Setup space does not say otherwise.
func (d *Daemon) Directory() string { return filepath.Join(d.DataDirectory, "daemon") }

// Level gives log-level for slog.
func (d *Daemon) Level() slog.Level { return Level(d.LogLevel) }

// daemonOptions are the options of a Daemon itself. Few have a flag: the others belong into
// the Setup space, where user interfaces see them.
var daemonOptions = newTable(func() []Option {
	var all []Option
	for _, o := range options() {
		switch o.Name {
		case optUIPort:
			o.Default, o.Blank = defaultUIPort, ""
		case optLogFile:
			o.flagOnly = true
		case optConfigFile, optDataDirectory, optLogLevel, optLogFormat:
		case optUIUsers, optUIOrigins, optUIAccess, "ui-max-frame", "max-uis", "conversation-idle":
			o.noFlag = true
		default:
			continue
		}
		all = append(all, o)
	}
	return all
}())

// DaemonFlags adds the flags of a Daemon.
func DaemonFlags(fs *pflag.FlagSet) { daemonOptions.flags(fs) }

// RegisterDaemonCompletions is RegisterCompletions for the flags of DaemonFlags.
func RegisterDaemonCompletions(cmd *cobra.Command) error {
	return daemonOptions.registerCompletions(cmd)
}

// LoadDaemon gives the options of a Daemon itself: defaults < file < environment < flags. The
// error is a *UsageError; what is wrong with options of Nodes is no error: the Setup space tells.
func LoadDaemon(opts LoadOptions) (*Values, error) {
	l := newLoader(opts)
	l.table = daemonOptions
	l.apply(l.defaults())
	l.outside()
	l.compute()
	v := &Values{table: l.table, koanf: l.values, origins: l.origins}
	d := Daemon{
		ConfigFile: v.String(optConfigFile), DataDirectory: v.String(optDataDirectory),
		LogLevel: v.String(optLogLevel), LogFormat: v.String(optLogFormat), LogFile: v.String(optLogFile),
		UI: newUI(v), UIPort: v.Int(optUIPort),
	}
	d.UIUsers = l.users(v)
	values, err := l.finish()
	if err != nil {
		return nil, err
	}
	values.daemon = d
	return values, nil
}
