package confine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"parley/testkit/leaks"
)

// standInName is the name that this test binary plays a process under that
// confines itself.
const standInName = "stand-in"

func TestMain(m *testing.M) {
	if os.Args[0] != standInName {
		leaks.Main(m, func() { _ = os.RemoveAll(staticDir) })
	}
	if err := json.NewEncoder(os.Stdout).Encode(standIn()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// variable is the value of one that a stand-in has in its environment.
const variable = "nobody-else-sees-this"

// task is what a stand-in is to do, on its stdin.
type task struct {
	Do       string // "daemon", "node", "dropped", "saved"
	UID, GID uint32
	Dir      string // may be written to
	Outside  string // a folder that may not
	Port     int    // that may be bound
	Other    int    // that may not
	Listens  string // address of somebody who listens
}

// fact is what a stand-in found out; the empty text: it worked.
type fact map[string]string

// standIn confines this process and tells what it can still do.
func standIn() fact {
	var t task
	if err := json.NewDecoder(os.Stdin).Decode(&t); err != nil {
		return fact{"task": err.Error()}
	}
	release := manyThreads()
	defer release()
	f := fact{}
	switch t.Do {
	case "dropped":
		f["dropped"] = text(Dropped(t.UID, t.GID))
		return f
	case "saved": // root as the saved user, as after a careless drop
		f["prepare"] = text(syscall.Setresuid(int(t.UID), int(t.UID), 0))
		f["dropped"] = text(Dropped(t.UID, t.GID))
		return f
	case "daemon":
		f["confine"] = text(Daemon())
		f["exec"] = text(exec.Command("/bin/true").Run())
	case "node":
		node(f, t)
	}
	shown, _ := os.ReadFile("/proc/self/environ") // not even that, unless by root
	f["environ"] = fmt.Sprint(strings.Contains(string(shown), variable), os.Getenv("PARLEY_SECRET") == variable)
	dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	f["dumpable"] = fmt.Sprint(dumpable, text(err))
	var core unix.Rlimit
	err = unix.Getrlimit(unix.RLIMIT_CORE, &core)
	f["core"] = fmt.Sprint(core.Cur, core.Max, text(err))
	f["umask"] = fmt.Sprintf("%03o", unix.Umask(0))
	more := manyThreads() // those that are made later have no more rights
	defer more()
	f["threads"] = threads()
	return f
}

// node confines as a Node and tries what it should not be able to do.
func node(f fact, t task) {
	report, err := Node(NodePaths{Read: []string{"/nonexistent"}, Write: []string{t.Dir}, Ports: []uint16{uint16(t.Port)}})
	f["confine"] = text(err)
	var line bytes.Buffer
	slog.New(slog.NewTextHandler(&line, nil)).Info("", slog.Any("report", report))
	f["report"] = line.String()
	f["files"], f["ports"], f["signals"] = fmt.Sprint(report.Files), fmt.Sprint(report.Ports), fmt.Sprint(report.Signals)

	f["write inside"] = text(os.WriteFile(filepath.Join(t.Dir, "a"), []byte("a"), 0o600))
	f["rename inside"] = text(os.Rename(filepath.Join(t.Dir, "a"), filepath.Join(t.Dir, "b")))
	f["folder inside"] = text(os.Mkdir(filepath.Join(t.Dir, "c"), 0o700))
	f["remove inside"] = text(os.Remove(filepath.Join(t.Dir, "b")))
	f["list inside"] = last(os.ReadDir(t.Dir))
	f["read outside"] = last(os.ReadFile(filepath.Join(t.Outside, "readable")))
	f["write outside"] = text(os.WriteFile(filepath.Join(t.Outside, "new"), nil, 0o600))
	f["read common"] = last(os.ReadFile("/etc/passwd"))
	f["read resolver"] = last(os.ReadFile("/etc/resolv.conf"))
	f["null"] = text(os.WriteFile(os.DevNull, []byte("x"), 0))
	f["exec"] = text(exec.Command("/bin/true").Run())
	f["bind"] = bind(t.Port)
	f["bind another"] = bind(t.Other)
	c, err := net.Dial("tcp", t.Listens)
	if f["connect"] = text(err); err == nil {
		_ = c.Close()
	}
	f["signal itself"] = text(unix.Kill(os.Getpid(), 0))
	f["signal parent"] = text(unix.Kill(os.Getppid(), 0))
	if err := Dropped(uint32(os.Getuid()), uint32(os.Getgid())); err != nil {
		f["dropped"] = err.Error()
	}
}

func bind(port int) string {
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	l, err := lc.Listen(context.Background(), "tcp4", fmt.Sprintf("127.0.0.1:%d", port))
	if err == nil {
		_ = l.Close()
	}
	return text(err)
}

func text(err error) string {
	if err == nil || errors.Is(err, io.EOF) {
		return ""
	}
	return err.Error()
}

func last[T any](_ T, err error) string { return text(err) }

// manyThreads sees to it that there are more threads than one: each is held by a
// goroutine until release.
func manyThreads() (release func()) {
	const n = 8
	var there, gone sync.WaitGroup
	done := make(chan struct{})
	there.Add(n)
	for range n {
		gone.Go(func() {
			runtime.LockOSThread()
			there.Done()
			<-done
			runtime.UnlockOSThread()
		})
	}
	there.Wait()
	return func() {
		close(done)
		gone.Wait()
	}
}

// threads tells the rights of all threads; more than one text if they differ.
func threads() string {
	paths, _ := filepath.Glob("/proc/self/task/*/status")
	var all []string
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		var out []string
		for line := range strings.Lines(string(b)) {
			if name, value, _ := strings.Cut(line, ":"); slices.Contains([]string{"CapInh", "CapPrm", "CapEff", "CapAmb", "NoNewPrivs"}, name) {
				out = append(out, name+"="+strings.TrimSpace(value))
			}
		}
		all = append(all, strings.Join(out, " "))
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), " | ")
}
