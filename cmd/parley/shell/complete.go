package shell

import (
	"slices"
	"strings"

	"github.com/reeflective/readline"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"parley/cmd/parley/verbs"
)

// complete offers what can stand at the cursor.
func (sh *shell) complete(line []rune, cursor int) readline.Completions {
	before := string(line[:min(cursor, len(line))])
	words, err := split(before)
	if err != nil {
		return readline.Completions{}
	}
	word := ""
	if before != "" && !strings.HasSuffix(before, " ") && len(words) > 0 {
		word = words[len(words)-1]
		words = words[:len(words)-1]
	}
	var plain, described []string
	for _, c := range sh.candidates(words, word) {
		text, about, _ := strings.Cut(c, "\t")
		if strings.HasPrefix(text, word) {
			plain = append(plain, text)
			described = append(described, text, about)
		}
	}
	width, height := screenSize()
	if len(plain) <= height/2 { // one a line
		return readline.CompleteValuesDescribed(described...)
	}
	fits := fitting(plain, width, height)
	shown := readline.CompleteValues(plain[:fits]...)
	if fits < len(plain) {
		shown = shown.Merge(readline.CompleteMessage("%d more: type on", len(plain)-fits))
	}
	return shown
}

const (
	// gutter stands between two columns of candidates.
	gutter = 2
	// reserved rows hold the line that is typed, and what is said about the list.
	reserved = 4
)

// fitting is how many words can be listed on a screen: the line editor would
// write over a longer list.
func fitting(words []string, width, height int) int {
	widest := 1
	for _, w := range words {
		widest = max(widest, len(w))
	}
	columns := max(width/(widest+gutter+1), 1)
	return min(len(words), columns*max(height-reserved, 1))
}

// candidates are what can follow words, each with a tab and what it is about.
func (sh *shell) candidates(words []string, word string) []cobra.Completion {
	if len(words) == 0 || words[0] == "help" {
		all := []cobra.Completion{"help\tList the verbs, or explain one", "exit\tEnd"}
		if len(words) > 0 {
			all = nil
		}
		for _, cmd := range verbs.Inside(sh.desk) {
			all = append(all, cobra.CompletionWithDesc(cmd.Name(), cmd.Short))
		}
		slices.Sort(all)
		return all
	}
	cmd := sh.verb(words[0])
	if cmd == nil {
		return nil
	}
	args := words[1:]
	if len(args) > 0 && !cmd.DisableFlagParsing {
		flag := cmd.Flags().Lookup(strings.TrimPrefix(args[len(args)-1], "--"))
		if flag != nil && flag.NoOptDefVal == "" {
			if values, ok := cmd.GetFlagCompletionFunc(flag.Name); ok {
				all, _ := values(cmd, args, word)
				return all
			}
			return nil
		}
	}
	all, _ := cmd.ValidArgsFunction(cmd, args, word)
	if !cmd.DisableFlagParsing || strings.HasPrefix(word, "-") || len(args) == 0 {
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			all = append(all, cobra.CompletionWithDesc("--"+f.Name, f.Usage))
		})
	}
	return all
}
