package life_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"parley/cmd/parley/conform/suite"
)

// TestEnclaveConforms has a node pass all cases there are. Those in which somebody
// has to wait run beside the others, each with a friend of its own: a friend's
// second connection ends its first.
func TestEnclaveConforms(t *testing.T) {
	anna := joinEnclave(t, "anna", "127.0.9.40")
	anna.does("ignore", "address", "127.0.9.42")
	waiting := []string{"wire/a friend that is gone is dialled", "rules/a packet must be whole in 10 s", "rules/a handshake must come in 10 s"}
	runs := [][]string{{"--ignored", "127.0.9.42", "--stranger", "127.0.9.43"}}
	for _, name := range waiting {
		runs = append(runs, []string{"--slow", "--only", name})
	}
	for i := range runs {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.9.%d:0", 44+i))
		if err != nil {
			t.Fatal(err)
		}
		ip, port, _ := net.SplitHostPort(l.Addr().String())
		_ = l.Close()
		anna.does("add", "address", net.JoinHostPort(ip, port), "name", fmt.Sprint("tester ", i))
		runs[i] = append([]string{"conform", "enclave", anna.at, "--json", "--answer", "30s", "--quiet", "50ms", "--friend", ip, "--dialled", port}, runs[i]...)
	}
	results := make(chan []suite.Result)
	for _, run := range runs {
		go func() {
			var r suite.Report
			out, err := said(run...)
			if err = errors.Join(err, json.Unmarshal(out, &r)); err != nil {
				t.Error(err)
			}
			results <- r.Results
		}()
	}
	passed := map[string]bool{}
	for range runs {
		for _, one := range <-results {
			if passed[one.Name] = one.Outcome == suite.Pass; !passed[one.Name] {
				t.Errorf("%s: %s %s", one.Name, one.Outcome, one.Reason)
			}
		}
	}
	for name := range strings.Lines(program(t, "conform", "enclave", "--list")) {
		if !passed[strings.TrimSuffix(name, "\n")] {
			t.Errorf("not tried: %s", name)
		}
	}
}
