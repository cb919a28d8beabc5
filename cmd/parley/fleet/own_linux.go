package fleet

import (
	"os/exec"
	"syscall"
)

// own keeps the terminal's Ctrl-C from a child, which is told by us, and ends it
// with us, however that comes. The kernel takes the end of the thread that
// started it for ours: see Fleet.birth.
func own(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
