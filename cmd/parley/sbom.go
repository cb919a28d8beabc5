package main

import (
	"crypto/sha256"
	"fmt"
	"runtime/debug"
	"strings"
)

// bill is a software bill of materials. Source: CycloneDX 1.5, JSON. The same
// binary always gives the same document.
type bill struct {
	Format     string       `json:"bomFormat"`
	Spec       string       `json:"specVersion"`
	Serial     string       `json:"serialNumber"`
	Version    int          `json:"version"`
	Metadata   billMetadata `json:"metadata"`
	Components []component  `json:"components"`
}

type billMetadata struct {
	Time      string    `json:"timestamp,omitempty"` // RFC 3339
	Component component `json:"component"`
}

// component is a module, the standard library, or the program itself.
type component struct {
	Type       string     `json:"type"`
	Ref        string     `json:"bom-ref"`
	Name       string     `json:"name"`
	Version    string     `json:"version,omitempty"`
	Scope      string     `json:"scope,omitempty"`
	PURL       string     `json:"purl"`
	Properties []property `json:"properties,omitempty"`
}

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// newBill lists what is linked into a binary: what a module needs for its tests
// only is not among it.
func newBill(b *debug.BuildInfo) bill {
	v := newBuild(b)
	self := newComponent("application", b.Path, v.Version)
	self.Name = "parley"
	for _, s := range b.Settings {
		if strings.HasPrefix(s.Key, "vcs") || s.Key == "CGO_ENABLED" || s.Key == "GOOS" || s.Key == "GOARCH" {
			self.Properties = append(self.Properties, property{"go:build:" + s.Key, s.Value})
		}
	}
	out := bill{
		Format: "CycloneDX", Spec: "1.5", Serial: serial(b), Version: 1,
		Metadata:   billMetadata{Time: v.Time, Component: self},
		Components: []component{newComponent("library", "std", strings.TrimPrefix(v.Go, "go"))},
	}
	for _, d := range b.Deps {
		m := d
		if d.Replace != nil {
			m = d.Replace
		}
		c := newComponent("library", m.Path, m.Version)
		if m.Sum != "" { // of the module's files, not of one file: no hash in the sense of the format
			c.Properties = append(c.Properties, property{"go:sum", m.Sum})
		}
		if d.Replace != nil {
			c.Properties = append(c.Properties, property{"go:replaces", d.Path + "@" + d.Version})
		}
		c.Scope = "required"
		out.Components = append(out.Components, c)
	}
	return out
}

func newComponent(kind, path, version string) component {
	url := packageURL(path, version)
	return component{Type: kind, Ref: url, Name: path, Version: version, PURL: url}
}

// packageURL names a module for scanners. Source: the type golang of package
// URLs: names in lower case, "+" escaped.
func packageURL(path, version string) string {
	url := "pkg:golang/" + strings.ToLower(path)
	if version != "" {
		url += "@" + strings.NewReplacer("+", "%2B", "(", "%28", ")", "%29").Replace(version)
	}
	return url
}

// serial is a UUID made from the build information. Source: RFC 9562, version 8.
func serial(b *debug.BuildInfo) string {
	h := sha256.Sum256([]byte(b.String()))
	h[6] = h[6]&0x0f | 0x80
	h[8] = h[8]&0x3f | 0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", h[0:4], h[4:6], h[6:8], h[8:10], h[10:16])
}
