package life_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// withCores lets processes that are started from now on write core files, as far
// as this one may.
func withCores(t *testing.T) {
	t.Helper()
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_CORE, &before); err != nil {
		t.Fatal(err)
	}
	set := func(l syscall.Rlimit) {
		if err := syscall.Setrlimit(syscall.RLIMIT_CORE, &l); err != nil {
			t.Error(err)
		}
	}
	set(syscall.Rlimit{Cur: before.Max, Max: before.Max})
	t.Cleanup(func() { set(before) })
}

// coreLimit is what a process may write of its memory, soft and hard.
func coreLimit(t *testing.T, pid int) string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "Max core file size"); ok {
			return strings.Join(strings.Fields(rest), " ")
		}
	}
	t.Fatal("the kernel tells no limit of core files")
	return ""
}

// TestNoCore ends the Daemon and its Node as a fault does: neither leaves its
// memory behind, and nobody but root can look into it while they run.
func TestNoCore(t *testing.T) {
	withCores(t)
	for _, s := range []syscall.Signal{syscall.SIGABRT, syscall.SIGSEGV, syscall.SIGQUIT} {
		t.Run(s.String(), func(t *testing.T) {
			data := directory(t)
			d := start(t, data, []string{"GOTRACEBACK=crash"})
			u := connect(t, d.port)
			u.settle()
			node := u.launch()
			pids := []int{d.cmd.Process.Pid, node.PID}
			for _, pid := range pids {
				if got := coreLimit(t, pid); got != "0 0 bytes" {
					t.Errorf("process %d may write a core file of %s", pid, got)
				}
				closed(t, pid)
			}
			kill(t, node.PID, s)
			u.crashed(node.PID)
			kill(t, d.cmd.Process.Pid, s)
			<-d.exited
			for _, pattern := range []string{"/core*", filepath.Join(data, "*core*"), filepath.Join(data, "*/*core*"), "*core.*"} {
				found, err := filepath.Glob(pattern)
				for _, path := range found {
					if strings.HasSuffix(path, ".go") {
						continue
					}
					t.Errorf("there is %s", path)
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// closed checks that a user who is not root cannot look into a process, not even
// one that runs as the same user.
func closed(t *testing.T, pid int) {
	t.Helper()
	uid := os.Getuid()
	if root {
		uid = nobody
	}
	var paths []string
	for _, name := range []string{"mem", "environ", "maps", "fd/2"} {
		paths = append(paths, fmt.Sprintf("/proc/%d/%s", pid, name))
	}
	for line := range strings.Lines(as(t, uid, "read", paths...)) {
		if !strings.Contains(line, "permission denied") {
			t.Errorf("uid %d can read %s", uid, line)
		}
	}
}
