package confine

import (
	"bytes"
	"encoding/json"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"parley/testkit/port"
)

// Somebody who does not exist, for tests that are run by root.
const (
	someone      = 54321
	someoneGroup = 54322
	noRights     = "CapInh=0000000000000000 CapPrm=0000000000000000 CapEff=0000000000000000 CapAmb=0000000000000000 NoNewPrivs=1"
)

var asRoot = os.Geteuid() == 0

// staticDir is where static builds to; it is removed when all tests are done.
var staticDir string

// static builds this test without cgo, as the program is, once.
var static = sync.OnceValues(func() (path string, err error) {
	if staticDir, err = os.MkdirTemp("", "static"); err != nil {
		return "", err
	}
	path = filepath.Join(staticDir, "confine.test")
	c := exec.Command("go", "test", "-c", "-o", path, ".")
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		return "", errors.Join(err, errors.New(string(out)))
	}
	return path, nil
})

// each runs f with this test's binary, and with the static one if that is
// another: with cgo threads are made, and reached, in another way.
func each(t *testing.T, f func(t *testing.T, program string)) {
	t.Run("as this test", func(t *testing.T) { f(t, "/proc/self/exe") })
	if !withCgo {
		return
	}
	t.Run("static", func(t *testing.T) {
		path, err := static()
		if err != nil {
			if _, missing := exec.LookPath("go"); missing != nil {
				t.Logf("no go command: only what this test was built as is tested: %v", err)
				return
			}
			t.Fatal(err)
		}
		must(t, os.Chmod(path, 0o755)) // for whomever it runs as
		must(t, os.Chmod(filepath.Dir(path), 0o755))
		f(t, path)
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// run lets a stand-in do its task.
func run(t *testing.T, program string, todo task, attr *syscall.SysProcAttr) fact {
	t.Helper()
	in, err := json.Marshal(todo)
	must(t, err)
	var out, errs bytes.Buffer
	c := &exec.Cmd{Path: program, Args: []string{standInName}, Stdin: bytes.NewReader(in), Stdout: &out, Stderr: &errs, SysProcAttr: attr, Dir: "/"}
	c.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0", "PARLEY_SECRET="+variable)
	must(t, c.Run())
	var f fact
	if err := json.Unmarshal(out.Bytes(), &f); err != nil || errs.Len() > 0 {
		t.Fatalf("it said %q and %q: %v", out.String(), errs.String(), err)
	}
	return f
}

// dropped are the attributes of a process that somebody else runs, if that is
// possible here.
func dropped() *syscall.SysProcAttr {
	if !asRoot {
		return nil
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: someone, Gid: someoneGroup}}
}

func TestDaemon(t *testing.T) {
	each(t, func(t *testing.T, program string) {
		f := run(t, program, task{Do: "daemon"}, nil)
		for name, want := range map[string]string{"confine": "", "exec": "", "environ": "false true", "dumpable": "0", "core": "0 0", "umask": "077"} {
			if got := strings.TrimSpace(f[name]); got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
		if !strings.Contains(f["threads"], "NoNewPrivs=1") || strings.Contains(f["threads"], "|") {
			t.Errorf("threads: %s", f["threads"])
		}
	})
}

// nodeTask is a place for a node: what it may have and what not.
func nodeTask(t *testing.T) task {
	t.Helper()
	outside := t.TempDir()
	dir := filepath.Join(outside, "data")
	must(t, os.Mkdir(dir, 0o700))
	must(t, os.WriteFile(filepath.Join(outside, "readable"), []byte("secret"), 0o600))
	must(t, os.Chmod(filepath.Join(outside, "readable"), 0o644))
	must(t, os.Chmod(outside, 0o777)) // nothing but Landlock keeps anybody out
	must(t, os.Chmod(filepath.Dir(outside), 0o755))
	if asRoot {
		must(t, os.Chown(dir, someone, someoneGroup))
	}
	todo := task{Do: "node", Dir: dir, Outside: outside, Port: port.Free(t), Other: port.Free(t)}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { _ = l.Close() })
	todo.Listens = l.Addr().String()
	return todo
}

func TestNode(t *testing.T) {
	each(t, func(t *testing.T, program string) {
		f := run(t, program, nodeTask(t), dropped())
		if withoutLandlock := f["files"] != "true"; withoutLandlock {
			t.Log("this kernel has no Landlock: the rest is tested")
		}
		denied := func(limit string, err error) string {
			if f[limit] == "true" {
				return err.Error()
			}
			return ""
		}
		for name, want := range map[string]string{
			"confine": "", "environ": "false true", "dumpable": "0", "core": "0 0", "umask": "077",
			"write inside": "", "rename inside": "", "folder inside": "", "remove inside": "", "list inside": "",
			"read common": "", "read resolver": "", "null": "", "bind": "", "connect": "", "signal itself": "",
			"read outside":  denied("files", unix.EACCES),
			"write outside": denied("files", unix.EACCES),
			"exec":          denied("files", unix.EACCES),
			"bind another":  denied("ports", unix.EACCES),
		} {
			if got := strings.TrimSpace(f[name]); got != want && (want == "" || !strings.HasSuffix(got, want)) {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		if f["signals"] == "true" && !strings.HasSuffix(f["signal parent"], unix.EPERM.Error()) {
			t.Errorf("signal parent: %q", f["signal parent"])
		}
		if got := f["threads"]; got != noRights {
			t.Errorf("threads: %s", got)
		}
		if f["dropped"] != "" && asRoot {
			t.Errorf("not dropped: %s", f["dropped"])
		}
		if !strings.Contains(f["report"], "report.root=false report.landlock=") || f["files"] == "true" && !strings.Contains(f["report"], `restricted="files`) {
			t.Errorf("report: %s", f["report"])
		}
	})
}

func TestNodeRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	for path, want := range map[string]string{"/nonexistent": "a folder to write to", file: "is no folder"} {
		if _, err := fileRules(NodePaths{Write: []string{path}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v", path, err)
		}
	}
}

// Whatever privilege is left is found.
func TestDropped(t *testing.T) {
	type result struct {
		do   task
		attr *syscall.SysProcAttr
		want string // part of the error; empty: none
	}
	uid, gid := uint32(os.Getuid()), uint32(os.Getgid())
	cases := map[string]result{
		"root is never right":  {task{Do: "dropped", UID: 0, GID: 5}, nil, "user 0 of group 5 has privileges"},
		"nor is root's group":  {task{Do: "dropped", UID: 5, GID: 0}, nil, "user 5 of group 0 has privileges"},
		"another user":         {task{Do: "dropped", UID: uid + 1, GID: someoneGroup}, dropped(), "Uid is"},
		"another group":        {task{Do: "dropped", UID: someone, GID: gid + 1}, dropped(), "Gid is"},
		"all dropped, as told": {task{Do: "dropped", UID: someone, GID: someoneGroup}, dropped(), ""},
	}
	if asRoot {
		credential := func(gid uint32, groups ...uint32) *syscall.SysProcAttr {
			return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: someone, Gid: gid, Groups: groups}}
		}
		right := task{Do: "dropped", UID: someone, GID: someoneGroup}
		capable := credential(someoneGroup)
		capable.AmbientCaps = []uintptr{unix.CAP_NET_BIND_SERVICE}
		cases["still root"] = result{right, nil, "this process could become root"}
		cases["group kept"] = result{right, credential(0), "this process could join the group of root"}
		cases["groups kept"] = result{right, credential(someoneGroup, 0, 7), "Groups is \"0 7\""}
		cases["capability kept"] = result{right, capable, "CapInh is \"0000000000000400\""}
		cases["saved user kept"] = result{task{Do: "saved", UID: someone, GID: someoneGroup}, nil, "this process could become root"}
	} else {
		// Nobody else can be had: whoever runs this is right if of no other group.
		own := result{task{Do: "dropped", UID: uid, GID: gid}, nil, ""}
		if groups, err := os.Getgroups(); err != nil || len(groups) > 0 {
			own.want = "Groups is"
		}
		cases["all dropped, as told"] = own
		cases["another group"] = result{task{Do: "dropped", UID: uid, GID: gid + 1}, nil, "Gid is"}
	}
	each(t, func(t *testing.T, program string) {
		for name, c := range cases {
			t.Run(name, func(t *testing.T) {
				got := run(t, program, c.do, c.attr)
				if (got["dropped"] == "") != (c.want == "") || !strings.Contains(got["dropped"], c.want) || got["prepare"] != "" {
					t.Errorf("got %v, want %q", got, c.want)
				}
			})
		}
	})
}

// What the kernel does not tell is not taken for harmless.
func TestHarmless(t *testing.T) {
	good := "Name:\tx\nUid:\t5\t5\t5\t5\nGid:\t6\t6\t6\t6\nGroups:\t \nCapInh:\t0000000000000000\nCapPrm:\t0000000000000000\n" +
		"CapEff:\t0000000000000000\nCapBnd:\t000001ffffffffff\nCapAmb:\t0000000000000000\n"
	must(t, harmless(good, 5, 6))
	for name, change := range map[string][2]string{
		"effective user":      {"Uid:\t5\t5", "Uid:\t5\t0"},
		"saved user":          {"Uid:\t5\t5\t5", "Uid:\t5\t5\t0"},
		"file system's user":  {"Uid:\t5\t5\t5\t5", "Uid:\t5\t5\t5\t0"},
		"group":               {"Gid:\t6\t6\t6", "Gid:\t6\t6\t0"},
		"groups":              {"Groups:\t ", "Groups:\t0 "},
		"effective set":       {"CapEff:\t0000000000000000", "CapEff:\t0000000000000001"},
		"permitted set":       {"CapPrm:\t0000000000000000", "CapPrm:\t8000000000000000"},
		"ambient set":         {"CapAmb:\t0000000000000000", "CapAmb:\t0000000000000400"},
		"no user":             {"Uid:\t5\t5\t5\t5\n", ""},
		"no groups":           {"Groups:\t \n", ""},
		"no effective set":    {"CapEff:\t0000000000000000\n", ""},
		"a short line of ids": {"Gid:\t6\t6\t6\t6", "Gid:\t6\t6\t6"},
	} {
		status := strings.Replace(good, change[0], change[1], 1)
		if status == good {
			t.Fatal(name)
		}
		if err := harmless(status, 5, 6); err == nil {
			t.Errorf("%s: harmless", name)
		}
	}
}
