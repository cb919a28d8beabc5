package web_test

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"parley/gateways/guard"
	"parley/testkit"
	"parley/testkit/node"
)

const metricsFile = "METRICS.md"

var update = flag.Bool("update", false, "rewrite "+metricsFile)

// family is one metric with all its series.
type family struct {
	name, kind, help string
	series           []string            // name and labels, as they were written
	labels           map[string][]string // values of each label
}

var (
	metricName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	sample     = regexp.MustCompile(`^([a-z][a-z0-9_]*)(?:\{(.*)\})? (\S+)$`)
	oneLabel   = regexp.MustCompile(`^([a-z_][a-z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)",?`)
)

// parse reads what GET /metrics answers, and finds fault with all that the
// text format, version 0.0.4, does not allow or we do not want.
func parse(text string) (all []*family, faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	seen := map[string]bool{}
	var f *family
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if rest, ok := strings.CutPrefix(line, "# HELP "); ok {
			name, help, _ := strings.Cut(rest, " ")
			f = &family{name: name, help: help, labels: map[string][]string{}}
			if all = append(all, f); seen[name] || !metricName.MatchString(name) || help == "" {
				fault("%s: named twice or badly, or without help", name)
			}
			seen[name] = true
			continue
		}
		if rest, ok := strings.CutPrefix(line, "# TYPE "); ok {
			name, kind, _ := strings.Cut(rest, " ")
			if f == nil || name != f.name || f.kind != "" {
				fault("%s: a type out of place", name)
				continue
			}
			f.kind = kind
			if counter := counts(name); counter != (kind == "counter") {
				fault("%s: a %s of that name", name, kind)
			}
			continue
		}
		m := sample.FindStringSubmatch(line)
		if m == nil || f == nil || f.kind == "" || m[1] != f.name && !f.part(m[1]) {
			fault("out of place: %q", line)
			continue
		}
		series := m[1] + "{" + m[2] + "}"
		if _, err := strconv.ParseFloat(m[3], 64); err != nil || seen[series] {
			fault("%s: no number, or twice: %s", series, m[3])
		}
		seen[series] = true
		f.series = append(f.series, series)
		for rest := m[2]; rest != ""; {
			l := oneLabel.FindStringSubmatch(rest)
			if l == nil {
				fault("%s: labels %q", series, rest)
				break
			}
			f.labels[l[1]] = append(f.labels[l[1]], l[2])
			rest = rest[len(l[0]):]
		}
	}
	return all, faults
}

// counts reports whether a counter may have that name. Those of the public
// rendezvous server say behind it what became of what was counted.
func counts(name string) bool {
	if rest, ok := strings.CutPrefix(name, "rendezvous_"); ok {
		name = strings.TrimSuffix(strings.TrimSuffix(rest, "_success"), "_failure")
	}
	return strings.HasSuffix(name, "_total")
}

// isOurs reports whether a metric is not of the Go runtime or the process.
func isOurs(name string) bool {
	return strings.HasPrefix(name, "parley_") || strings.HasPrefix(name, "rendezvous_")
}

// part reports whether a sample belongs to a metric of several numbers.
func (f *family) part(name string) bool {
	rest, ok := strings.CutPrefix(name, f.name)
	return ok && (f.kind == "summary" || f.kind == "histogram") && slices.Contains([]string{"_sum", "_count", "_bucket"}, rest)
}

// table writes our own metrics for people.
func table(all []*family) string {
	var b strings.Builder
	b.WriteString(`# Metrics of a node

What ` + "`GET /metrics`" + ` on the operators' listener (` + "`metrics-address`" + `) says, in the text format of Prometheus. Written by the tests of this folder:
` + "`go test ./gateways/web -run Metrics -update`" + `. Labels have these values and no others, so that there are never more series. Beside them are those of the Go
runtime (` + "`go_…`" + `) and of the process (` + "`process_…`" + `). Those that begin with ` + "`rendezvous_`" + ` have the names of the public rendezvous server, so that its dashboards fit; they
and all of ` + "`star`" + ` (Engine.IO 3) and ` + "`star4`" + ` (Engine.IO 4) are there while ` + "`star-address`" + ` is not off, those of
` + "`enclave`" + ` while ` + "`enclave-address`" + ` is not.

| name | type | labels | help |
|---|---|---|---|
`)
	for _, f := range all {
		if !isOurs(f.name) {
			continue
		}
		var labels []string
		for _, l := range slices.Sorted(maps.Keys(f.labels)) {
			labels = append(labels, fmt.Sprintf("`%s`: %s", l, strings.Join(f.labels[l], " · ")))
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.name, f.kind, strings.Join(labels, "; "), f.help)
	}
	return b.String()
}

