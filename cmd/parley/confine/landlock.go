package confine

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/landlock-lsm/go-landlock/landlock"
	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
)

const (
	readFile  landlock.AccessFSSet = ll.AccessFSReadFile
	readDir   landlock.AccessFSSet = ll.AccessFSReadDir
	writeFile landlock.AccessFSSet = ll.AccessFSWriteFile | ll.AccessFSTruncate
	writeDir  landlock.AccessFSSet = ll.AccessFSMakeDir | ll.AccessFSMakeReg | ll.AccessFSMakeFifo | ll.AccessFSRemoveDir | ll.AccessFSRemoveFile
	// everything is what is forbidden where no rule allows it: all that Landlock
	// knows of files, running them and reaching sockets among them.
	everything landlock.AccessFSSet = 1<<17 - 1
)

// ABI versions of Landlock from which on the kernel knows something.
const (
	abiPorts  = 4
	abiScopes = 6
)

// signalsFixed is the bit of the kernel's list of errata that says that threads
// of one process may signal each other even if a signal scope was put on each
// of them. Go's scheduler needs that.
const signalsFixed = 1 << 1

// commonFolders are read by every program: configuration, time zones,
// certificates, figures of the machine.
var commonFolders = []string{
	"/etc", "/proc", "/sys", "/usr/share/zoneinfo", "/usr/share/ca-certificates", "/usr/local/share/ca-certificates",
}

// commonFiles may be links out of these folders.
var commonFiles = []string{"/etc/resolv.conf", "/etc/hosts", "/etc/localtime", "/etc/ssl/certs/ca-certificates.crt"}

// Report is what was taken from a process, for one line of a log.
type Report struct {
	Root    bool // it runs as root and has its capabilities
	ABI     int  // version of the kernel's Landlock; 0: none, and none of the following
	Files   bool // only those that were named
	Ports   bool // only those that were named
	Signals bool // only to itself
}

// LogValue implements slog.LogValuer.
func (r Report) LogValue() slog.Value {
	var limits []string
	for _, l := range []struct {
		done bool
		name string
	}{{r.Files, "files"}, {r.Ports, "ports"}, {r.Signals, "signals"}} {
		if l.done {
			limits = append(limits, l.name)
		}
	}
	if len(limits) == 0 {
		limits = []string{"nothing"}
	}
	return slog.GroupValue(slog.Bool("root", r.Root), slog.Int("landlock", r.ABI), slog.String("restricted", strings.Join(limits, " ")))
}

// landlock restricts this process as far as the kernel knows how, and fills r.
func (r *Report) landlock(p NodePaths) error {
	abi, err := ll.LandlockGetABIVersion()
	if err != nil || abi < 1 {
		return nil // not built in, or switched off at boot
	}
	rules, err := fileRules(p)
	if err != nil {
		return err
	}
	parts := []any{everything}
	if p.Ports != nil {
		parts = append(parts, landlock.AccessNetSet(ll.AccessNetBindTCP))
		for _, port := range p.Ports {
			rules = append(rules, landlock.BindTCP(port))
		}
	}
	errata, _ := ll.LandlockGetErrata() // kernels that cannot list them have not fixed them
	scopes := landlock.ScopedSet(ll.ScopeAbstractUnixSocket)
	if errata&signalsFixed != 0 {
		scopes |= ll.ScopeSignal
	}
	c, err := landlock.NewConfig(append(parts, scopes)...)
	if err != nil {
		return fmt.Errorf("confine: landlock: %w", err)
	}
	if err := c.BestEffort().Restrict(rules...); err != nil {
		return fmt.Errorf("confine: landlock: %w", err)
	}
	r.ABI, r.Files = abi, true
	r.Ports = abi >= abiPorts && p.Ports != nil
	r.Signals = abi >= abiScopes && scopes&ll.ScopeSignal != 0
	return nil
}

// fileRules allow what a Node may do to files.
func fileRules(p NodePaths) ([]landlock.Rule, error) {
	rules := []landlock.Rule{landlock.PathAccess(readFile|writeFile, os.DevNull).IgnoreIfMissing()}
	for _, path := range append(append(append([]string{}, commonFolders...), commonFiles...), p.Read...) {
		// Where a link leads to now is where it may be followed.
		path, err := filepath.EvalSymlinks(path)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
			continue // there is nothing to allow
		} else if err != nil {
			return nil, fmt.Errorf("confine: %w", err)
		}
		access := readFile
		if st, err := os.Stat(path); err == nil && st.IsDir() {
			access |= readDir
		}
		rules = append(rules, landlock.PathAccess(access, path).IgnoreIfMissing())
	}
	for _, path := range p.Write {
		st, err := os.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("confine: a folder to write to: %w", err)
		}
		if !st.IsDir() {
			return nil, fmt.Errorf("confine: %q is no folder", path)
		}
		rules = append(rules, landlock.PathAccess(readFile|readDir|writeFile|writeDir, path))
	}
	return rules, nil
}
