package main

import (
	"debug/buildinfo"
	"encoding/json"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestVersion(t *testing.T) {
	t.Parallel()
	o := parley(t, "version")
	o.expect(t, 0)
	if !regexp.MustCompile(`(?m)^parley +\S+$`).MatchString(o.out) || !regexp.MustCompile(`(?m)^go +go1\.\S+.* \w+/\w+$`).MatchString(o.out) || o.err != "" {
		t.Error(o)
	}
	o = parley(t, "version", "--json")
	var v build
	if err := json.Unmarshal([]byte(o.out), &v); err != nil || v.Version == "" || v.OS != runtime.GOOS || v.Arch != runtime.GOARCH || !strings.HasPrefix(v.Go, "go1.") {
		t.Errorf("%v: %v", err, o)
	}
	if short := parley(t, "--version"); short.out != "parley version "+v.Version+"\n" {
		t.Error(short)
	}
}

func TestVersionWithRevision(t *testing.T) {
	info := &debug.BuildInfo{
		GoVersion: "go1.26.0", Main: debug.Module{Path: "parley", Version: "v1.2.3"},
		Settings: []debug.BuildSetting{
			{Key: "GOOS", Value: "linux"},
			{Key: "GOARCH", Value: "arm64"},
			{Key: "vcs.revision", Value: "abcdef"},
			{Key: "vcs.time", Value: "2026-01-02T03:04:05Z"},
			{Key: "vcs.modified", Value: "true"},
		},
	}
	var out strings.Builder
	if err := newBuild(info).print(&out); err != nil {
		t.Fatal(err)
	}
	want := "parley  v1.2.3\ngo      go1.26.0 linux/arm64\nsource  abcdef, 2026-01-02T03:04:05Z, changed since\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
	if bare := newBuild(&debug.BuildInfo{GoVersion: "go1.26.0"}); bare.Version != "(devel)" {
		t.Errorf("%+v", bare)
	}
}

// TestSBOM compares the bill with what the binary says of itself.
func TestSBOM(t *testing.T) {
	t.Parallel()
	o := parley(t, "version", "--sbom")
	o.expect(t, 0)
	if again := parley(t, "version", "--sbom"); again.out != o.out {
		t.Error("the same binary gives two bills")
	}
	var b bill
	d := json.NewDecoder(strings.NewReader(o.out))
	d.DisallowUnknownFields()
	if err := d.Decode(&b); err != nil {
		t.Fatal(err)
	}
	if b.Format != "CycloneDX" || b.Spec != "1.5" || b.Version != 1 || !regexp.MustCompile(`^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(b.Serial) {
		t.Errorf("%+v", b)
	}
	if c := b.Metadata.Component; c.Type != "application" || c.Name != "parley" {
		t.Errorf("%+v", c)
	}
	at, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	info, err := buildinfo.ReadFile(at)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"std@" + strings.TrimPrefix(info.GoVersion, "go")}
	for _, m := range info.Deps {
		want = append(want, m.Path+"@"+m.Version)
	}
	var got []string
	refs := map[string]bool{b.Metadata.Component.Ref: true}
	for _, c := range b.Components {
		got = append(got, c.Name+"@"+c.Version)
		if c.Type != "library" || refs[c.Ref] || !regexp.MustCompile(`^pkg:golang/[a-z0-9./_~-]+@[A-Za-z0-9.%-]+$`).MatchString(c.PURL) {
			t.Errorf("%+v", c)
		}
		refs[c.Ref] = true
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, name := range []string{"github.com/gorilla/websocket", "google.golang.org/protobuf"} {
		if !strings.Contains(strings.Join(got, " "), name) {
			t.Errorf("%s is missing", name)
		}
	}
}

func TestBillOfReplacement(t *testing.T) {
	b := newBill(&debug.BuildInfo{GoVersion: "go1.26.0", Path: "parley/cmd/parley", Deps: []*debug.Module{
		{Path: "example.com/A", Version: "v1.0.0+incompatible", Sum: "h1:x", Replace: &debug.Module{Path: "example.com/B", Version: "v2.0.0", Sum: "h1:y"}},
	}})
	want := component{
		Type: "library", Ref: "pkg:golang/example.com/b@v2.0.0", Name: "example.com/B", Version: "v2.0.0", Scope: "required", PURL: "pkg:golang/example.com/b@v2.0.0",
		Properties: []property{{"go:sum", "h1:y"}, {"go:replaces", "example.com/A@v1.0.0+incompatible"}},
	}
	if diff := cmp.Diff(want, b.Components[1]); diff != "" {
		t.Error(diff)
	}
	if got := packageURL("example.com/A", "v1.0.0+incompatible"); got != "pkg:golang/example.com/a@v1.0.0%2Bincompatible" {
		t.Error(got)
	}
}
