package gauge

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
)

// tick is the unit of /proc's processor times. It is 1/100 s on every Linux port of Go. Source: proc(5), sysconf(_SC_CLK_TCK).
const tick = 10 * time.Millisecond

// Memory is a process's resident memory, KiB.
type Memory struct {
	Resident int64 // VmRSS: now
	Highest  int64 // VmHWM: the most since it started
}

// Processes are the processes of one server: their times and sizes are added up.
type Processes []int

// CPU is the user and system time used so far by all threads, living and dead, to 10 ms.
func (p Processes) CPU() (time.Duration, error) {
	var sum time.Duration
	for _, pid := range p {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return 0, fmt.Errorf("gauge: read processor time of %d: %w", pid, err)
		}
		d, err := parseStat(b)
		if err != nil {
			return 0, fmt.Errorf("gauge: read processor time of %d: %w", pid, err)
		}
		sum += d
	}
	return sum, nil
}

// Memory reads the resident memory now.
func (p Processes) Memory() (Memory, error) {
	var sum Memory
	for _, pid := range p {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			return Memory{}, fmt.Errorf("gauge: read memory of %d: %w", pid, err)
		}
		m, err := parseStatus(b)
		if err != nil {
			return Memory{}, fmt.Errorf("gauge: read memory of %d: %w", pid, err)
		}
		sum.Resident += m.Resident
		sum.Highest += m.Highest
	}
	return sum, nil
}

var errStat = errors.New("gauge: not the form of /proc/pid/stat")

// parseStat adds fields 14 and 15, utime and stime. The second field, the program's name, may hold spaces and brackets,
// so counting starts behind its last bracket.
func parseStat(b []byte) (time.Duration, error) {
	end := bytes.LastIndexByte(b, ')')
	if end < 0 {
		return 0, errStat
	}
	const utime, stime = 14 - 3, 15 - 3 // the first field behind the name is number 3
	f := bytes.Fields(b[end+1:])
	if len(f) <= stime {
		return 0, errStat
	}
	u, err := strconv.ParseInt(string(f[utime]), 10, 64)
	if err != nil {
		return 0, errStat
	}
	s, err := strconv.ParseInt(string(f[stime]), 10, 64)
	if err != nil {
		return 0, errStat
	}
	return time.Duration(u+s) * tick, nil
}

var errStatus = errors.New("gauge: no VmRSS and VmHWM in /proc/pid/status")

func parseStatus(b []byte) (Memory, error) {
	var m Memory
	found := 0
	for line := range bytes.Lines(b) {
		name, rest, _ := bytes.Cut(line, []byte(":"))
		var into *int64
		switch string(name) {
		case "VmRSS":
			into = &m.Resident
		case "VmHWM":
			into = &m.Highest
		default:
			continue
		}
		f := bytes.Fields(rest)
		if len(f) != 2 || string(f[1]) != "kB" {
			return Memory{}, errStatus
		}
		n, err := strconv.ParseInt(string(f[0]), 10, 64)
		if err != nil {
			return Memory{}, errStatus
		}
		*into = n
		found++
	}
	if found != 2 {
		return Memory{}, errStatus
	}
	return m, nil
}
