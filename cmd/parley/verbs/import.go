package verbs

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/go-json-experiment/json"

	"parley/cmd/parley/show"
	"parley/cmd/parley/talk"
)

// importMost is the longest file that is read, in bytes: far above any real one.
const importMost = 1 << 20

// publicBook is the file of the public Enclave program.
type publicBook struct {
	Friends map[string]string `json:"friends"` // names by address
	Enemies []string          `json:"enemies"` // addresses
	Alias   string            `json:"alias"`
	Message string            `json:"statusmsg"`
}

// importBook takes the address book of the public program over, entry by entry.
func (c *call) importBook() error {
	name := ""
	switch home, err := os.UserHomeDir(); {
	case len(c.args) > 2:
		return usage("import: one file at a time")
	case len(c.args) == 2:
		name = c.args[1]
	case err != nil:
		return usage("import: name the file: this user has no home directory")
	default:
		name = filepath.Join(home, ".enclave", "config.json")
	}
	book, err := readBook(name)
	if err != nil {
		return err
	}
	release, err := c.open(nil)
	if err != nil {
		return err
	}
	defer release()
	done, refused := 0, [][]string{}
	for _, entry := range book.entries() {
		_, err := c.s.Ask(c.ctx, entry.q)
		var no *talk.Refused
		switch {
		case err == nil:
			done++
		case errors.As(err, &no) && no.Code != talk.CodeNoNode:
			refused = append(refused, []string{entry.what, no.Error()})
		default:
			return fmt.Errorf("%s: %w; %d entries were taken over", show.Line(entry.what), err, done)
		}
	}
	return c.tellImport(done, refused)
}

func (c *call) tellImport(done int, refused [][]string) error {
	if c.json {
		err := c.object(struct {
			Done    int        `json:"done"`
			Refused [][]string `json:"refused"` // pairs of an entry and the reason
		}{done, refused})
		if err != nil || len(refused) == 0 {
			return err
		}
		return quiet(exitFailed)
	}
	if err := c.print("taken over: %d\n", done); err != nil || len(refused) == 0 {
		return err
	}
	if err := c.table(append([][]string{{"NOT TAKEN OVER", "WHY"}}, refused...)...); err != nil {
		return err
	}
	return quiet(exitFailed)
}

// imported is one thing to take over.
type imported struct {
	what string
	q    talk.Question
}

// entries are what a file says, contacts first.
func (b *publicBook) entries() (all []imported) {
	for _, address := range slices.Sorted(maps.Keys(b.Friends)) {
		all = append(all, imported{address, talk.Question{Opcode: "addContact", Payload: addContact{Address: address, Name: b.Friends[address]}}})
	}
	for _, address := range b.Enemies {
		all = append(all, imported{address, talk.Question{Opcode: "ignoreContact", Payload: addContact{Address: address}}})
	}
	if b.Alias != "" {
		all = append(all, imported{"alias", talk.Question{Opcode: "setConfiguration", Payload: struct {
			Name  string `json:"name"`
			Value string `json:"value"`
		}{"enclave-alias", b.Alias}}})
	}
	if b.Message != "" {
		all = append(all, imported{"statusmsg", talk.Question{Opcode: "setStatus", Payload: setStatus{statusOf("available"), &b.Message}}})
	}
	return all
}

func readBook(name string) (*publicBook, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, usage("import: %w; name the config.json of the public Enclave program", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, importMost+1))
	if err != nil {
		return nil, fmt.Errorf("import: %w", err)
	}
	if len(b) > importMost {
		return nil, usage("import: %q is longer than %d bytes", show.Line(name), importMost)
	}
	book := &publicBook{}
	if err := json.Unmarshal(b, book); err != nil {
		return nil, usage("import: %q is no config.json of the public Enclave program: %s", show.Line(name), show.Line(err.Error()))
	}
	return book, nil
}
