// Package rules holds Parley's house rules as checks over its source. Each takes
// parsed files and returns what it found, a line a finding; none is a good answer.
//
//	Imports   who may import whom
//	Calls     what only actors/tree may call, and what an actor never does
//	Names     what a type may not be called
//	Sizes     files and functions that are too long
//	Cards     the doc comment of each actor against its code
//	Draw      the supervision tree, from the cards
package rules

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// Module is the path of the module the rules are for.
const Module = "parley"

// The package that all actors come from, and the library below it.
const (
	actorLibrary = "github.com/asynkron/protoactor-go"
	actorPackage = actorLibrary + "/actor"
	treeFolder   = "actors/tree"
)

// File is one parsed source file.
type File struct {
	Path string // from the module's root, with slashes: "actors/relay/client.go"
	AST  *ast.File
	set  *token.FileSet
}

// Parse reads one file from its text.
func Parse(name, source string) (File, error) {
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, name, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return File{}, fmt.Errorf("rules: %w", err)
	}
	return File{name, f, set}, nil
}

// Load reads all Go files below root that go into the product or its testkit.
// Tests are left out, and so are folders that Go itself passes over.
func Load(root string) ([]File, error) {
	var files []File
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if p != root && (strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata" || name == "node_modules") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		f, err := Parse(filepath.ToSlash(rel), string(text))
		if err == nil {
			files = append(files, f)
		}
		return err
	})
	return files, err
}

// Folder is the file's package folder: "actors/relay".
func (f File) Folder() string { return path.Dir(f.Path) }

// top is the first part of the path: "actors".
func (f File) top() string {
	top, _, _ := strings.Cut(f.Path, "/")
	return top
}

// generated reports whether the file says that a program wrote it.
func (f File) generated() bool { return ast.IsGenerated(f.AST) }

// at is a position for a finding: "actors/relay/client.go:12".
func (f File) at(n ast.Node) string {
	return f.Path + ":" + strconv.Itoa(f.set.Position(n.Pos()).Line)
}

// imports lists the paths the file imports.
func (f File) imports() []string {
	var out []string
	for _, s := range f.AST.Imports {
		if p, err := strconv.Unquote(s.Path.Value); err == nil {
			out = append(out, p)
		}
	}
	return out
}

// importOf is the path of the package that the file knows by name; "": none.
func (f File) importOf(name string) string {
	for _, s := range f.AST.Imports {
		p, err := strconv.Unquote(s.Path.Value)
		if err != nil {
			continue
		}
		if s.Name != nil && s.Name.Name == name || s.Name == nil && path.Base(p) == name {
			return p
		}
	}
	return ""
}

// qualified returns the import path and the name of an expression like
// actor.Context; ok is false for anything else.
func (f File) qualified(e ast.Expr) (pkg, name string, ok bool) {
	sel, isSel := e.(*ast.SelectorExpr)
	if !isSel {
		return "", "", false
	}
	id, isIdent := sel.X.(*ast.Ident)
	if !isIdent {
		return "", "", false
	}
	pkg = f.importOf(id.Name)
	return pkg, sel.Sel.Name, pkg != ""
}

// within reports whether p is folder or lies below it.
func within(p, folder string) bool {
	return p == folder || strings.HasPrefix(p, folder+"/")
}

// receiver is the name of the type that a method belongs to; "": no method.
func receiver(d *ast.FuncDecl) string {
	if d.Recv == nil || len(d.Recv.List) != 1 {
		return ""
	}
	if id, ok := unstar(d.Recv.List[0].Type).(*ast.Ident); ok {
		return id.Name
	}
	return ""
}

func unstar(e ast.Expr) ast.Expr {
	if s, ok := e.(*ast.StarExpr); ok {
		return s.X
	}
	return e
}
