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
	var described []string
	for _, c := range sh.candidates(words, word) {
		text, about, _ := strings.Cut(c, "\t")
		if strings.HasPrefix(text, word) {
			described = append(described, text, about)
		}
	}
	return readline.CompleteValuesDescribed(described...)
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
