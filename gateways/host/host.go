// Package host reads the figures of the machine: load, memory, disks, network.
package host

import (
	"errors"
	"fmt"

	"github.com/shirou/gopsutil/v4/disk"
	"github.com/shirou/gopsutil/v4/load"
	"github.com/shirou/gopsutil/v4/mem"
	"github.com/shirou/gopsutil/v4/net"

	"parley/messages/relaypb"
)

// loopback is the interface whose traffic does not count.
const loopback = "lo"

// Read looks at the machine. What could not be read is missing, and named in
// the error; the reading is never nil.
func Read() (*relaypb.HostReading, error) {
	r := &relaypb.HostReading{Network: &relaypb.NetworkCount{}}
	var errs []error
	note := func(what string, err error) bool {
		if err != nil {
			errs = append(errs, fmt.Errorf("host: %s: %w", what, err))
		}
		return err == nil
	}
	if l, err := load.Avg(); note("load", err) {
		r.Load = []float64{l.Load1, l.Load5, l.Load15}
	}
	if m, err := mem.VirtualMemory(); note("memory", err) {
		r.Memory = &relaypb.Memory{Used: m.Used, Free: m.Free, Available: m.Available, Total: m.Total}
	}
	if parts, err := disk.Partitions(false); note("disks", err) {
		for _, p := range parts {
			if u, err := disk.Usage(p.Mountpoint); note(fmt.Sprintf("disk %q", p.Mountpoint), err) {
				r.Disks = append(r.Disks, &relaypb.Disk{Mount: p.Mountpoint, Used: u.Used, Free: u.Free, Total: u.Total})
			}
		}
	}
	if all, err := net.IOCounters(true); note("network", err) {
		for _, n := range all {
			if n.Name != loopback {
				r.Network.BytesIn += n.BytesRecv
				r.Network.BytesOut += n.BytesSent
				r.Network.PacketsIn += n.PacketsRecv
				r.Network.PacketsOut += n.PacketsSent
			}
		}
	}
	return r, errors.Join(errs...)
}
