package life_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// kill sends a signal to a process.
func kill(t testing.TB, pid int, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, s); err != nil {
		t.Fatalf("kill %d: %v", pid, err)
	}
}

// alive reports whether there is such a process that has not ended.
func alive(pid int) bool {
	state, _, err := stat(pid)
	return err == nil && state != "Z" && state != "X"
}

// stat returns a process's state and parent. Source: proc(5).
func stat(pid int) (state string, parent int, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", 0, err
	}
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:])) // a name may hold anything
	parent, err = strconv.Atoi(fields[1])
	return fields[0], parent, err
}

// children lists the processes that pid is the parent of, with their states.
func children(t testing.TB, pid int) (found []string) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range all {
		child, _ := strconv.Atoi(filepath.Base(dir))
		if state, parent, err := stat(child); err == nil && parent == pid {
			found = append(found, fmt.Sprintf("%d:%s", child, state))
		}
	}
	return found
}

// descriptors lists what a process has open, one line each. Only root is told.
func descriptors(t testing.TB, pid int) (open []string) {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if err != nil && !(errors.Is(err, fs.ErrPermission) && !root) {
		t.Fatal(err)
	}
	for _, e := range entries {
		to, err := os.Readlink(filepath.Join(dir, e.Name()))
		if err == nil { // it may be closed by now
			open = append(open, e.Name()+" "+to)
		}
	}
	return open
}

// slots is how many descriptors a process has had room for: never fewer than it
// has had open.
func slots(t testing.TB, pid int) int {
	t.Helper()
	n, err := strconv.Atoi(status(t, fmt.Sprintf("/proc/%d/status", pid), "FDSize"))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// status returns one field of a process's or thread's status file.
func status(t testing.TB, path, field string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			return strings.Join(strings.Fields(value), " ")
		}
	}
	t.Fatalf("%s is without %s", path, field)
	return ""
}

// resident is what a process has in memory, in KiB.
func resident(t testing.TB, pid int) int {
	t.Helper()
	text := status(t, fmt.Sprintf("/proc/%d/status", pid), "VmRSS")
	n, err := strconv.Atoi(strings.TrimSuffix(text, " kB"))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// cycles is how often tests do what they do again and again. PARLEY_CYCLES says
// another number than the few that suffice for a change.
func cycles(t testing.TB, few int) int {
	t.Helper()
	text := os.Getenv("PARLEY_CYCLES")
	if text == "" {
		return few
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("PARLEY_CYCLES is %q, want a number from 1 on", text)
	}
	return n
}

// quoted is text as JSON.
func quoted(text string) string {
	b, err := json.Marshal(text)
	if err != nil {
		panic(err) // a string
	}
	return string(b)
}
