package rules

import (
	"fmt"
	"go/ast"
	"regexp"
	"slices"
)

// ownedByTree are the functions of the actor library that only actors/tree
// calls: what they make would run outside its drivers, mailboxes and guards.
var ownedByTree = regexp.MustCompile(`^(PropsFrom|With|NewActorSystem|(Unb|B)ounded|New\w+Strategy$|New\w*Dispatcher$)`)

// unsound are methods of the actor library that nobody calls, and why.
var unsound = map[string]string{
	"SetReceiveTimeout": "it has a data race: tree.After with a generation number",
	"Stash":             "it reverses and loses senders: keep a slice",
	"ReenterAfter":      "it does not survive a restart: a message with the answer",
}

// clocks are the functions of package time that actors never call: a timer is
// tree.After, and nothing sleeps.
var clocks = []string{"AfterFunc", "NewTimer", "NewTicker", "Sleep", "After", "Tick"}

// waits are methods that wait for something. Those marked true do so only when
// called without arguments.
var waits = map[string]bool{
	"RequestFuture": false, "StopFuture": false, "PoisonFuture": false, "Result": true, "Wait": true,
}

// Calls checks that everything spawns through actors/tree, and that actors
// neither wait nor start timers or goroutines of their own.
func Calls(files []File) []string {
	var found []string
	actors := actorTypes(files)
	for _, f := range files {
		if within(f.Folder(), treeFolder) {
			continue
		}
		report := func(n ast.Node, format string, args ...any) {
			found = append(found, f.at(n)+": "+fmt.Sprintf(format, args...))
		}
		for _, d := range f.AST.Decls {
			fd, isFunc := d.(*ast.FuncDecl)
			// All of actors/ is under the rules for actors; elsewhere, the methods of one.
			acting := f.top() == "actors" || isFunc && actors[f.Folder()+"."+receiver(fd)]
			ast.Inspect(d, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.SelectorExpr:
					checkUse(f, n, acting, report)
				case *ast.CallExpr:
					checkWait(n, acting, report)
				case *ast.GoStmt:
					if f.top() == "actors" {
						report(n, "starts a goroutine: use tree.Go")
					}
				}
				return true
			})
		}
	}
	return found
}

func checkUse(f File, n *ast.SelectorExpr, acting bool, report func(ast.Node, string, ...any)) {
	pkg, name, ok := f.qualified(n)
	switch {
	case ok && pkg == actorPackage && ownedByTree.MatchString(name):
		report(n, "actor.%s: only %s may, use tree.Spawn", name, treeFolder)
	case ok && acting && pkg == "time" && slices.Contains(clocks, name):
		report(n, "time.%s in an actor: use tree.After", name)
	case !ok && unsound[n.Sel.Name] != "":
		report(n, "%s: %s", n.Sel.Name, unsound[n.Sel.Name])
	}
}

func checkWait(n *ast.CallExpr, acting bool, report func(ast.Node, string, ...any)) {
	sel, ok := n.Fun.(*ast.SelectorExpr)
	if !ok || !acting {
		return
	}
	bare, listed := waits[sel.Sel.Name]
	if listed && (!bare || len(n.Args) == 0) {
		report(n, "%s waits: an actor sends a question, the answer is one more message", sel.Sel.Name)
	}
}
