package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	parser "github.com/knadh/koanf/parsers/toml/v2"
	"github.com/pelletier/go-toml/v2"
)

// maxFile bounds a configuration file, bytes: far above any real one, small
// enough that a wrong name (a disk, a log) is refused at once.
const maxFile = 128 << 10

// maxKeys bounds the keys of a file, nested ones included: the strict decoder
// takes time with the product of keys and size (6,000 keys in 46 KiB: 1.1 s).
const maxKeys = 500

// entry is one value of a layer as it was found.
type entry struct {
	option *Option
	raw    any
	origin Origin
}

// readFile reads a configuration file. mode is its permission bits.
func readFile(name string) (content []byte, mode fs.FileMode, p *Problem) {
	problem := func(cause, next string) ([]byte, fs.FileMode, *Problem) {
		return nil, 0, &Problem{Option: optConfigFile, Value: name, Cause: cause, Next: next}
	}
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return problem("does not exist", "write one with: parley config init --output "+shellWord(name))
	}
	if err != nil {
		return problem("cannot be read: "+reason(err), "let the node's user read it, or name another file")
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return problem("cannot be read: "+reason(err), "name another file")
	}
	if info.IsDir() {
		return problem("is a directory", "name a file in it")
	}
	content, err = io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return problem("cannot be read: "+reason(err), "name another file")
	}
	if len(content) > maxFile {
		return problem("is larger than "+formatSize(maxFile), "name a configuration file")
	}
	return content, info.Mode().Perm(), nil
}

// decodeFile decodes a TOML file against the table. Every entry's key is known;
// its value is not checked yet. Problems carry line and column, both from 1.
func (t *table) decodeFile(name string, content []byte) (entries []entry, problems []Problem) {
	values, err := parser.Parser().Unmarshal(content)
	if err != nil {
		return nil, []Problem{syntaxProblem(name, err)}
	}
	if countKeys(values) > maxKeys {
		return nil, []Problem{{
			Option: optConfigFile, Origin: Origin{Source: SourceFile, Name: name, Line: 1, Column: 1},
			Cause: fmt.Sprintf("has more than %d keys", maxKeys), Next: "name a configuration file of Parley",
		}}
	}
	// With no field to decode into, the strict decoder reports every key
	// as missing, with its place: that is how values get their lines.
	decoder := toml.NewDecoder(bytes.NewReader(content)).DisallowUnknownFields()
	var keys *toml.StrictMissingError
	if err := decoder.Decode(&struct{}{}); err == nil {
		return nil, nil
	} else if !errors.As(err, &keys) {
		return nil, []Problem{syntaxProblem(name, err)}
	}
	seen := map[string]bool{}
	for i := range keys.Errors {
		key := keys.Errors[i].Key()
		line, column := keys.Errors[i].Position()
		origin := Origin{Source: SourceFile, Name: name, Line: line, Column: column}
		option := t.byName[key[0]]
		_, isTable := values[key[0]].(map[string]any)
		switch {
		case option == nil || len(key) > 1:
			problems = append(problems, t.unknownKey(origin, key, isTable))
		case option.outsideFile:
			problems = append(problems, Problem{
				Option: option.Name, Origin: origin, Cause: "cannot be set in the file",
				Next: "use " + option.Flag() + " or " + option.Env(),
			})
		case !seen[option.Name]:
			seen[option.Name] = true
			entries = append(entries, entry{option, values[option.Name], origin})
		}
	}
	return entries, problems
}

// countKeys counts the keys in a decoded value, at every depth.
func countKeys(value any) int {
	n := 0
	switch v := value.(type) {
	case map[string]any:
		for _, inner := range v {
			n += 1 + countKeys(inner)
		}
	case []any:
		for _, inner := range v {
			if _, isTable := inner.(map[string]any); isTable {
				n++ // a line [[name]] is a key to the strict decoder
			}
			n += countKeys(inner)
		}
	}
	return n
}

func (t *table) unknownKey(origin Origin, key []string, isTable bool) Problem {
	name := strings.Join(key, ".")
	p := Problem{Origin: origin, unknown: true, Cause: "unknown key " + quote(name), Next: t.didYouMean(strings.Join(key, "-"))}
	if isTable && t.nearest(strings.Join(key, "-")) == "" {
		p.Next = "options stand at the top level: write their names without a table"
	}
	return p
}

// syntaxProblem tells where the file stops being TOML.
func syntaxProblem(name string, err error) Problem {
	p := Problem{Origin: Origin{Source: SourceFile, Name: name}, Next: `correct the line; text stands in quotes, as: log-level = "info"`}
	p.Cause = "is not TOML: " + strings.TrimPrefix(err.Error(), "toml: ")
	var place *toml.DecodeError
	if errors.As(err, &place) {
		p.Origin.Line, p.Origin.Column = place.Position()
	}
	return p
}

// beside gives name as the file that names it means it: a relative one is
// taken from that file's directory.
func beside(file, name string) string { return under(filepath.Dir(file), name) }

// reason gives an error of the file system without the name and the call,
// which the message around it has already.
func reason(err error) string {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err.Error()
	}
	return err.Error()
}

// shellWord writes name so that a shell takes it as one word.
func shellWord(name string) string {
	plain := func(r rune) bool {
		return r == '/' || r == '.' || r == '-' || r == '_' || (r >= '0' && r <= '9') || (r >= 'a' && r <= 'z') || (r >= 'A' && r <= 'Z')
	}
	if name != "" && strings.IndexFunc(name, func(r rune) bool { return !plain(r) }) < 0 {
		return name
	}
	return fmt.Sprintf("'%s'", strings.ReplaceAll(name, "'", `'\''`))
}
