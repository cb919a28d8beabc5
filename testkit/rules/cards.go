package rules

import (
	"fmt"
	"go/ast"
	"go/doc"
	"go/token"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

// Card is what an actor's doc comment says of it:
//
//	// channel passes messages on to its members.
//	//
//	//	parent    channels
//	//	receives  relaypb.Send, relaypb.Unsubscribe, tick
//	//	sends     messages.Multicast to the shards
//	//	stops     when the last member is gone
//
// A line may go on in the next one, indented further.
type Card struct {
	Folder   string   // "actors/relay"
	Type     string   // "channel"
	Says     string   // first sentence of the doc comment
	Parents  []string // as written: "channels", "relay.clients", "root"
	receives string
	file     File
	decl     ast.Node
	lines    map[string]string
}

// cardKeys are the lines that every card has, in order.
var cardKeys = []string{"parent", "receives", "sends", "stops"}

// Cards reads the card of each actor, and compares its receives line with the
// type switches and assertions in the actor's methods: messages of the *pb
// packages, of messages, of actors/tree, and of the actor's own package. Words
// that name no such type are prose.
func Cards(files []File) ([]Card, []string) {
	var cards []Card
	var found []string
	actors := actorTypes(files)
	types := declared(files)
	for _, f := range files {
		for _, d := range f.AST.Decls {
			gd, ok := d.(*ast.GenDecl)
			if !ok || gd.Tok != token.TYPE {
				continue
			}
			for _, s := range gd.Specs {
				ts := s.(*ast.TypeSpec)
				if !actors[f.Folder()+"."+ts.Name.Name] {
					continue
				}
				text := ts.Doc.Text()
				if text == "" {
					text = gd.Doc.Text()
				}
				c, bad := readCard(f, ts, text)
				if len(bad) == 0 {
					bad = c.compare(handled(files, f.Folder(), ts.Name.Name, types), types)
				}
				cards = append(cards, c)
				found = append(found, bad...)
			}
		}
	}
	return cards, found
}

// actorTypes lists the types with a method Receive(actor.Context), as
// "folder.type". actors/tree is left out: what it has there wraps actors.
func actorTypes(files []File) map[string]bool {
	out := map[string]bool{}
	for _, f := range files {
		if within(f.Folder(), treeFolder) {
			continue
		}
		for _, d := range f.AST.Decls {
			fd, ok := d.(*ast.FuncDecl)
			if !ok || fd.Name.Name != "Receive" || receiver(fd) == "" || fd.Type.Params.NumFields() != 1 {
				continue
			}
			if pkg, name, ok := f.qualified(fd.Type.Params.List[0].Type); ok && pkg == actorPackage && name == "Context" {
				out[f.Folder()+"."+receiver(fd)] = true
			}
		}
	}
	return out
}

// declared lists the types of all packages, as "folder.type", but those with a
// method Error: a switch over errors is none over messages.
func declared(files []File) map[string]bool {
	out := map[string]bool{}
	for _, f := range files {
		ast.Inspect(f.AST, func(n ast.Node) bool {
			if t, ok := n.(*ast.TypeSpec); ok {
				out[f.Folder()+"."+t.Name.Name] = true
			}
			return true
		})
	}
	for _, f := range files {
		for _, d := range f.AST.Decls {
			if fd, ok := d.(*ast.FuncDecl); ok && fd.Name.Name == "Error" && receiver(fd) != "" {
				delete(out, f.Folder()+"."+receiver(fd))
			}
		}
	}
	return out
}

var cardLine = regexp.MustCompile(`^\t(\w+)\s+(\S.*)$`)

// readCard reads a doc comment's card.
func readCard(f File, ts *ast.TypeSpec, text string) (Card, []string) {
	c := Card{Folder: f.Folder(), Type: ts.Name.Name, file: f, decl: ts, lines: map[string]string{}}
	c.Says = strings.Join(strings.Fields(new(doc.Package).Synopsis(text)), " ")
	last := ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		m := cardLine.FindStringSubmatch(line)
		switch {
		case m != nil && slices.Contains(cardKeys, m[1]):
			last = m[1]
			c.lines[last] = strings.TrimSpace(m[2])
		case last != "" && strings.HasPrefix(line, "\t "):
			c.lines[last] += " " + strings.TrimSpace(line)
		default:
			last = ""
		}
	}
	var bad []string
	for _, k := range cardKeys {
		if c.lines[k] == "" {
			bad = append(bad, c.finding("has no line %q in its doc comment", k))
		}
	}
	if !strings.HasPrefix(text, ts.Name.Name+" ") {
		bad = append(bad, c.finding("has a doc comment that does not start with its name"))
	}
	for p := range strings.SplitSeq(c.lines["parent"], ",") {
		if p, _, _ = strings.Cut(strings.TrimSpace(p), " "); p != "" {
			c.Parents = append(c.Parents, p)
		}
	}
	c.receives = c.lines["receives"]
	return c, bad
}

