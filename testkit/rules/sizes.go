package rules

import (
	"cmp"
	"go/ast"
	"slices"
)

// Lengths in lines: over the aim it is listed, over the most it is a finding.
const (
	FileAim  = 400
	FileMost = 450
	FuncAim  = 60
	FuncMost = 80
)

// Size is one file or function over its aim.
type Size struct {
	Where string // path, with line and name for a function
	Lines int
	Over  bool // of the most that is allowed
}

// Sizes lists files and functions over their aim, longest first. Generated
// files have no limit.
func Sizes(files []File) []Size {
	var out []Size
	add := func(where string, lines, aim, most int) {
		if lines > aim {
			out = append(out, Size{where, lines, lines > most})
		}
	}
	for _, f := range files {
		if f.generated() {
			continue
		}
		add(f.Path, f.set.File(f.AST.FileStart).LineCount(), FileAim, FileMost)
		for _, d := range f.AST.Decls {
			if fd, ok := d.(*ast.FuncDecl); ok {
				add(f.at(fd)+" "+fd.Name.Name, f.lines(fd), FuncAim, FuncMost)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b Size) int { return cmp.Compare(b.Lines, a.Lines) })
	return out
}

// lines is how many lines a node has, its doc comment left out.
func (f File) lines(n ast.Node) int {
	return f.set.Position(n.End()).Line - f.set.Position(n.Pos()).Line + 1
}
