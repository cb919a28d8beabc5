package foreign_test

import (
	"context"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"parley/cmd/parley/conform/suite"
)

// TestConform runs the cases of the rendezvous against a node, which passes all of them, and against the public server, which
// proves that the group "wire" asks for nothing that it does not do.
func TestConform(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), testLimit)
	defer cancel()
	for _, challenge := range []string{"on", "off"} {
		t.Run("node, challenge "+challenge, func(t *testing.T) { expectConform(ctx, t, startStar(ctx, t, challenge, "0")) })
		t.Run("public server, challenge "+challenge, func(t *testing.T) { expectConform(ctx, t, startPublic(ctx, t, challenge), "--only", "wire/") })
	}
}

// TestConformSlow is for the cases in which somebody has to wait.
func TestConformSlow(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), testLimit)
	defer cancel()
	p := startStar(ctx, t, "on", "0")
	expectConform(ctx, t, p, "--slow", "--only", "rules/who is not read", "--only", "rules/who does not answer")
}

// expectConform wants all cases passed but those that cannot be tried. Nothing is measured, so answers may take long.
func expectConform(ctx context.Context, t *testing.T, p *process, flags ...string) {
	t.Helper()
	binary, err := buildParley()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(ctx, binary, append([]string{"conform", "star", p.star, "--json", "--answer", "30s"}, flags...)...).Output()
	var r suite.Report
	if bad := json.Unmarshal(out, &r); bad != nil {
		t.Fatalf("foreign: conform: %v, %v: %s", err, bad, out)
	}
	if err != nil || r.Passed < 2 || r.Failed > 0 {
		t.Errorf("foreign: conform: %v, %d passed, %d failed", err, r.Passed, r.Failed)
	}
	for _, one := range r.Results {
		switch {
		case one.Outcome == suite.Fail:
			t.Errorf("%s: %s", one.Name, one.Reason)
		case one.Outcome == suite.NotTried && !strings.Contains(one.Reason, "challenge"):
			t.Errorf("%s was not tried: %s", one.Name, one.Reason)
		}
	}
	p.terminate(t)
	p.expectExit(t)
}
