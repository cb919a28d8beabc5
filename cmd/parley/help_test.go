package main

import (
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"parley/cmd/parley/config"
)

// cli runs the program inside the test.
func cli(args ...string) outcome {
	var out, err strings.Builder
	code := run(args, strings.NewReader(""), &out, &err)
	return outcome{code, out.String(), err.String()}
}

// walk visits every verb.
func walk(c *cobra.Command, visit func(*cobra.Command)) {
	visit(c)
	for _, sub := range c.Commands() {
		walk(sub, visit)
	}
}

func TestEveryVerbHasHelp(t *testing.T) {
	seen := 0
	walk(command(io.Discard), func(c *cobra.Command) {
		seen++
		path := strings.Fields(c.CommandPath())[1:]
		switch {
		case c.Short == "" || strings.HasSuffix(c.Short, "."):
			t.Errorf("%q: Short is %q", c.CommandPath(), c.Short)
		case c.Example == "":
			t.Errorf("%q has no example", c.CommandPath())
		}
		o := cli(append(path, "--help")...)
		if o.code != 0 || o.err != "" || !strings.Contains(o.out, c.Example) || !strings.Contains(o.out, "Usage:") {
			t.Errorf("%q --help: %v", c.CommandPath(), o)
		}
		for line := range strings.Lines(o.out) {
			if len(line) > 200 {
				t.Errorf("%q --help has a line of %d bytes: %s", c.CommandPath(), len(line), line)
			}
		}
		o = cli(append(path, "--no-such-flag")...)
		if o.code != 2 || !strings.Contains(o.err, "--no-such-flag") || !strings.Contains(o.err, "--help") {
			t.Errorf("%q --no-such-flag: %v", c.CommandPath(), o)
		}
	})
	if seen < 15 {
		t.Errorf("only %d verbs", seen)
	}
}

// TestExamplesParse takes the examples apart as a shell would: verbs and flags
// exist.
func TestExamplesParse(t *testing.T) {
	root := command(io.Discard)
	walk(root, func(c *cobra.Command) {
		for line := range strings.Lines(c.Example) {
			_, line, _ = strings.Cut(line, "parley ")
			line, _, _ = strings.Cut(strings.TrimSuffix(strings.TrimSpace(line), ")"), "|")
			line, _, _ = strings.Cut(line, " >")
			out, err := exec.Command("sh", "-c", "for w in "+line+"; do printf '%s\\0' \"$w\"; done").Output()
			if err != nil {
				t.Errorf("%q: %v", line, err)
				continue
			}
			words := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
			verb, rest, err := root.Find(words)
			if err != nil || verb == root {
				t.Errorf("example %q names no verb: %v", line, err)
				continue
			}
			for _, w := range rest {
				if name, is := strings.CutPrefix(w, "--"); is && name != "" && name != "help" {
					name, _, _ = strings.Cut(name, "=")
					if verb.DisableFlagParsing && slices.ContainsFunc(config.Table(), func(o config.Option) bool { return o.Name == name }) {
						continue // a parameter of the Setup space
					}
					if verb.Flag(name) == nil {
						t.Errorf("example %q: %q has no flag --%s", line, verb.CommandPath(), name)
					}
				}
			}
		}
	})
}

