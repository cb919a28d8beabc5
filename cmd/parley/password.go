package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/spf13/pflag"
	"golang.org/x/term"
)

// maxPassword is the longest password that is read from a file, in bytes: far
// above any real one, small enough that a wrong file is noticed.
const maxPassword = 4 << 10

// passwordFlags are the three ways to give a channel's password.
type passwordFlags struct {
	flags *pflag.FlagSet
	text  string
	file  string
	ask   bool
}

func (p *passwordFlags) bind(fs *pflag.FlagSet) {
	p.flags = fs
	fs.StringVar(&p.text, "password", "", "password of the channels; other users of this machine can see it, unlike the next two")
	fs.StringVar(&p.file, "password-file", "", "file with the password, readable by you alone")
	fs.BoolVar(&p.ask, "ask-password", false, "ask for the password on the terminal")
}

// password is the one that was given; "": none.
func (p *passwordFlags) password(ctx context.Context) (string, error) {
	given := 0
	for _, name := range []string{"password", "password-file", "ask-password"} {
		if p.flags.Changed(name) {
			given++
		}
	}
	switch {
	case given > 1:
		return "", &usageError{errors.New("more than one password is given; give one of --password, --password-file, --ask-password")}
	case p.flags.Changed("password"):
		return checkPassword(p.text, "--password")
	case p.flags.Changed("password-file"):
		text, err := readPassword(p.file)
		if err != nil {
			return "", &usageError{err}
		}
		return checkPassword(text, "--password-file")
	case p.ask:
		text, err := askPassword(ctx)
		if err != nil {
			return "", err
		}
		return checkPassword(text, "--ask-password")
	}
	return "", nil
}

// checkPassword refuses what is surely a mistake.
func checkPassword(text, option string) (string, error) {
	switch {
	case text == "":
		return "", &usageError{fmt.Errorf("%s: the password is blank; leave the option out for a channel without one", option)}
	case !utf8.ValidString(text):
		return "", &usageError{fmt.Errorf("%s: the password is not UTF-8; convert it, for instance with iconv", option)}
	}
	return text, nil
}

// readPassword takes the one line of a file that others cannot read.
func readPassword(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", fmt.Errorf("--password-file: %w; name a file that you can read", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("--password-file: %w", err)
	}
	if mode := info.Mode(); mode.IsRegular() && mode.Perm()&0o077 != 0 {
		return "", fmt.Errorf("--password-file: %q is open to other users (mode %04o); run: chmod 600 '%s'", name, mode.Perm(), strings.ReplaceAll(name, "'", `'\''`))
	}
	b, err := io.ReadAll(io.LimitReader(f, maxPassword+1))
	if err != nil {
		return "", fmt.Errorf("--password-file: %w; name a file", err)
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	if len(b) > maxPassword || strings.ContainsAny(text, "\r\n") {
		return "", fmt.Errorf("--password-file: %q is more than one line; name a file with the password alone", name)
	}
	return text, nil
}

// askPassword reads a password from the terminal, which shows nothing of it.
// Standard input stays free for messages.
func askPassword(ctx context.Context) (string, error) {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return "", &usageError{errors.New("--ask-password: there is no terminal to ask on; use --password-file FILE")}
	}
	defer tty.Close()
	fd := int(tty.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("--ask-password: %w; use --password-file FILE", err)
	}
	fmt.Fprint(tty, "Password: ")
	type result struct {
		text []byte
		err  error
	}
	read := make(chan result, 1)
	go func() {
		b, err := term.ReadPassword(fd)
		read <- result{b, err}
	}()
	select {
	case r := <-read:
		fmt.Fprintln(tty)
		if r.err != nil {
			return "", fmt.Errorf("--ask-password: %w; use --password-file FILE", r.err)
		}
		return string(r.text), nil
	case <-ctx.Done(): // or the terminal would stay mute
		_ = term.Restore(fd, before)
		fmt.Fprintln(tty)
		return "", errInterrupted
	}
}

// errInterrupted says that Ctrl-C came before the work was done.
var errInterrupted = errors.New("interrupted")

// dial asks for the password, if it must, and connects to a relay.
func (p *passwordFlags) dial(ctx context.Context, at string) (c session, password string, err error) {
	if password, err = p.password(ctx); err != nil {
		return nil, "", err
	}
	c, err = dial(ctx, at)
	if ctx.Err() != nil {
		return nil, "", errInterrupted
	}
	return c, password, err
}
