package vault

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"parley/messages/vaultpb"
)

// patience is how long a machine that has other things to do may take.
const patience = time.Minute

// niceness reads the nice value of each thread of this process.
func niceness(t *testing.T) map[string]string {
	t.Helper()
	stats, err := filepath.Glob("/proc/self/task/*/stat")
	if err != nil || len(stats) == 0 {
		t.Fatalf("no threads: %v", err)
	}
	out := map[string]string{}
	for _, file := range stats {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		// Behind the name in brackets: state is field 3, nice is field 19.
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		out[filepath.Base(filepath.Dir(file))] = fields[19-3]
	}
	return out
}

// TestHashingIsPolite watches the threads of this process while one hashes.
func TestHashingIsPolite(t *testing.T) {
	const polite = "15"
	before := niceness(t)
	seen := false
	for range 50 { // a hash may be over before a look is
		done := make(chan struct{})
		go func() {
			defer close(done)
			politeHash(&vaultpb.HashRequest{Channel: "channel", Password: "password"})
		}()
		for over := false; !over && !seen; {
			select {
			case <-done:
				over = true
			default:
				for id, nice := range niceness(t) {
					if before[id] != nice && nice == polite {
						seen = true
						checkNewThreads(t, polite)
					}
				}
			}
		}
		<-done
		if seen {
			break
		}
	}
	if !seen {
		t.Fatal("no thread was polite")
	}
	// The thread ends with the hash: nothing else ever runs on it.
	look := time.NewTicker(time.Millisecond) // others need the processor, too
	defer look.Stop()
	deadline := time.Now().Add(patience)
	for {
		left := ""
		for id, nice := range niceness(t) {
			was, old := before[id]
			switch {
			case nice == polite && id != fmt.Sprint(os.Getpid()): // the first thread cannot end, and is only parked
				left = id
			case nice != polite && old && was != nice:
				t.Fatalf("thread %s had nice %s, and has %s", id, was, nice)
			}
		}
		if left == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("thread %s is still there, and polite", left)
		}
		<-look.C
	}
}

// checkNewThreads makes the runtime start threads, which must not inherit what
// the polite one has.
func checkNewThreads(t *testing.T, polite string) {
	t.Helper()
	const threads = 8
	var ready, done sync.WaitGroup
	release := make(chan struct{})
	nice := make([]int, threads)
	ready.Add(threads)
	for i := range threads {
		done.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			raw, err := unix.Getpriority(unix.PRIO_PROCESS, unix.Gettid())
			if err != nil {
				t.Error(err)
			}
			nice[i] = 20 - raw // as the system call has it
			ready.Done()
			<-release // all hold their thread, so there are as many
		})
	}
	ready.Wait()
	close(release)
	done.Wait()
	for _, n := range nice {
		if fmt.Sprint(n) == polite {
			t.Errorf("another thread has nice %d", n)
		}
	}
}
