package config

import (
	"os"
	"strconv"
	"strings"

	"github.com/shirou/gopsutil/v4/mem"
)

// groupLimit is where a control group (version 2) shows the processes in it
// how much memory they may use together: bytes, or "max".
const groupLimit = "/sys/fs/cgroup/memory.max"

// machineMemory gives the RAM, or the control group's limit if that is lower; bytes.
func machineMemory() (int64, error) {
	memory, err := mem.VirtualMemory()
	if err != nil {
		return 0, err
	}
	total := int64(min(memory.Total, 1<<62))
	if content, err := os.ReadFile(groupLimit); err == nil {
		if limit, err := strconv.ParseInt(strings.TrimSpace(string(content)), 10, 64); err == nil && limit > 0 {
			total = min(total, limit)
		}
	}
	return total, nil
}