// exposition asks a node.
func exposition(t *testing.T, n *node.Node) []*family {
	t.Helper()
	c := http.Client{Transport: &http.Transport{DialContext: n.Net.DialFrom("127.0.0.1"), DisableKeepAlives: true}}
	r, err := c.Get("http://127.0.0.1:9100/metrics")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(r.Body)
	if err := errors.Join(err, r.Body.Close()); err != nil || r.StatusCode != http.StatusOK {
		t.Fatal(r.Status, err)
	}
	if kind := r.Header.Get("Content-Type"); !strings.HasPrefix(kind, "text/plain; version=0.0.4") {
		t.Errorf("content is %q", kind)
	}
	all, faults := parse(string(body))
	for _, f := range faults {
		t.Error(f)
	}
	return all
}

// ours lists the series that are not of the Go runtime.
func ours(all []*family) (series []string) {
	for _, f := range all {
		if isOurs(f.name) {
			series = append(series, f.series...)
		}
	}
	return series
}

// TestMetricsOfANode compares what a node exposes with METRICS.md, before and
// after strangers have named hosts, origins, channels and close codes.
func TestMetricsOfANode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := node.New(t, nil, testkit.NewNetwork())
		for _, option := range []string{"star-address", "enclave-address"} {
			if err := n.Set(option, "127.0.0.1"); err != nil {
				t.Fatal(err)
			}
		}
		n.Start()
		synctest.Wait() // some actors make their counters as they start
		before := exposition(t, n)

		for i, header := range []string{"Host=evil.example", "Origin=http://evil.example", "Host=[bad", "X-Whatever=1"} {
			w, err := n.Dial(fmt.Sprint("stranger", i), []string{header})
			if err != nil {
				continue // turned away
			}
			synctest.Wait()
			for _, frame := range []string{fmt.Sprintf(`{"command":"subscribe","data":{"topic":"channel%d"},"nonce":1}`, i), "no json"} {
				if err := w.Say(frame); err != nil {
					t.Error(err)
				}
			}
			if err := w.Bye(3000+i, "whatever"); err != nil {
				t.Error(err)
			}
			synctest.Wait()
			w.HangUp()
		}
		synctest.Wait()
		after := exposition(t, n)
		if b, a := ours(before), ours(after); !slices.Equal(a, b) {
			t.Errorf("series were\n%s, and are\n%s", strings.Join(b, "\n"), strings.Join(a, "\n"))
		}
		for _, f := range after {
			if f.name == "parley_refused_total" && !slices.Equal(slices.Sorted(slices.Values(f.labels["reason"])), slices.Sorted(slices.Values(guard.Reasons()))) {
				t.Errorf("reasons of refusal are %q", f.labels["reason"])
			}
		}
		want := table(after)
		if *update {
			if err := os.WriteFile(metricsFile, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(metricsFile); err != nil || string(got) != want {
			t.Errorf("%s is stale (%v): go test ./gateways/web -run Metrics -update. It should be\n%s", metricsFile, err, want)
		}
		n.Stop()
	})
}

// TestParseFindsFaults makes sure that parse is not blind.
func TestParseFindsFaults(t *testing.T) {
	const good = "# HELP a_total Things.\n# TYPE a_total counter\na_total{x=\"1\"} 1\na_total{x=\"2\"} 2\n"
	if _, faults := parse(good); len(faults) > 0 {
		t.Errorf("found fault: %q", faults)
	}
	for name, text := range map[string]string{
		"a series twice":       good + "a_total{x=\"1\"} 3\n",
		"a metric twice":       good + good,
		"no help":              "# HELP a_total \n# TYPE a_total counter\na_total 1\n",
		"no type":              "# HELP a_total Things.\na_total 1\n",
		"a counter's name":     "# HELP a Things.\n# TYPE a counter\na 1\n",
		"a gauge's name":       "# HELP a_total Things.\n# TYPE a_total gauge\na_total 1\n",
		"no number":            "# HELP a Things.\n# TYPE a gauge\na one\n",
		"somebody else's":      "# HELP a Things.\n# TYPE a gauge\nb 1\n",
		"a label without end":  "# HELP a Things.\n# TYPE a gauge\na{x=\"1} 1\n",
		"a label badly quoted": "# HELP a Things.\n# TYPE a gauge\na{x=\"\\x\"} 1\n",
	} {
		if _, faults := parse(text); len(faults) == 0 {
			t.Errorf("%s: no fault found", name)
		}
	}
}
