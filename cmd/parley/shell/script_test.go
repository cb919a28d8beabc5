package shell

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"parley/cmd/parley/talk"
	"parley/cmd/parley/talk/fake"
	"parley/cmd/parley/verbs"
)

// script runs lines, as a pipe would bring them.
func script(t *testing.T, daemon *fake.Server, lines ...string) (code int, out, errs string) {
	t.Helper()
	var o, e strings.Builder
	cmd := command(&verbs.Server{})
	cmd.SetArgs([]string{"--ui-port", fmt.Sprint(daemon.Port)})
	cmd.SetIn(strings.NewReader(strings.Join(lines, "\n")))
	cmd.SetOut(&o)
	cmd.SetErr(&e)
	err := cmd.ExecuteContext(t.Context())
	if err == nil {
		return 0, o.String(), e.String()
	}
	var c interface{ ExitCode() int }
	if errors.As(err, &c) {
		code = c.ExitCode()
	} else {
		code = 1
	}
	if err.Error() != "" {
		e.WriteString(err.Error() + "\n")
	}
	return code, o.String(), e.String()
}

func TestScript(t *testing.T) {
	daemon, node := both(t)
	node.Greet = func(c *fake.Conn) { c.Cast("connectionChange", `{"stage":"RouteFound"}`) }
	code, out, errs := script(t, daemon,
		"# a remark", "", "connection-status", "  setup # the dump", "check-password", "sesame", "descriptor --json", "exit", "never")
	want := `RouteFound: in step with the mesh
NAME   VALUE  STATUS
chain  dev    Default

The Node runs with these settings; they can be changed after: shutdown
the password is right
{"nodeDescriptorOpt":null}
`
	if diff := cmp.Diff(want, out); diff != "" || code != 0 || errs != "" {
		t.Errorf("%d, %q\n%s", code, errs, diff)
	}
}

func TestScriptFails(t *testing.T) {
	daemon := fake.Listen(t)
	daemon.On["setup"] = fake.Reply(fmt.Sprintf(space, false))
	daemon.Else = fake.NoNode
	for _, c := range []struct {
		lines []string
		code  int
		errs  string
	}{
		{[]string{"descriptor", "setup"}, 3, "descriptor: no Node is running; start one with: start\n"},
		{[]string{"setpu"}, 2, "there is no verb \"setpu\"; did you mean: setup\n"},
		{[]string{"xyzzy\x1b[2J"}, 2, "there is no verb \"xyzzy\\\\x1b[2J\"; all are listed by: help\n"},
		{[]string{"descriptor 'a"}, 2, "a quote is not closed; close it, or write \\ before it\n"},
		{[]string{"descriptor marker"}, 2, "descriptor takes no arguments; see: help descriptor\n"},
		{[]string{"descriptor --colour"}, 2, "descriptor: unknown flag: --colour; see: help descriptor\n"},
		{[]string{"setup --db-password marker"}, 2, "setup: --db-password: other users of this machine can read the command line; give it without a value, and it is asked for\n"},
		{[]string{"setup --nope"}, 2, "setup: no parameter is called --nope; see \"setup --help\"\n"},
		{[]string{"help nope"}, 2, "there is no verb \"nope\"; all are listed by: help\n"},
	} {
		code, _, errs := script(t, daemon, c.lines...)
		if code != c.code || errs != c.errs {
			t.Errorf("%q: want %d %q, got %d %q", c.lines, c.code, c.errs, code, errs)
		}
	}
	code, out, _ := script(t, daemon, "help", "help setup", "setup --help")
	if code != 0 || strings.Count(out, "--NAME VALUE sets a parameter") != 2 || !strings.Contains(out, "connection-status  Tell how far") || strings.Contains(out, "parley setup") {
		t.Errorf("%d %s", code, out)
	}
	daemon.Stop()
	if code, _, errs := script(t, daemon, "setup"); code != 3 || !strings.Contains(errs, "start one with: parley up") {
		t.Errorf("got %d %q", code, errs)
	}
}

func TestSplit(t *testing.T) {
	for line, want := range map[string][]string{
		"":                    nil,
		" a  b\tc\r\n":        {"a", "b", "c"},
		`a "b c" 'd "e' f\ g`: {"a", "b c", `d "e`, "f g"},
		`a ""`:                {"a", ""},
		`--x="y z"w`:          {"--x=y zw"},
		`"a \" b" 'c \ d'`:    {`a " b`, `c \ d`},
		"a # b":               {"a"},
		"a#b":                 {"a#b"},
		"é\u00a0x":            {"é\u00a0x"},
	} {
		if got, err := split(line); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: want %q, got %q, %v", line, want, got, err)
		}
	}
	for _, line := range []string{`"`, `'a`, `a\`} {
		if got, err := split(line); err == nil {
			t.Errorf("%q: got %q", line, got)
		}
	}
}

func FuzzSplit(f *testing.F) {
	f.Add(`a "b c" 'd' e\ f # g`)
	f.Fuzz(func(t *testing.T, line string) {
		words, err := split(line)
		for _, w := range words {
			if err == nil && len(w) > 3*len(line) { // broken UTF-8 becomes three bytes each
				t.Errorf("%q gave %q", line, w)
			}
		}
	})
}

func known(verb string) bool { return strings.HasPrefix(verb, "set") || verb == "check-password" }