func TestWrongUsage(t *testing.T) {
	for args, says := range map[string]string{
		"sbu":                    `unknown verb "sbu"; did you mean "parley sub"?`,
		"nod":                    `unknown verb "nod"; did you mean "parley node"?`,
		"frobnicate":             `unknown verb "frobnicate"; "parley --help" lists the verbs`,
		"bench rely":             `unknown verb "rely"; did you mean "parley bench relay"?`,
		"completion bsh":         `unknown verb "bsh"; did you mean "parley completion bash"?`,
		"completion ksh93":       `"parley completion --help" lists the verbs`,
		"help sbu":               `unknown verb "sbu"; did you mean "parley sub"?`,
		"help bench rely":        `did you mean "parley bench relay"?`,
		"config chek":            "init, check, show, explain",
		"sub":                    "name a channel, as in: parley sub lobby",
		"sub x --count -1":       "give 0 for all messages",
		"sub x --count many":     `invalid argument "many" for "--count" flag`,
		"sub x --drop newest":    "oldest is the only choice",
		"sub x --url http://":    "names no host",
		"sub x --url ws://u:p@h": "user name or password",
		"sub x --url ://":        "is no address",
		"pub":                    "as in: parley pub lobby 'hello, all'",
		"pub a b c":              "put it in quotes",
		"pub a b --window 0":     "give 1 to 4096",
		"health a b":             "one node at a time",
		"version x":              `"x" is too much, it takes no arguments; see "parley version --help"`,
		"version --json --sbom":  "give one of them",
		"node --log-level":       "flag needs an argument: --log-level",
		"sub x --passwrd y":      `unknown flag: --passwrd; see "parley sub --help"`,
	} {
		o := cli(strings.Fields(args)...)
		if o.code != 2 || o.out != "" || !strings.Contains(o.err, says) || !strings.HasPrefix(o.err, "parley: ") || strings.Count(o.err, "\n") != 1 {
			t.Errorf("%q: want %q, got %v", args, says, o)
		}
		// A suggestion in quotes is a command that works, up to what it wants besides.
		if _, cmd, ok := strings.Cut(says, `did you mean "parley `); ok {
			if o := cli(append(strings.Fields(strings.TrimSuffix(cmd, `"?`)), "--help")...); o.code != 0 {
				t.Errorf("%q leads to %v", args, o)
			}
		}
	}
	// What is quoted cannot act on the terminal.
	if o := cli("\x1b[2J\u202e"); strings.ContainsAny(o.err, "\x1b\u202e") {
		t.Errorf("%q", o.err)
	}
}

func TestCompletion(t *testing.T) {
	complete := func(args ...string) []string {
		t.Helper()
		o := cli(append([]string{"__complete"}, args...)...)
		if o.code != 0 {
			t.Fatal(o)
		}
		var words []string
		for line := range strings.Lines(o.out) {
			if word, _, _ := strings.Cut(strings.TrimSpace(line), "\t"); !strings.HasPrefix(word, ":") {
				words = append(words, word)
			}
		}
		return words
	}
	if got, want := complete("node", "--log-level", ""), []string{"off", "error", "warn", "info", "debug", "trace"}; !isSubset(want, got) {
		t.Errorf("--log-level: %q", got)
	}
	if got := complete("sub", "x", "--drop", ""); !slices.Equal(got, []string{"oldest"}) {
		t.Errorf("--drop: %q", got)
	}
	if got := complete("node", "--outb"); !isSubset([]string{"--outbound-limit", "--outbound-ceiling"}, got) {
		t.Errorf("--outb: %q", got)
	}
	if got := complete("config", "explain", "outbound-l"); !slices.Equal(got, []string{"outbound-limit"}) {
		t.Errorf("explain: %q", got)
	}
	if got := complete(""); !isSubset([]string{"node", "sub", "pub", "health", "config", "bench", "version", "completion"}, got) {
		t.Errorf("verbs: %q", got)
	}
	for _, o := range config.Table() { // every flag of every option can be asked about
		if o.Flag() != "" {
			complete("node", o.Flag(), "")
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if o := cli("completion", shell); o.code != 0 || !strings.Contains(o.out, "parley") || len(o.out) < 1000 {
			t.Errorf("%s: %d, %d bytes, %s", shell, o.code, len(o.out), o.err)
		}
	}
}

func isSubset(part, all []string) bool {
	return !slices.ContainsFunc(part, func(s string) bool { return !slices.Contains(all, s) })
}

// TestBashTakesCompletion loads the script into the shell that it is for.
func TestBashTakesCompletion(t *testing.T) {
	o := cli("completion", "bash")
	cmd := exec.Command("bash", "-euc", "source /dev/stdin; complete -p parley")
	cmd.Stdin = strings.NewReader(o.out)
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "parley") {
		t.Errorf("%v: %s", err, out)
	}
}

func TestAddress(t *testing.T) {
	for in, want := range map[string]string{
		"127.0.0.1:8912":           "ws://127.0.0.1:8912/connect",
		"relay.example":            "ws://relay.example/connect",
		"ws://relay.example/":      "ws://relay.example/connect",
		"wss://relay.example/a?b":  "wss://relay.example/a?b",
		"http://[::1]:8912":        "ws://[::1]:8912/connect",
		"https://relay.example#x":  "wss://relay.example/connect",
		"HTTPS://relay.example/A/": "wss://relay.example/A/",
	} {
		if got, err := address(in, connectPath, relaySchemes); err != nil || got != want {
			t.Errorf("%q: want %q, got %q, %v", in, want, got, err)
		}
	}
	if got := defaultAddress(); got != "127.0.0.1:8912" {
		t.Error(got)
	}
}
