package shell

import (
	"errors"
	"strings"
)

// split takes a line apart at white space. Quotes keep words together, a
// backslash takes the next character as it is, but in single quotes; # begins a
// remark.
func split(line string) ([]string, error) {
	var (
		words []string
		word  strings.Builder
		open  bool // a word, maybe a blank one
		quote rune
		plain bool // the next character is taken as it is
	)
	for _, r := range line {
		switch {
		case plain:
			plain = false
			word.WriteRune(r)
		case r == '\\' && quote != '\'':
			plain, open = true, true
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '"' || r == '\'':
			quote, open = r, true
		case strings.ContainsRune(" \t\r\n", r):
			if open {
				words = append(words, word.String())
				word.Reset()
				open = false
			}
		case r == '#' && !open:
			return words, nil
		default:
			word.WriteRune(r)
			open = true
		}
	}
	if quote != 0 || plain {
		return nil, errors.New("a quote is not closed; close it, or write \\ before it")
	}
	if open {
		words = append(words, word.String())
	}
	return words, nil
}
