package process

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Fields of /proc/<pid>/stat, counted from the one behind the name. Source: proc(5).
const (
	fieldState   = 0
	fieldStarted = 19 // clock ticks since boot
)

// stat is what the kernel tells of a process.
type stat struct {
	state   string
	started uint64
}

// ended reports whether the process only waits to be reaped.
func (s stat) ended() bool { return s.state == "Z" || s.state == "X" }

// readStat looks at a process.
func readStat(pid uint32) (stat, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, fmt.Errorf("process: looking at process %d: %w", pid, err)
	}
	s, err := parseStat(string(b))
	if err != nil {
		return stat{}, fmt.Errorf("process: looking at process %d: %w", pid, err)
	}
	return s, nil
}

// parseStat reads the line of /proc/<pid>/stat. The name is a program's own
// choice: it may hold spaces and parentheses.
func parseStat(line string) (s stat, err error) {
	end := strings.LastIndexByte(line, ')')
	fields := strings.Fields(line[end+1:])
	if end < 0 || len(fields) <= fieldStarted {
		return s, errors.New("its stat is not understood")
	}
	s.state = fields[fieldState]
	if s.started, err = strconv.ParseUint(fields[fieldStarted], 10, 64); err != nil {
		return s, fmt.Errorf("its stat is not understood: start time %q", fields[fieldStarted])
	}
	return s, nil
}