func TestHistoryKeepsNoSecrets(t *testing.T) {
	file := filepath.Join(t.TempDir(), "new", "history")
	h, err := newHistory(file, known, "json", "level", "password")
	if err != nil {
		t.Fatal(err)
	}
	kept := []string{
		"setup", "setup --log-level debug", "check-password", "setup --db-password", "setup --db-password --json",
		"setup --password-workers 4", "set-password", "setup-logs --level debug", "setup --password --json",
	}
	for _, line := range append(slices.Clone(kept),
		"check-password marker", "chek-password marker", "set-password marker", "setup --db-password marker",
		"setup --db-password=marker", "setup --db-pasword marker", "setup --bd-pw marker", "setup --DB-PASSWORD marker", "setup --relay-token marker",
		"setup --neighbors parley://marker@h:1", "setup '--db-password' marker", "set-password 'marker", "setup --consuming-private-key marker",
		"one\nmarker", "",
	) {
		if _, err := h.Write(line); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := h.Write("mistyped verb"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(append(kept, "mistyped verb"), h.Dump()); diff != "" {
		t.Error(diff)
	}
	b, err := os.ReadFile(file)
	if diff := cmp.Diff(strings.Join(kept, "\n")+"\n", string(b)); diff != "" || err != nil {
		t.Error(diff, err)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if info, err = os.Stat(filepath.Dir(file)); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if _, err := h.GetLine(-1); err == nil {
		t.Error("line -1")
	}
	if _, err := h.GetLine(h.Len()); err == nil {
		t.Error("a line behind the last")
	}
}

func TestHistoryFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "history")
	var b strings.Builder
	for i := range mostLines + slack + 1 {
		fmt.Fprintf(&b, "setup %d\n", i)
	}
	if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	h, err := newHistory(file, known)
	if err != nil || h.Len() != mostLines {
		t.Fatalf("%d lines, %v", h.Len(), err)
	}
	if first, _ := h.GetLine(0); first != fmt.Sprint("setup ", slack+1) {
		t.Error(first)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if all, _ := os.ReadFile(file); strings.Count(string(all), "\n") != mostLines {
		t.Errorf("%d lines in the file", strings.Count(string(all), "\n"))
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{link, dir, filepath.Join(file, "below")} {
		h, err := newHistory(bad, known)
		if err == nil || !strings.HasPrefix(err.Error(), "the history is not kept: ") {
			t.Errorf("%s: %v", bad, err)
		}
		if n, err := h.Write("setup"); n != 1 || err != nil {
			t.Errorf("%s: %d, %v", bad, n, err)
		}
	}
	t.Setenv("XDG_STATE_HOME", dir)
	if got, want := historyFile(), filepath.Join(dir, "parley", "history"); got != want {
		t.Errorf("want %s, got %s", want, got)
	}
	t.Setenv("XDG_STATE_HOME", "relative")
	t.Setenv("HOME", dir)
	if got, want := historyFile(), filepath.Join(dir, ".local", "state", "parley", "history"); got != want {
		t.Errorf("want %s, got %s", want, got)
	}
	t.Setenv("HOME", "")
	if got := historyFile(); got != "" {
		t.Error(got)
	}
}

func TestNotesAreBounded(t *testing.T) {
	n := &notes{}
	for i := range mostNotes + 3 {
		n.add(fmt.Sprint("note ", i))
	}
	text := n.take()
	if !strings.HasPrefix(text, "(3 notes came too fast to be shown)\nnote 3\n") || strings.Count(text, "\n") != mostNotes || n.waiting() {
		t.Errorf("%.80q", text)
	}
	if n.take() != "" {
		t.Error("told twice")
	}
}

// TestEndIsToldOnce though the Daemon repeats it, and verbs tell it too.
func TestEndIsToldOnce(t *testing.T) {
	crash := func(pid int, requested bool) talk.Broadcast {
		return talk.Broadcast{Opcode: "crashed", Payload: []byte(fmt.Sprintf(`{"processId":%d,"crashReason":"NoInformation","requested":%v}`, pid, requested))}
	}
	sh := &shell{notes: &notes{}}
	sh.hear(crash(1, false))
	sh.hear(crash(1, false))
	sh.own = "shutdown"
	sh.hear(crash(2, true))
	sh.own = "setup"
	sh.hear(crash(2, true))
	sh.hear(crash(3, true))
	if got, want := sh.notes.take(), "the Node has ended: it said nothing (pid 1)\nthe Node has ended: it was shut down (pid 3)"; got != want {
		t.Errorf("want %q, got %q", want, got)
	}
}

func TestCandidates(t *testing.T) {
	sh := &shell{desk: &verbs.Desk{}}
	for line, want := range map[string]string{
		"conn":                     "connection-status",
		"help con":                 "configuration connection-status contacts",
		"setup --log-l":            "--log-level",
		"setup --log-level ":       "off error warn info debug trace",
		"setup --log-level de":     "debug",
		"logs --le":                "--level",
		"logs --level w":           "warn",
		"crash --message ":         "",
		"nope --x":                 "",
		"setup --js":               "--json",
		"status --":                "--json",
		"set-configuration --log-": "--log-level",
	} {
		words, err := split(line)
		if err != nil {
			t.Fatal(err)
		}
		word := ""
		if !strings.HasSuffix(line, " ") {
			word, words = words[len(words)-1], words[:len(words)-1]
		}
		var got []string
		for _, c := range sh.candidates(words, word) {
			if text, _, _ := strings.Cut(c, "\t"); strings.HasPrefix(text, word) {
				got = append(got, text)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q: want %q, got %q", line, want, got)
		}
	}
}
