package conform

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestNamesOfUICases(t *testing.T) {
	out, _, err := conform(t, "ui", "--list")
	names := strings.Split(strings.TrimSpace(out), "\n")
	if err != nil || len(names) < 100 {
		t.Fatalf("%d names, %v", len(names), err)
	}
	seen := map[string]bool{}
	for _, name := range names {
		if group, _, _ := strings.Cut(name, "/"); seen[name] || group != "wire" && group != "rules" {
			t.Errorf("name %q", name)
		}
		seen[name] = true
	}
}

func TestUIWrongUsage(t *testing.T) {
	for _, args := range [][]string{
		{"nobody"},
		{"127.0.0.1:1", "--role", "king"},
		{"127.0.0.1:1", "--limit", "17"},
		{"127.0.0.1:1", "--role", "node", "--only", "nothing"},
	} {
		if _, code, err := conform(t, append([]string{"ui"}, args...)...); code != exitUsage {
			t.Errorf("%q: %v", args, err)
		}
	}
	if _, _, err := conform(t, "ui"); err == nil {
		t.Error("no address, no error")
	}
}

func TestNoUIServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, flags := range [][]string{nil, {"--role", "node"}} {
		if _, code, err := conform(t, append([]string{"ui", at}, flags...)...); code != exitUnreachable || !strings.Contains(err.Error(), "is the server running") {
			t.Errorf("%q: code %d, %v", flags, code, err)
		}
	}
}

// TestUIServerThatIsNone fails the cases, and says why.
func TestUIServerThatIsNone(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	at := strings.TrimPrefix(s.URL, "http://")
	if _, code, err := conform(t, "ui", at); code != exitFailed || !strings.Contains(err.Error(), "refused with 404") {
		t.Errorf("code %d, %v", code, err)
	}
	out, code, err := conform(t, "ui", "ws://"+at+"/", "--role", "node", "--only", "wire/the answer names", "--only", "rules/web pages", "--only", "wire/start says")
	if code != exitFailed || !strings.Contains(out, "\n0 passed, 2 failed, 1 not tried\n") ||
		!strings.Contains(out, "rules/web pages are refused: Origin http://evil.example was refused with 404, not 403") ||
		!strings.Contains(out, "not tried  wire/start says that a Node runs: the server is no Daemon") {
		t.Errorf("code %d, %v:\n%s", code, err, out)
	}
}
