package confine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// keepID tells setresuid and setresgid to leave an id as it is.
const keepID = -1

// attempts are ways back to privileges. None may work.
var attempts = []struct {
	what string
	try  func() error
}{
	{"become root", func() error { return syscall.Setuid(0) }},
	{"become root in effect", func() error { return syscall.Setresuid(keepID, 0, keepID) }},
	{"join the group of root", func() error { return syscall.Setgid(0) }},
	{"join the group of root in effect", func() error { return syscall.Setresgid(keepID, 0, keepID) }},
	{"choose its groups", func() error { return syscall.Setgroups([]int{0}) }},
}

// Dropped makes sure that this process is user uid of group gid, of no other
// group, on all threads, without any capability, and that there is no way back.
// It finds out by trying. After an error it must end at once: it may be root by
// then.
func Dropped(uid, gid uint32) error {
	if uid == 0 || gid == 0 {
		return fmt.Errorf("confine: user %d of group %d has privileges", uid, gid)
	}
	for _, a := range attempts {
		if a.try() == nil {
			return fmt.Errorf("confine: privileges were not dropped: this process could %s", a.what)
		}
	}
	threads, err := filepath.Glob("/proc/self/task/*/status")
	if err != nil || len(threads) == 0 {
		return errors.New("confine: cannot tell whether privileges were dropped: /proc is not there")
	}
	for _, path := range threads {
		b, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue // a thread that has ended
		} else if err != nil {
			return fmt.Errorf("confine: cannot look at this process: %w", err)
		}
		if err := harmless(string(b), uid, gid); err != nil {
			return err
		}
	}
	return nil
}

// noCapability is how the kernel writes an empty set.
const noCapability = "0000000000000000"

// harmless says what privilege a thread has, of which status is what the kernel
// tells (proc(5)). All it must tell is there, or it is an error.
func harmless(status string, uid, gid uint32) error {
	ids := func(id uint32) []string { return slices.Repeat([]string{fmt.Sprint(id)}, 4) } // real, effective, saved, file system
	want := map[string][]string{
		"Uid": ids(uid), "Gid": ids(gid), "Groups": nil,
		"CapInh": {noCapability}, "CapPrm": {noCapability}, "CapEff": {noCapability}, "CapAmb": {noCapability},
	}
	for line := range strings.Lines(status) {
		name, value, _ := strings.Cut(line, ":")
		w, ok := want[name]
		if !ok {
			continue
		}
		if got := strings.Fields(value); !slices.Equal(got, w) {
			return fmt.Errorf("confine: privileges were not dropped: %s is %q, not %q", name, strings.Join(got, " "), strings.Join(w, " "))
		}
		delete(want, name)
	}
	for name := range want {
		return fmt.Errorf("confine: cannot tell whether privileges were dropped: the kernel does not tell %s", name)
	}
	return nil
}
