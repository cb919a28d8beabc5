package rules

import (
	"fmt"
	"go/ast"
	"regexp"
)

// vague matches names of types that say nothing: whole words at the end.
var vague = regexp.MustCompile(`(^|[a-z0-9])(Manager|Handler|Service|Helper|Utils?|Actor)$|^(manager|handler|service|helper|utils?|actor)$`)

// Names checks what types are called.
func Names(files []File) []string {
	var found []string
	for _, f := range files {
		if f.generated() {
			continue
		}
		ast.Inspect(f.AST, func(n ast.Node) bool {
			if t, ok := n.(*ast.TypeSpec); ok && vague.MatchString(t.Name.Name) {
				found = append(found, fmt.Sprintf("%s: type %s: name it for what it does, plural supervises, singular works", f.at(t), t.Name.Name))
			}
			return true
		})
	}
	return found
}
