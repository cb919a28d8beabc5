package store

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func init() { roles["full"] = closeWhenFull }

// closeWhenFull mounts a small disk that only this process sees, has it filled to
// the last page while a database on it is open, and says what becomes of that.
func closeWhenFull() {
	const last = 20
	dir := os.Getenv(dirEnv)
	err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
	if err == nil {
		err = unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64m,mode=700")
	}
	if err != nil {
		fmt.Println("no disk:", err)
		return
	}
	own, rest := filepath.Join(dir, "own"), filepath.Join(dir, "rest")
	db, err := Open(own, OpenOptions{Log: quiet})
	for n := 0; err == nil && n <= last; n++ {
		m := generation(n)
		size, bad := checkWrite(m)
		errs, _ := db.commit([]write{{m, size}})
		err = errors.Join(errs[0], bad)
	}
	fmt.Println("written:", err)
	f, err := os.Create(rest)
	for err == nil {
		_, err = f.Write(make([]byte, os.Getpagesize()))
	}
	fmt.Println("full:", errors.Is(err, unix.ENOSPC))
	fmt.Println("closed:", db.Close())
	_, _ = f.Close(), os.Remove(rest)
	fmt.Println("closed again:", db.Close())
	if db, err = Open(own, OpenOptions{Log: quiet}); err != nil {
		fmt.Println(err)
		return
	}
	got, corrupt, err := db.read("pair/a")
	report := db.Report()
	fmt.Println("read:", len(got) == 1 && numberOf(string(got[0].GetValue())) == last, corrupt, err, report.whole())
	fmt.Println("closed at last:", db.Close())
}

// TestCloseOnFullDisk does what TestFullDisk does to a real disk, which takes a
// user who may mount one.
func TestCloseOnFullDisk(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleEnv+"=full", dirEnv+"="+t.TempDir())
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS}
	if id := os.Geteuid(); id != 0 {
		cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: id, Size: 1}}
	}
	b, err := cmd.Output()
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSPC) || strings.HasPrefix(string(b), "no disk:") {
		t.Logf("there is no disk to fill here: %v %s", err, b)
		return
	}
	if err != nil {
		t.Error(err)
	}
	said := strings.Split(string(b), "\n")
	want := []string{"written: <nil>", "full: true", "closed: store: ", "closed again: <nil>", "read: true [] <nil> true", "closed at last: <nil>", ""}
	if len(said) != len(want) {
		t.Fatalf("it says\n%s", b)
	}
	for i, w := range want {
		if said[i] != w && (i != 2 || !strings.HasPrefix(said[i], w) || !strings.Contains(said[i], "nothing is lost")) {
			t.Errorf("it says %q, want %q", said[i], w)
		}
	}
}
