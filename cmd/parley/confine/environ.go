package confine

import (
	"bytes"
	"os"
	"strconv"
	"strings"
)

// ownVariables is how the names of variables begin that may hold passwords.
const ownVariables = "PARLEY_"

// Where stat tells the environment of a process, counted from behind its name.
// Source: proc(5).
const (
	statEnvStart = 50 - 3
	statEnvEnd   = 51 - 3
)

// conceal overwrites the values of our variables where the kernel shows them to
// the superuser and to monitoring, in /proc/PID/environ. This process goes on
// with its own copy. Without /proc they stay: it is not there for others either.
func conceal() {
	stat, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:])) // a name may hold anything
	if len(fields) <= statEnvEnd {
		return
	}
	start, _ := strconv.ParseInt(fields[statEnvStart], 10, 64)
	end, _ := strconv.ParseInt(fields[statEnvEnd], 10, 64)
	memory, err := os.OpenFile("/proc/self/mem", os.O_RDWR, 0)
	if err != nil || start <= 0 || end <= start {
		return
	}
	defer memory.Close()
	block := make([]byte, end-start)
	if _, err := memory.ReadAt(block, start); err != nil {
		return
	}
	for entry := range bytes.SplitSeq(block, []byte{0}) { // each is a part of block
		if name, value, ok := bytes.Cut(entry, []byte("=")); ok && bytes.HasPrefix(name, []byte(ownVariables)) {
			for i := range value {
				value[i] = '*'
			}
		}
	}
	_, _ = memory.WriteAt(block, start) // a kernel that forbids it shows them as ever
}
