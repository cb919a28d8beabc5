package config

import (
	"fmt"
	"strings"
)

// Markdown gives OPTIONS.md: a table a section, then each option in full.
func Markdown() string { return parley.markdown() }

func (t *table) markdown() string {
	var b strings.Builder
	b.WriteString(optionsIntroduction)
	for _, section := range t.sections() {
		fmt.Fprintf(&b, "\n## %s\n\n| option | default | allowed | environment | marks | meaning |\n|---|---|---|---|---|---|\n", section)
		for _, o := range t.in(section) {
			fmt.Fprintf(&b, "| [`%s`](#%s) | %s | %s | `%s` | %s | %s |\n",
				o.Name, o.Name, cell(o.defaultText()), cell(o.AllowedText()), o.Env(), strings.Join(o.marks(), ", "), cell(o.Help))
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

// optionsIntroduction stands before the tables.
const optionsIntroduction = "# Options\n\nMade from the table in `table*.go`; write it anew with `go test ./cmd/parley/config -update`.\n\n" +
	"A value comes from the last of these that names it: default, configuration file (TOML, the names below as keys at the top level),\n" +
	"environment, flag (`--name`). `parley config init` writes a file to start from, `check` checks it, `show --origin` tells where\n" +
	"each value comes from, `explain NAME` shows what stands below.\n\n" +
	"## Marks\n\n" +
	"| mark | meaning |\n|---|---|\n" +
	"| secret | never shown, logged or stored by a Daemon; no flag, because other users can read a command line; the file must be its owner's only |\n" +
	"| owner only | in the Setup space only root and the user that the Daemon runs as may change it |\n" +
	"| live | a user interface can change it while the Node runs (`set-configuration`) |\n" +
	"| unsafe | weakens protection; reported at every start |\n" +
	"| not in the file | flag or environment only |\n" +
	"| no parameter | not in the Setup space |\n\n" +
	"## In the Setup space of a Daemon\n\n" +
	"A Node that a Daemon starts gets its values from the Daemon's Setup space and from nowhere else: it does not look at file,\n" +
	"environment or flags. There every parameter has a status, the first of these that fits:\n\n" +
	"| status | meaning |\n|---|---|\n" +
	"| Set | a user interface has set it; clear it to get back what stands below |\n" +
	"| Configured | a flag or the environment (`PARLEY_<NAME>`) of the Daemon, or the file that `config-file` names, says so |\n" +
	"| Default | nobody said anything: the default below |\n" +
	"| Blank | there is no value, and none is needed |\n" +
	"| Required | there is no value, and another parameter needs one: a Node does not start |\n\n" +
	"What is Set is kept across the ends of Node and Daemon, but for secrets. While a Node runs nothing can be set. A relative\n" +
	"`config-file` is looked for in `data-directory`, and so are files that other parameters name; what the file itself names is\n" +
	"beside it. `parley daemon` has flags for `ui-port`, `data-directory`, `config-file`, `log-level`, `log-format` and `log-file`; for what\n" +
	"it needs besides, it looks at environment and file.\n"

// marks gives what is special about an option, in the words of OPTIONS.md.
func (o *Option) marks() []string {
	var marks []string
	for _, m := range []struct {
		is   bool
		word string
	}{
		{o.Secret, "secret"},
		{o.Owner, "owner only"},
		{o.Runtime, "live"},
		{o.Unsafe, "unsafe"},
		{o.outsideFile, "not in the file"},
		{o.outsideSetup, "no parameter"},
	} {
		if m.is {
			marks = append(marks, m.word)
		}
	}
	return marks
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
	if o.Owner {
		facts = append(facts, fact{"owner only", "in the Setup space, for root and the Daemon's own user"})
	}
	if o.outsideSetup {
		facts = append(facts, fact{"no parameter", "not in the Setup space"})
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
