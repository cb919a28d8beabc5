//go:build !linux

package bench

import (
	"errors"

	"github.com/spf13/cobra"
)

// Command is `bench`, which needs epoll and /proc and so says that it cannot.
func Command() *cobra.Command {
	return &cobra.Command{
		Use:   "bench",
		Short: "Load a server and measure it (Linux only)",
		RunE:  func(*cobra.Command, []string) error { return errors.New("bench: works on Linux only") },
	}
}
