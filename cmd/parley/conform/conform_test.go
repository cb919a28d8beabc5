package conform

import (
	"bytes"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"parley/cmd/parley/conform/star"
	"parley/cmd/parley/conform/suite"
	"parley/testkit/leaks"
)

func TestMain(m *testing.M) { leaks.Main(m) }

// conform runs the command.
func conform(t *testing.T, args ...string) (out string, code int, err error) {
	t.Helper()
	var b bytes.Buffer
	c := Command()
	c.SilenceErrors, c.SilenceUsage = true, true
	c.SetOut(&b)
	c.SetErr(&b)
	c.SetArgs(args)
	err = c.ExecuteContext(t.Context())
	var coded interface{ ExitCode() int }
	if errors.As(err, &coded) {
		code = coded.ExitCode()
	}
	return b.String(), code, err
}

func TestNamesAreUniqueAndGrouped(t *testing.T) {
	out, _, err := conform(t, "star", "--list")
	names := strings.Split(strings.TrimSpace(out), "\n")
	if err != nil || len(names) < 50 {
		t.Fatalf("%d names, %v", len(names), err)
	}
	seen := map[string]bool{}
	for _, name := range names {
		if group, _, _ := strings.Cut(name, "/"); seen[name] || group != "wire" && group != "rules" {
			t.Errorf("name %q", name)
		}
		seen[name] = true
	}
	if out, _, err = conform(t, "star", "--list", "--only", "wire/a d"); err != nil || out != "wire/a dial, in order\n" {
		t.Errorf("%q, %v", out, err)
	}
}

func TestWrongUsage(t *testing.T) {
	for _, args := range [][]string{
		{"star", "ftp://x"},
		{"star", "127.0.0.1:1", "--challenge", "maybe"},
		{"star", "127.0.0.1:1", "--challenge", "on", "--only", "nothing"},
	} {
		if _, code, err := conform(t, args...); code != exitUsage {
			t.Errorf("%q: %v", args, err)
		}
	}
	if _, _, err := conform(t, "star"); err == nil {
		t.Error("no address, no error")
	}
}

func TestNobodyThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, flags := range [][]string{nil, {"--challenge", "off"}} {
		if _, code, err := conform(t, append([]string{"star", at}, flags...)...); code != exitUnreachable || !strings.Contains(err.Error(), "is the server running") {
			t.Errorf("%q: code %d, %v", flags, code, err)
		}
	}
}

// TestServerThatIsNone fails the cases, and says why.
func TestServerThatIsNone(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	if _, code, err := conform(t, "star", s.URL); code != exitFailed || !strings.Contains(err.Error(), "refused with 404") {
		t.Errorf("code %d, %v", code, err)
	}
	out, code, err := conform(t, "star", s.URL, "--challenge", "off", "--only", "wire/a", "--only", "rules/other paths", "--only", "wire/no key")
	if code != exitFailed || !strings.Contains(out, "\n0 passed, 3 failed, 4 not tried\n") ||
		!strings.Contains(out, "fail       wire/a page at /: / was answered 404") ||
		!strings.Contains(out, "not tried  wire/no key, no address: the server does not challenge") {
		t.Errorf("code %d, %v:\n%s", code, err, out)
	}
}

func TestSelect(t *testing.T) {
	all := star.Cases(star.Options{})
	if n := len(suite.Select(all, nil, true)); n != len(all) {
		t.Errorf("%d of %d cases", n, len(all))
	}
	fast := suite.Select(all, nil, false)
	if len(fast) == len(all) || len(fast) == 0 {
		t.Errorf("%d of %d cases are not slow", len(fast), len(all))
	}
}
