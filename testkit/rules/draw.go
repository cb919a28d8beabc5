package rules

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode/utf8"
)

// root is the parent of what is spawned outside any actor.
const root = "root"

// saysColumn is where the sentences of a drawn tree start, in characters.
const saysColumn = 40

// label is how an actor is drawn: "relay.channel", with its layer when that is
// not actors.
func (c Card) label() string {
	if strings.HasPrefix(c.Folder, "actors/") {
		return path.Base(c.Folder) + "." + c.Type
	}
	return c.Folder + "." + c.Type
}

// Draw draws the supervision tree from the cards. A parent is named by its type,
// and where that could be several, by package and type; the same package goes
// first, and of two packages of one name the one in actors.
func Draw(cards []Card) (drawing string, found []string) {
	byName := map[string]Card{}
	for _, c := range cards {
		byName[c.Folder+"."+c.Type] = c
	}
	kids := map[string][]Card{}
	for _, c := range cards {
		for _, p := range c.Parents {
			if p == root {
				kids[root] = append(kids[root], c)
				continue
			}
			full, ok := lookUp(byName, c.Folder, p)
			if !ok {
				found = append(found, c.finding("has the parent %q, which is no actor", p))
				continue
			}
			kids[full] = append(kids[full], c)
		}
	}
	var b strings.Builder
	drawn := map[string]bool{}
	var draw func(name, indent string, above []string)
	draw = func(name, indent string, above []string) {
		below := kids[name]
		slices.SortFunc(below, func(a, b Card) int { return strings.Compare(a.label(), b.label()) })
		for i, c := range below {
			branch, next := "├─ ", "│  "
			if i == len(below)-1 {
				branch, next = "└─ ", "   "
			}
			line := indent + branch + c.label()
			pad := strings.Repeat(" ", max(1, saysColumn-utf8.RuneCountInString(line)))
			fmt.Fprintf(&b, "%s%s%s\n", line, pad, c.Says)
			full := c.Folder + "." + c.Type
			drawn[full] = true
			if !slices.Contains(above, full) {
				draw(full, indent+next, append(above, full))
			}
		}
	}
	b.WriteString(root + "\n")
	draw(root, "", nil)
	for _, c := range cards {
		if len(c.Parents) > 0 && !drawn[c.Folder+"."+c.Type] {
			found = append(found, c.finding("does not hang on the root"))
		}
	}
	return b.String(), found
}

// lookUp finds the actor that a card in folder calls name.
func lookUp(byName map[string]Card, folder, name string) (full string, ok bool) {
	for _, full := range []string{folder + "." + name, name, "actors/" + name, "gateways/" + name} {
		if _, ok := byName[full]; ok {
			return full, true
		}
	}
	for key, c := range byName {
		if c.Type != name {
			continue
		}
		if ok {
			return "", false // another one has that name
		}
		full, ok = key, true
	}
	return full, ok
}
