package testkit_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"parley/testkit/rules"
)

const (
	moduleRoot = ".."
	treeFile   = "TREE.txt"
)

var update = flag.Bool("update", false, "redraw "+treeFile)

// source is all of the module's Go but its tests, read once.
var source = sync.OnceValues(func() ([]rules.File, error) { return rules.Load(moduleRoot) })

func files(t *testing.T) []rules.File {
	t.Helper()
	fs, err := source()
	if err != nil {
		t.Fatal(err)
	}
	return fs
}

// none fails the test with each finding.
func none(t *testing.T, found []string) {
	t.Helper()
	for _, f := range found {
		t.Error(f)
	}
}

func TestImportsPointOneWay(t *testing.T) { none(t, rules.Imports(files(t))) }

func TestOnlyTreeSpawnsAndNobodyWaits(t *testing.T) { none(t, rules.Calls(files(t))) }

func TestTypesAreNamedForWhatTheyDo(t *testing.T) { none(t, rules.Names(files(t))) }

func TestActorCards(t *testing.T) {
	_, found := rules.Cards(files(t))
	none(t, found)
}

// TestSizes fails over the limits and reports what is over the aims.
func TestSizes(t *testing.T) {
	var report strings.Builder
	for _, s := range rules.Sizes(files(t)) {
		fmt.Fprintf(&report, "\n%5d  %s", s.Lines, s.Where)
		if s.Over {
			t.Errorf("%s has %d lines; split it", s.Where, s.Lines)
		}
	}
	t.Logf("over the aim of %d lines a file, %d a function:%s", rules.FileAim, rules.FuncAim, report.String())
}

// TestTree keeps the drawing of the supervision tree true.
func TestTree(t *testing.T) {
	cards, _ := rules.Cards(files(t))
	drawing, found := rules.Draw(cards)
	none(t, found)
	if *update {
		if err := os.WriteFile(treeFile, []byte(drawing), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	old, err := os.ReadFile(treeFile)
	if err != nil || string(old) != drawing {
		t.Errorf("%s is stale (%v); run make tree. It should be\n%s", treeFile, err, drawing)
	}
}

// TestNothingHeavyIsLinked asks the go command what each package depends on,
// tests left out.
func TestNothingHeavyIsLinked(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e", "-json=ImportPath,Deps", "./...")
	cmd.Dir = moduleRoot
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for n := 0; ; n++ {
		var p struct {
			ImportPath string
			Deps       []string
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			if n == 0 {
				t.Error("no packages")
			}
			return
		} else if err != nil {
			t.Fatal(err)
		}
		folder := strings.TrimPrefix(p.ImportPath, rules.Module+"/")
		if !strings.HasPrefix(folder, "testkit") { // it runs cmd
			none(t, rules.Linked(folder, p.Deps))
		}
	}
}
