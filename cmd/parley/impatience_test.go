package main

import (
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// TestImpatience: a signal that comes right behind another is the same wish, and
// a Node leaves it to its Daemon.
func TestImpatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bySignal, byUI, led := impatientSince(true, false), impatientSince(false, false), impatientSince(true, true)
		for _, at := range []struct {
			after               time.Duration
			signal              syscall.Signal
			bySignal, byUI, led bool
		}{
			{0, syscall.SIGTERM, false, false, false},
			{signalPause - 1, syscall.SIGINT, false, false, false},
			{1, syscall.SIGHUP, false, false, false},
			{0, syscall.SIGTERM, true, true, false},
			{time.Hour, syscall.SIGINT, true, true, false},
		} {
			time.Sleep(at.after)
			for name, i := range map[string]struct {
				*impatience
				want bool
			}{"by a signal": {bySignal, at.bySignal}, "by a user interface": {byUI, at.byUI}, "by its Daemon": {led, at.led}} {
				if got := i.sudden(at.signal); got != i.want {
					t.Errorf("%s: %v %v later: %v", name, at.signal, at.after, got)
				}
			}
		}
	})
}
