//go:build !linux

package fleet

import "os/exec"

func own(*exec.Cmd) {}
