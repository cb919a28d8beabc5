// Package confine takes from a process what it does not need: a Daemon what
// helps others to look into it, a Node everything but its files and its sockets.
//
// The kernel keeps most of that a thread. All of it is done on all threads here,
// with and without cgo; threads that start later inherit it.
package confine

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/cap"
)

// ownerOnly is the umask: nothing for group and others.
const ownerOnly = 0o077

// Daemon keeps others from reading this process's memory, which knows secrets:
// no core dumps, no tracing by its own user, no values of ours in the environment
// that the kernel shows. Nothing that it starts gains
// privileges by being set-uid, and files that it makes are its owner's only.
//
// It does without Landlock: a Node would inherit that, and needs more than its Daemon.
func Daemon() error { return modest() }

// modest is what Daemon and Node have in common.
func modest() error {
	conceal() // while this process may still look into itself
	unix.Umask(ownerOnly)
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("confine: no core dumps: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("confine: not dumpable: %w", err)
	}
	if _, err := cap.Prctlw(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("confine: no new privileges: %w", err)
	}
	return nil
}

// NodePaths is what a Node may use of the machine, beside what every program
// reads: /etc, /proc, /sys, time zones, certificates.
type NodePaths struct {
	// Read are files and folders that may be read. A file that is replaced by
	// another of its name, as certificates are, cannot be read from then on: name
	// its folder. What does not exist is left out.
	Read []string
	// Write are folders in which anything may be done to files but run them, and
	// move them from one of these folders to another. They must exist.
	Write []string
	// Ports are those that TCP sockets may be bound to; 0 among them allows any
	// that the kernel picks. nil: all. Sockets of MPTCP, the default of net.Listen,
	// are not held to it by kernels of today.
	Ports []uint16
}

// Node does to this process what Daemon does, and takes its capabilities, unless
// it is root, and as much of the file system, of ports, and of other processes
// as the kernel lets it (Landlock). A kernel without Landlock is no error; the
// report says what was done.
func Node(p NodePaths) (Report, error) {
	r := Report{Root: os.Geteuid() == 0}
	if err := modest(); err != nil {
		return r, err
	}
	if !r.Root { // root without capabilities could not even read files of others that it is told to
		if err := cap.ResetAmbient(); err != nil {
			return r, fmt.Errorf("confine: ambient capabilities: %w", err)
		}
		if err := cap.NewSet().SetProc(); err != nil {
			return r, fmt.Errorf("confine: capabilities: %w", err)
		}
	}
	return r, r.landlock(p)
}
