package process

import (
	"log/slog"
	"math"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

const (
	firstFD   = 3     // behind stdin, stdout and stderr
	ownerOnly = 0o077 // umask: nothing for group and others
)

// seal keeps from all children what they were not meant to get: descriptors that
// this process was started with, and files that others may read. Descriptors
// that Go opens are close-on-exec anyway.
func seal(log *slog.Logger) {
	unix.Umask(ownerOnly)
	err := unix.CloseRange(firstFD, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
	if err == nil {
		return
	}
	names, dirErr := os.ReadDir("/proc/self/fd") // kernels before 5.11 want to be told each
	if dirErr != nil {
		log.Warn("descriptors of this process may be inherited by the node", slog.Any("error", err))
	}
	for _, n := range names {
		if fd, err := strconv.Atoi(n.Name()); err == nil && fd >= firstFD {
			unix.CloseOnExec(fd)
		}
	}
}
