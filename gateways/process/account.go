package process

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"parley/messages/processpb"
)

// account is whom a Node runs as.
type account struct {
	uid, gid uint32
	home     string
	drop     bool // this process is root and must not pass that on
}

// whose reads a real-user, <uid>:<gid>:<home>. A Daemon that is not root can
// start a Node only as itself, whatever it says.
func whose(realUser string) (account, error) {
	if os.Geteuid() != 0 {
		return account{uid: uint32(os.Geteuid()), gid: uint32(os.Getegid()), home: os.Getenv("HOME")}, nil
	}
	const next = "; set real-user to <uid>:<gid>:<home> of a user without privileges"
	if realUser == "" {
		return account{}, errors.New("process: a Daemon that is root does not start a Node as root" + next)
	}
	parts := strings.SplitN(realUser, ":", 3)
	if len(parts) != 3 {
		return account{}, fmt.Errorf("process: real-user %q is not understood%s", realUser, next)
	}
	uid, uidErr := strconv.ParseUint(parts[0], 10, 32)
	gid, gidErr := strconv.ParseUint(parts[1], 10, 32)
	switch {
	case uidErr != nil || gidErr != nil || uid == math.MaxUint32 || gid == math.MaxUint32 || !filepath.IsAbs(parts[2]):
		return account{}, fmt.Errorf("process: real-user %q is not understood%s", realUser, next)
	case uid == 0 || gid == 0:
		return account{}, fmt.Errorf("process: real-user %q is root or has its group%s", realUser, next)
	}
	return account{uid: uint32(uid), gid: uint32(gid), home: parts[2], drop: true}, nil
}

// user is the account as the Node is told; nil: there was nothing to drop.
func (a account) user() *processpb.User {
	if !a.drop {
		return nil
	}
	return &processpb.User{Uid: a.uid, Gid: a.gid}
}

// attributes of the process: a session of its own, so that Ctrl-C in the
// Daemon's terminal is the Daemon's, and no group but the user's own.
func (a account) attributes() *syscall.SysProcAttr {
	s := &syscall.SysProcAttr{Setsid: true}
	if a.drop {
		s.Credential = &syscall.Credential{Uid: a.uid, Gid: a.gid}
	}
	return s
}

// inherited are the variables that a Node gets from its Daemon, and those that
// start with LC_. Whatever else is there may be a secret.
var inherited = []string{"PATH", "LANG", "TZ"}

// environ is the environment of the Node, of that of the Daemon.
func (a account) environ(daemons []string) []string {
	var env []string
	for _, v := range daemons {
		name, _, _ := strings.Cut(v, "=")
		if strings.HasPrefix(name, "LC_") {
			env = append(env, v)
		}
		for _, n := range inherited {
			if name == n {
				env = append(env, v)
			}
		}
	}
	if a.home != "" {
		env = append(env, "HOME="+a.home)
	}
	return env
}
