package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"parley/actors/tree"
	"parley/messages/processpb"
)

// Act does what no client can. It is a testkit.Stage's Act:
//
//	doom node hang           the next Node never gets ready
//	doom node LAST WORDS     the next Node says that and exits with 1
//	kill node [LAST WORDS]   the Node is killed, as by kill -9
//	exit node CODE [WORDS]   the Node ends by itself
//	stop daemon              the Daemon ends in order, and its Node with it
//	kill daemon              the Daemon is killed, and its Node goes on
//	start daemon             it runs again, in the same directory
//	reload daemon            as SIGHUP does
//	file NAME LINE           data-directory has a file of that line; \n stands for the end of one
//	break daemon, break node the disk under the database is gone
//	log node LEVEL N TEXT    the Node logs TEXT N times; {{}} in it is 1 to N
//	talks daemon N           that many conversations are remembered there; or: talks node N
func (d *Daemon) Act(words []string) error {
	if len(words) < 2 {
		return fmt.Errorf("cannot act %q", words)
	}
	rest := strings.Join(words[2:], " ")
	switch what := words[0] + " " + words[1]; {
	case what == "doom node":
		d.nodes.mu.Lock()
		defer d.nodes.mu.Unlock()
		d.nodes.next = rest
	case what == "kill node" || what == "exit node":
		return d.endNode(words[0], rest)
	case what == "stop daemon" || what == "kill daemon":
		return d.endDaemon(words[0] == "kill")
	case what == "start daemon":
		d.Start()
	case what == "reload daemon":
		d.Reload()
	case words[0] == "file":
		return os.WriteFile(filepath.Join(d.dir, "data", words[1]), []byte(strings.ReplaceAll(rest, `\n`, "\n")+"\n"), 0o600)
	case what == "break daemon":
		return d.db.Close()
	case what == "break node":
		if r := d.nodes.now(); r != nil {
			return r.db.Close()
		}
	case what == "log node":
		return d.logNode(words[2:])
	case words[0] == "talks":
		return d.talks(words[1], rest)
	default:
		return fmt.Errorf("cannot act %q", words)
	}
	return nil
}

func (d *Daemon) endNode(how, rest string) error {
	r := d.nodes.now()
	if r == nil {
		return errors.New("no Node runs")
	}
	e := end{killed: true, says: &processpb.Ended{Signal: "killed"}}
	if how == "exit" {
		code, words, _ := strings.Cut(rest, " ")
		n, err := strconv.ParseInt(code, 10, 32)
		if err != nil {
			return err
		}
		e.says, rest = ended(int32(n)), words
	}
	if rest != "" {
		e.says.LastLines = []string{rest}
	}
	r.end(e)
	return nil
}

func (d *Daemon) endDaemon(killed bool) (err error) {
	d.do(func() {
		if killed {
			err = d.kill()
		} else {
			err = d.stop()
		}
	})
	return err
}

func (d *Daemon) logNode(words []string) error {
	r := d.nodes.now()
	if r == nil || len(words) < 3 {
		return fmt.Errorf("no Node logs %q", words)
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(words[0])); err != nil {
		return err
	}
	n, err := strconv.Atoi(words[1])
	if err != nil {
		return err
	}
	text := strings.Join(words[2:], " ")
	for i := range n {
		tree.Log(r.sys).Log(context.Background(), level, strings.ReplaceAll(text, "{{}}", strconv.Itoa(i+1)))
	}
	return nil
}

// talkID is the name of a conversation: below a client, which is below clients.
var talkID = regexp.MustCompile(`^\w+/uis/[^/]+/[^/]+$`)

// talks counts conversations.
func (d *Daemon) talks(where, want string) error {
	sys := d.Sys
	if r := d.nodes.now(); where == "node" && r != nil {
		sys = r.sys
	}
	n := 0
	for _, shard := range sys.ProcessRegistry.LocalPIDs.LocalPIDs {
		for _, id := range shard.Keys() {
			if talkID.MatchString(id) {
				n++
			}
		}
	}
	if strconv.Itoa(n) != want {
		return fmt.Errorf("%d conversations are remembered, want %s", n, want)
	}
	return nil
}
