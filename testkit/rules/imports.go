package rules

import (
	"fmt"
	"slices"
	"strings"
)

// layer says what the packages below one top folder may import.
type layer struct {
	may   []string // folders of this module
	never []string // packages outside it, with all below them
	why   string   // of never
}

// layers are the top folders that hold Go. Whatever lies elsewhere is a finding.
var layers = map[string]layer{
	"messages": {
		may:   []string{"messages"},
		never: []string{actorLibrary, "net", "net/http"},
		why:   "messages are data",
	},
	"actors": {
		may: []string{"messages", "actors"},
		never: []string{
			"net", "net/http", "os/exec", "encoding/json", "github.com/go-json-experiment/json",
			"google.golang.org/protobuf/encoding/protojson",
		},
		why: "wires and processes are for gateways",
	},
	"gateways": {may: []string{"messages", "gateways", treeFolder}},
	"cmd":      {may: []string{"messages", "actors", "gateways", "cmd"}},
	"testkit":  {may: []string{"messages", "actors", "gateways", "cmd", "testkit"}},
}

// siblings are the folders that others in the same layer may import.
var siblings = []string{
	"gateways/link", "gateways/guard", "gateways/ws", "gateways/tcp", "gateways/jsonwalk",
	"actors/tree", "actors/ui",
}

// owners are the packages that one folder alone may import, with all below them.
var owners = map[string]struct{ folder, why string }{
	"github.com/dgraph-io/badger":  {"actors/store", "the database has one owner"},
	"github.com/gorilla/websocket": {"gateways/ws", "one place knows the library"},
}

// exact are packages of layer.never whose sub-packages are harmless: net/netip
// and net/url only parse.
var exact = []string{"net"}

// Imports checks who imports whom. Source: the layout in README.md.
func Imports(files []File) []string {
	var found []string
	for _, f := range files {
		l, ok := layers[f.top()]
		if !ok {
			found = append(found, fmt.Sprintf("%s: Go code lies in %s only", f.Path, strings.Join(layerNames(), ", ")))
			continue
		}
		for _, imp := range f.imports() {
			if why := forbidden(f, l, imp); why != "" {
				found = append(found, fmt.Sprintf("%s: imports %s: %s", f.Path, imp, why))
			}
		}
	}
	return found
}

func layerNames() []string {
	var names []string
	for name := range layers {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// forbidden is why a file may not import a package; "": it may.
func forbidden(f File, l layer, imp string) string {
	if imp == "unsafe" && !f.generated() {
		return "nothing here needs it"
	}
	for _, bad := range l.never {
		if imp == bad || within(imp, bad) && !slices.Contains(exact, bad) {
			return l.why
		}
	}
	for pkg, o := range owners {
		if within(imp, pkg) && !within(f.Folder(), o.folder) {
			return "only " + o.folder + " may: " + o.why
		}
	}
	in, ours := strings.CutPrefix(imp, Module+"/")
	if !ours {
		return ""
	}
	if !slices.ContainsFunc(l.may, func(folder string) bool { return within(in, folder) }) {
		return f.top() + " may import " + strings.Join(l.may, ", ") + " only"
	}
	if f.top() != "actors" && f.top() != "gateways" || !within(in, f.top()) {
		return ""
	}
	if unit(in) != unit(f.Folder()) && !slices.ContainsFunc(siblings, func(s string) bool { return within(in, s) }) {
		return "siblings do not import each other"
	}
	return ""
}

// unit is the first two parts of a folder: "gateways/relay".
func unit(folder string) string {
	parts := strings.SplitN(folder, "/", 3)
	return strings.Join(parts[:min(len(parts), 2)], "/")
}

// weights are packages that must not even be linked, but in the folders that may.
var weights = map[string][]string{
	"google.golang.org/grpc": nil,
	"net/http/pprof":         {"cmd", "gateways/web"}, // on the operators' listener only
}

// Linked checks what a package of ours brings along. deps are the import paths
// that it depends on, directly or not.
func Linked(folder string, deps []string) []string {
	var found []string
	for _, d := range deps {
		for pkg, may := range weights {
			if within(d, pkg) && !slices.ContainsFunc(may, func(m string) bool { return within(folder, m) }) {
				found = append(found, fmt.Sprintf("%s: links %s", folder, d))
			}
		}
	}
	return found
}
