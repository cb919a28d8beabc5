package life_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Users of the machine who are neither root nor whom a Node runs as.
const (
	nobody   = 65534 // whom a Node of root runs as, when nobody else is named
	stranger = 54321
	settler  = 54322 // whom a Node runs as, when it is told to
)

var root = os.Geteuid() == 0

// noCapabilities is how the kernel writes an empty set.
const noCapabilities = "0000000000000000"

// TestNodePrivileges looks at a Node's threads, descriptors and files: it runs as
// a user without any privilege, or as whoever runs its Daemon.
func TestNodePrivileges(t *testing.T) {
	users := map[string]int{"as its Daemon": os.Geteuid()}
	if root {
		users = map[string]int{"as nobody": nobody, fmt.Sprintf("%d:%d:/nowhere", settler, settler): settler}
	}
	for name, uid := range users {
		t.Run(name, func(t *testing.T) {
			stray, err := os.Open(os.Args[0]) // what the Daemon's parent forgot to close
			if err != nil {
				t.Fatal(err)
			}
			defer stray.Close()
			d := run(t, directory(t), nil, []*os.File{stray}, "daemon", "--ui-port", "0")
			u := connect(t, d.port)
			u.settle()
			if uid == settler {
				u.change("real-user", name).want(t, `"errors":[]`)
			}
			node := u.launch()
			threads(t, node.PID, uid)
			if root {
				closedSet(t, node.PID, d.dir)
			}
			owned(t, filepath.Join(d.dir, "daemon"), os.Geteuid())
			owned(t, filepath.Join(d.dir, "node"), uid)
		})
	}
}

// threads checks what the kernel says of all threads of a Node.
func threads(t *testing.T, pid, uid int) {
	t.Helper()
	four := strings.TrimSpace(strings.Repeat(fmt.Sprintf("%d ", uid), 4)) // real, effective, saved, file system
	want := map[string]string{
		"Uid": four, "NoNewPrivs": "1", "CapInh": noCapabilities, "CapPrm": noCapabilities, "CapEff": noCapabilities, "CapAmb": noCapabilities,
	}
	if root {
		want["Gid"], want["Groups"] = four, ""
	}
	all, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(all) == 0 {
		t.Fatalf("no threads: %v", err)
	}
	for _, path := range all {
		for field, value := range want {
			if got := status(t, path, field); got != value {
				t.Errorf("%s: %s is %q, want %q", path, field, got, value)
			}
		}
	}
}

// closedSet checks that a Node has no file open but its own.
func closedSet(t *testing.T, pid int, dir string) {
	t.Helper()
	for _, d := range descriptors(t, pid) {
		_, to, _ := strings.Cut(d, " ")
		switch {
		case to == os.DevNull, strings.HasPrefix(to, "/sys/fs/cgroup/"), // Go looks there how many processors it may use
			strings.HasPrefix(to, filepath.Join(dir, "node")+"/"),
			strings.HasPrefix(to, "socket:"), strings.HasPrefix(to, "pipe:"), strings.HasPrefix(to, "anon_inode:"):
		default:
			t.Errorf("the Node has %s open", d)
		}
	}
}

// owned checks that a folder and all in it are a user's, and closed to others.
func owned(t *testing.T, dir string, uid int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		if st := info.Sys().(*syscall.Stat_t); int(st.Uid) != uid || st.Mode&0o077 != 0 {
			t.Errorf("%s belongs to %d and has mode %v; want %d, and nothing for others", path, st.Uid, info.Mode(), uid)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestLocalUsers has other users of the machine come to the Daemon and the Node.
// Nobody but root can have them come; who is not root comes alone, and may.
func TestLocalUsers(t *testing.T) {
	d := start(t, directory(t), nil)
	u := connect(t, d.port)
	u.settle()
	const dump, change, rights = `{"values":[]}`, `{"values":[{"name":"gas-price","value":"7"}]}`, `{"values":[{"name":"ui-users","value":"1"}]}`
	guest := os.Getuid()
	if root {
		guest = nobody
	}
	ask := func(uid int, payload string, want ...string) {
		t.Helper()
		got := as(t, uid, "ask", fmt.Sprint(d.port), "setup", payload)
		for _, text := range want {
			if !strings.Contains(got, text) {
				t.Errorf("uid %d, %s: want %s in %s", uid, payload, text, got)
			}
		}
	}
	if !root {
		ask(guest, change, `"gas-price","value":"7"`)
		return
	}
	ask(guest, dump, "403", "user_not_allowed", fmt.Sprint(guest))
	u.change("ui-users", fmt.Sprint(guest)).want(t, `"errors":[]`)
	ask(guest, change, `"gas-price","value":"7","status":"Set"`, `"errors":[]`)
	ask(guest, rights, `"errors":[["ui-users",`)
	ask(stranger, dump, "403", "user_not_allowed", fmt.Sprint(stranger))
	u.change("ui-access", "look").want(t, `"errors":[]`)
	ask(stranger, dump, `"gas-price","value":"7"`)
	ask(stranger, change, fmt.Sprint(uint64(codeLookOnly)))
	for opcode, payload := range map[string]string{"start": "{}", "shutdown": "{}"} {
		if got := as(t, stranger, "ask", fmt.Sprint(d.port), opcode, payload); !strings.Contains(got, `"error"`) {
			t.Errorf("%s by who may look: %s", opcode, got)
		}
	}
	node := u.launch()
	at := func(uid int, opcode, payload, want string) {
		t.Helper()
		if got := as(t, uid, "ask", fmt.Sprint(node.Port), opcode, payload); !strings.Contains(got, want) {
			t.Errorf("uid %d, %s at the Node: want %s in %s", uid, opcode, want, got)
		}
	}
	at(stranger, "configuration", "{}", `"nodeName"`)
	for opcode, payload := range map[string]string{
		"shutdown": "{}", "changePassword": `{"newPassword":"mine"}`, "setConfiguration": `{"name":"log-level","value":"off"}`,
	} {
		at(stranger, opcode, payload, fmt.Sprint(uint64(codeLookOnly)))
	}
	at(guest, "shutdown", "{}", `"payload":{}`)
	u.crashed(node.PID)
	u.change("ui-access", "owners").want(t, `"errors":[]`)
	node = u.launch()
	at(stranger, "configuration", "{}", "403")
	at(guest, "shutdown", "{}", `"payload":{}`)
	u.crashed(node.PID)
	// The Node is that very user now, who is a stranger all the same.
	u.change("ui-users", "").want(t, `"errors":[]`)
	node = u.launch()
	at(guest, "configuration", "{}", "403")
}
