package shell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/spf13/cobra"

	"parley/cmd/parley/show"
	"parley/cmd/parley/talk"
	"parley/cmd/parley/verbs"
)

// promptText stands before what is typed.
const promptText = "parley> "

// shell runs verbs on one session.
type shell struct {
	// fixed
	session   *talk.Session
	desk      *verbs.Desk
	out, errs io.Writer
	notes     *notes

	mu   sync.Mutex           // guards what follows
	ear  func(talk.Broadcast) // of the verb that runs; nil: it has none
	own  string               // the verb that ran last
	told uint32               // the Node whose end was told; 0: none
}

// lend implements verbs.Desk.Session.
func (sh *shell) lend(_ context.Context, hear func(talk.Broadcast)) (*talk.Session, func(), error) {
	sh.listen(hear)
	return sh.session, func() { sh.listen(nil) }, nil
}

func (sh *shell) listen(ear func(talk.Broadcast)) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.ear = ear
}

// hear takes a broadcast: it is for the verb that wants it, or a note.
func (sh *shell) hear(b talk.Broadcast) {
	sh.mu.Lock()
	ear, news := sh.ear, true
	if b.Opcode == "crashed" {
		news = sh.isNews(b)
	}
	sh.mu.Unlock()
	if ear != nil {
		ear(b)
		return
	}
	if text := verbs.Describe(b); text != "" && news {
		sh.notes.add(text)
	}
}

// isNews tells whether a Node's end is to be told: the Daemon repeats it to each
// connection, and who stopped the Node knows.
func (sh *shell) isNews(b talk.Broadcast) bool {
	c, err := talk.ParseCrashed(b.Payload)
	if err != nil {
		return true
	}
	known := c.PID == sh.told || c.Requested && sh.own == "shutdown" || sh.own == "crash"
	sh.told = c.PID
	return !known
}

// do runs one line. over: it was the last.
func (sh *shell) do(ctx context.Context, line string) (code int, over bool) {
	words, err := split(line)
	if err != nil {
		return sh.fail(&wrong{err}), false
	}
	if len(words) == 0 {
		return 0, false
	}
	sh.mu.Lock()
	sh.own = words[0]
	sh.mu.Unlock()
	switch words[0] {
	case "exit", "quit":
		return 0, true
	case "help", "?":
		return sh.help(words[1:]), false
	}
	cmd := sh.verb(words[0])
	if cmd == nil {
		return sh.fail(&wrong{fmt.Errorf("there is no verb %q; %s", show.Line(words[0]), sh.nearest(words[0]))}), false
	}
	cmd.SetArgs(words[1:])
	cmd.SetOut(sh.out)
	cmd.SetErr(sh.errs)
	if err := cmd.ExecuteContext(ctx); err != nil {
		var ended *talk.Ended
		if errors.As(err, &ended) && ended.Crash != nil {
			sh.mu.Lock()
			sh.told = ended.Crash.PID
			sh.mu.Unlock()
			sh.notes.forget(ended.Crash)
		}
		return sh.fail(err), false
	}
	return 0, false
}

// wrong is a line that makes no sense.
type wrong struct{ error }

func (*wrong) ExitCode() int { return 2 }

// fail tells what went wrong, and gives its exit code.
func (sh *shell) fail(err error) int {
	if text := err.Error(); text != "" { // blank: all was said
		fmt.Fprintf(sh.errs, "%s\n", text)
	}
	var c interface{ ExitCode() int }
	if errors.As(err, &c) {
		return c.ExitCode()
	}
	return 1
}

// verb gives a command that can be run once; nil: there is none.
func (sh *shell) verb(name string) *cobra.Command {
	for _, cmd := range verbs.Inside(sh.desk) {
		if cmd.Name() == name {
			return cmd
		}
	}
	return nil
}

// nearest says which verb was meant.
func (sh *shell) nearest(word string) string {
	all := &cobra.Command{SuggestionsMinimumDistance: 2} // a letter too many and a letter wrong
	all.AddCommand(verbs.Inside(sh.desk)...)
	if near := all.SuggestionsFor(word); len(near) > 0 {
		return "did you mean: " + near[0]
	}
	return "all are listed by: help"
}

// help lists the verbs, or explains one.
func (sh *shell) help(words []string) int {
	if len(words) > 0 {
		if cmd := sh.verb(words[0]); cmd != nil {
			cmd.SetOut(sh.out)
			if err := cmd.Help(); err != nil {
				return sh.fail(err)
			}
			return 0
		}
		return sh.fail(&wrong{fmt.Errorf("there is no verb %q; %s", show.Line(words[0]), sh.nearest(words[0]))})
	}
	var rows [][]string
	for _, cmd := range verbs.Inside(sh.desk) {
		rows = append(rows, []string{cmd.Name(), cmd.Short})
	}
	rows = append(rows, []string{"help [VERB]", "List the verbs, or explain one"}, []string{"exit", "End; Ctrl-D too"})
	if err := show.Table(sh.out, rows...); err != nil {
		return sh.fail(err)
	}
	return 0
}