func (c Card) finding(format string, args ...any) string {
	return c.file.at(c.decl) + ": " + c.Type + " " + fmt.Sprintf(format, args...)
}

// handled is what the type switches in a type's methods name, over all files of
// its package, as a card would write it.
func handled(files []File, folder, typ string, types map[string]bool) map[string]bool {
	out := map[string]bool{}
	for _, f := range files {
		if f.Folder() != folder {
			continue
		}
		add := func(e ast.Expr) {
			if name := messageName(f, e, types); name != "" {
				out[name] = true
			}
		}
		for _, d := range f.AST.Decls {
			fd, ok := d.(*ast.FuncDecl)
			if !ok || receiver(fd) != typ {
				continue
			}
			ast.Inspect(fd, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.TypeSwitchStmt:
					for _, c := range n.Body.List {
						for _, e := range c.(*ast.CaseClause).List {
							add(e)
						}
					}
				case *ast.TypeAssertExpr:
					_, local := unstar(n.Type).(*ast.Ident)
					if n.Type != nil && (!local || isMessageCall(n.X)) { // a local type may be anything
						add(n.Type)
					}
				}
				return true
			})
		}
	}
	return out
}

// isMessageCall reports whether e is ctx.Message().
func isMessageCall(e ast.Expr) bool {
	call, ok := e.(*ast.CallExpr)
	if !ok {
		return false
	}
	sel, ok := call.Fun.(*ast.SelectorExpr)
	return ok && sel.Sel.Name == "Message"
}

// messageName is how a card names the type of a case; "": it is no message.
func messageName(f File, e ast.Expr, types map[string]bool) string {
	e = unstar(e)
	if id, ok := e.(*ast.Ident); ok {
		if types[f.Folder()+"."+id.Name] {
			return id.Name
		}
		return ""
	}
	pkg, name, ok := f.qualified(e)
	switch {
	case !ok:
	case within(pkg, Module+"/messages") && !strings.Contains(name, "_"): // a oneof's wrapper is part of a message
		return path.Base(pkg) + "." + name
	case pkg == Module+"/"+treeFolder:
		return "tree." + name
	}
	return ""
}

var (
	bracketed = regexp.MustCompile(`\([^)]*\)`)
	dotted    = regexp.MustCompile(`\b(\w+pb|messages|tree)\.(\w+)`)
	oneWord   = regexp.MustCompile(`^\w+$`)
)

// compare reports where the card's receives line and the code differ.
func (c Card) compare(cases, types map[string]bool) []string {
	said := map[string]bool{}
	var bad []string
	text := bracketed.ReplaceAllString(c.receives, "")
	for _, m := range dotted.FindAllString(text, -1) {
		said[m] = true
	}
	for item := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == ';' }) {
		item = strings.TrimSpace(item)
		if !oneWord.MatchString(item) {
			continue
		}
		if !types[c.Folder+"."+item] {
			bad = append(bad, c.finding("receives %q, says its card, but there is no such type in %s", item, c.Folder))
			continue
		}
		said[item] = true
	}
	for _, m := range slices.Sorted(maps.Keys(cases)) {
		if !said[m] {
			bad = append(bad, c.finding("handles %s, but its card does not say so", m))
		}
	}
	for _, m := range slices.Sorted(maps.Keys(said)) {
		if !cases[m] {
			bad = append(bad, c.finding("receives %s, says its card, but no case handles it", m))
		}
	}
	return bad
}
