package config

import (
	"fmt"
	"strings"
)

// Markdown gives OPTIONS.md: a table a section, then each option in full.
func Markdown() string { return parley.markdown() }

func (t *table) markdown() string {
	var b strings.Builder
	b.WriteString("# Options\n\nMade from the table in `table.go`; write it anew with `go test ./cmd/parley/config -update`.\n\n" +
		"A value comes from the last of these that names it: default, configuration file (TOML, the names below as keys at the top level),\n" +
		"environment, flag (`--name`). `parley config init` writes a file to start from, `check` checks it, `show --origin` tells where\n" +
		"each value comes from, `explain NAME` shows what stands below.\n")
	for _, section := range t.sections() {
		fmt.Fprintf(&b, "\n## %s\n\n| option | default | allowed | environment | meaning |\n|---|---|---|---|---|\n", section)
		for _, o := range t.in(section) {
			fmt.Fprintf(&b, "| [`%s`](#%s) | %s | %s | `%s` | %s |\n", o.Name, o.Name, cell(o.defaultText()), cell(o.AllowedText()), o.Env(), cell(o.Help))
		}
	}
	b.WriteString("\n## In full\n")
	for i := range t.options {
		o := &t.options[i]
		fmt.Fprintf(&b, "\n### %s\n\n%s.\n\n", o.Name, strings.ToUpper(o.Help[:1])+o.Help[1:])
		b.WriteString(wrap(o.Long, "") + "\n\n")
		for _, fact := range o.facts() {
			fmt.Fprintf(&b, "- %s: %s\n", fact.name, cell(fact.text))
		}
	}
	return b.String()
}

// in gives the options of a section in table order.
func (t *table) in(section string) []*Option {
	var found []*Option
	for i := range t.options {
		if t.options[i].Section == section {
			found = append(found, &t.options[i])
		}
	}
	return found
}

// cell escapes what would end a table cell or start a tag.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;").Replace(text)
}

// defaultText gives the default for people: what a blank one becomes, in brackets.
func (o *Option) defaultText() string {
	switch {
	case o.Default != "":
		return o.masked(o.Default)
	case o.Computed != "":
		return "(" + o.Computed + ")"
	default:
		return "(not set)"
	}
}

// fact is one labelled line about an option.
type fact struct{ name, text string }

// facts gives what explain and OPTIONS.md list under the text of an option.
func (o *Option) facts() []fact {
	kind := o.Kind.String()
	if o.Unit != "" && o.Kind != KindDuration {
		kind += ", " + o.Unit
	}
	facts := []fact{{"kind", kind}, {"default", o.defaultText()}, {"allowed", o.AllowedText()}}
	if !o.outsideFile {
		facts = append(facts, fact{"file", o.Name + " = " + o.fileExample(o.sample())})
	}
	facts = append(facts, fact{"environment", o.Env()})
	if flag := o.Flag(); flag != "" {
		facts = append(facts, fact{"flag", flag})
	} else {
		facts = append(facts, fact{"flag", "none: other users can read a command line"})
	}
	facts = append(facts, fact{"takes effect", o.Effect()})
	if o.Secret {
		facts = append(facts, fact{"secret", "never shown"})
	}
	if o.Unsafe {
		facts = append(facts, fact{"unsafe", "weakens protection; reported at every start"})
	}
	return facts
}

// wrapColumn is where texts for people break.
const wrapColumn = 80

// wrap breaks text at spaces and puts indent before each line.
func wrap(text, indent string) string {
	var lines []string
	line := indent
	for word := range strings.FieldsSeq(text) {
		if len(line) > len(indent) && len(line)+1+len(word) > wrapColumn {
			lines = append(lines, line)
			line = indent
		}
		if len(line) > len(indent) {
			line += " "
		}
		line += word
	}
	return strings.Join(append(lines, line), "\n")
}
