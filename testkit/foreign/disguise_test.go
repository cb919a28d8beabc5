package foreign_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// varying are the values that are others each time, in the last group of a pattern. All places of one name must have the same value.
var varying = []struct {
	name    string
	pattern *regexp.Regexp
}{
	{"pid", regexp.MustCompile(`"(?:newProcessId|processId)":(\d+)`)},
	{"ui port", regexp.MustCompile(`"(?:redirectUiPort|port)":(\d+)`)},
	{"ui port", regexp.MustCompile(`"name":"ui","address":"127\.0\.0\.1:(\d+)"`)},
	{"relay port", regexp.MustCompile(`"clandestinePort":(\d+)`)},
	{"relay port", regexp.MustCompile(`"name":"relay","address":"127\.0\.0\.1:(\d+)"`)},
}

// logTime is the time of a line in a log, which is not compared.
var logTime = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d)`)

// disguise gives names to what differs each time: <pid> is the first pid that was said. Another one stays as it is.
func disguise(said []string, data string) []string {
	known := map[string]string{}
	var out []string
	for _, line := range said {
		line = strings.ReplaceAll(line, data, "<data>")
		line = logTime.ReplaceAllString(line, "<time>")
		for _, v := range varying {
			line = v.pattern.ReplaceAllStringFunc(line, func(match string) string {
				value := v.pattern.FindStringSubmatch(match)[1]
				if known[v.name] == "" {
					known[v.name] = value
				}
				if known[v.name] != value {
					return match
				}
				at := strings.LastIndex(match, value)
				return match[:at] + "<" + v.name + ">" + match[at+len(value):]
			})
		}
		out = append(out, line)
	}
	return out
}

// TestDisguise makes sure that the transcripts tell one value from another.
func TestDisguise(t *testing.T) {
	got := disguise([]string{
		`{"newProcessId":12,"redirectUiPort":12}`, `{"processId":12}`, `{"processId":13,"port":12}`,
		`{"name":"ui","address":"127.0.0.1:12"},{"name":"relay","address":"127.0.0.1:99"}`,
		`"2026-01-02T03:04:05+01:00 INF x" in "/data/1"`,
	}, "/data/1")
	want := []string{
		`{"newProcessId":<pid>,"redirectUiPort":<ui port>}`, `{"processId":<pid>}`, `{"processId":13,"port":<ui port>}`,
		`{"name":"ui","address":"127.0.0.1:<ui port>"},{"name":"relay","address":"127.0.0.1:<relay port>"}`,
		`"<time> INF x" in "<data>"`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("foreign: (-want +got):\n%s", diff)
	}
}
