package gauge

import (
	"time"

	"golang.org/x/sys/unix"
)

// SelfCPU is the processor time of this process so far, to the microsecond.
func SelfCPU() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(unix.TimevalToNsec(u.Utime) + unix.TimevalToNsec(u.Stime))
}
