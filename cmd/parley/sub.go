package main

import (
	"bytes"
	"context"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"parley/cmd/parley/show"
)

// relaySchemes are those of a relay's /connect.
var relaySchemes = [2]string{"ws", "wss"}

// connectPath is where a relay's clients connect.
const connectPath = "/connect"

const urlHelp = "address of the relay; ws, wss, http or https, without a path /connect"

// subscription is what `sub` was asked for.
type subscription struct {
	channels []string // without repetition
	url      string
	secret   passwordFlags
	drop     string
	count    int // messages to print; 0: all
	json     bool
}

func subCommand() *cobra.Command {
	s := &subscription{}
	cmd := &cobra.Command{
		Use:   "sub CHANNEL…",
		Short: "Subscribe to channels and print their messages",
		Long: `Subscribe to channels of a relay and print what others send there, one message a line.

A message is printed as text. Line breaks, control characters and changes of writing direction in it are shown as
escapes (\n, \x1b, \u202e), so that one message is one line and cannot act on the terminal. A message that is no
text is printed as JSON. With several channels, the channel and a tab come first.
With --json, each line is {"channel":…,"message":…,"nonce":…}: the message and the sender's nonce (absent if it gave
none) exactly as they came. That is for programs: it may hold characters that act on a terminal.

Once it is subscribed it says so on stderr. It ends with 0 on Ctrl-C or after --count messages; with 1, and the
reason, when the relay refuses or ends the connection; with 3 when nobody answers.`,
		Example: `  parley sub kitchen
  parley sub kitchen garden --json
  parley sub vault --ask-password --count 1
  parley sub ticker --drop oldest --url wss://relay.example`,
		RunE: func(cmd *cobra.Command, args []string) error {
			s.channels = args
			if err := s.run(cmd); err != nil && !errors.Is(err, errInterrupted) {
				return fmt.Errorf("sub: %w", err)
			}
			return nil
		},
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("name a channel, as in: parley sub lobby")
			}
			return nil
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	fs := cmd.Flags()
	fs.StringVar(&s.url, "url", "ws://"+defaultAddress()+connectPath, urlHelp)
	s.secret.bind(fs)
	fs.StringVar(&s.drop, "drop", "", "what may be lost when messages come faster than they are read: oldest; without it the relay ends the connection")
	fs.IntVar(&s.count, "count", 0, "end after so many messages; 0: never")
	fs.BoolVar(&s.json, "json", false, "print one JSON object a line")
	complete(cmd, "drop", "oldest")
	complete(cmd, "url", "ws://"+defaultAddress()+connectPath)
	return cmd
}

// complete lets the shell complete a flag's value.
func complete(cmd *cobra.Command, flag string, words ...string) {
	if err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // only for a flag that is not there
	}
}

// check finds wrong usage before anything is dialled.
func (s *subscription) check() (at string, err error) {
	if s.count < 0 {
		return "", &usageError{fmt.Errorf("--count: %d is less than none; give 0 for all messages", s.count)}
	}
	if s.drop != "" && s.drop != "oldest" {
		return "", &usageError{fmt.Errorf("--drop: %q cannot be; oldest is the only choice", s.drop)}
	}
	seen := map[string]bool{}
	s.channels = slices.DeleteFunc(slices.Clone(s.channels), func(name string) bool {
		again := seen[name]
		seen[name] = true
		return again
	})
	return address(s.url, connectPath, relaySchemes)
}

func (s *subscription) run(cmd *cobra.Command) error {
	at, err := s.check()
	if err != nil {
		return err
	}
	ctx, stop := interruptible(cmd.Context())
	defer stop()
	c, password, err := s.secret.dial(ctx, at)
	if err != nil {
		return err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	r := &reception{subscription: s, session: c, password: password, at: at, out: cmd.OutOrStdout(), notes: cmd.ErrOrStderr()}
	err = r.run()
	if ctx.Err() != nil {
		return errInterrupted
	}
	return err
}

// reception is a subscription at work.
type reception struct {
	*subscription // fixed, as all of this block
	session       session
	password      string
	at            string
	out, notes    io.Writer

	open    int   // channels whose subscribe was answered; owned, as all that follows
	busy    []int // how often each channel's was answered busy
	printed int
	line    bytes.Buffer
}

func (r *reception) run() error {
	r.busy = make([]int, len(r.channels))
	for i := range r.channels {
		if err := r.subscribe(i); err != nil {
			return err
		}
	}
	for {
		a, err := hear(r.session)
		if err != nil {
			return endError(err)
		}
		done, err := r.take(a)
		if done || err != nil {
			return err
		}
	}
}

// subscribe asks for a channel; its place in the list, from 1, is the nonce.
func (r *reception) subscribe(i int) error {
	name := r.channels[i]
	return say(r.session, order{"subscribe", subscribeData{name, name, r.password, r.drop}, i + 1})
}

// take handles one frame. done: the last message that was wanted is printed.
func (r *reception) take(a *answer) (done bool, err error) {
	switch a.Type {
	case typeMessage:
		if err := r.print(a); err != nil {
			return true, err
		}
		r.printed++
		return r.printed == r.count, nil
	case typeResponse:
		return false, r.onResponse(a)
	case typeError:
		return true, refusal(r.channelOf(a), a.Data.Reason)
	case typeDropped:
		fmt.Fprintf(r.notes, "parley: sub: channel %q: %d messages lost: they came faster than they were read\n", a.Data.Channel, a.Data.Count)
	}
	return false, nil // more than we know of may come
}

func (r *reception) onResponse(a *answer) error {
	i := a.number() - 1
	if i < 0 || i >= len(r.channels) {
		return nil
	}
	switch {
	case a.Data.OK:
		if r.open++; r.open == len(r.channels) {
			fmt.Fprintf(r.notes, "subscribed to %s at %s\n", quoted(r.channels), show.Safe(r.at))
		}
		return nil
	case a.Data.Reason == "busy" && r.busy[i] < busyTries:
		r.busy[i]++
		return r.subscribe(i)
	}
	return refusal(r.channels[i], a.Data.Reason)
}

// channelOf is the channel that a frame is about; "": none.
func (r *reception) channelOf(a *answer) string {
	if i := a.number() - 1; a.Data.Channel == "" && i >= 0 && i < len(r.channels) {
		return r.channels[i]
	}
	return a.Data.Channel
}

func quoted(names []string) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = fmt.Sprintf("%q", n)
	}
	return strings.Join(out, ", ")
}

// print writes one message in one call: whoever reads the other end of a pipe
// gets whole lines.
func (r *reception) print(a *answer) error {
	r.line.Reset()
	if r.json {
		if err := r.object(a); err != nil {
			return err
		}
	} else {
		if len(r.channels) > 1 {
			r.line.WriteString(show.Safe(a.Data.Channel) + "\t")
		}
		r.line.WriteString(show.Safe(text(a.Data.Message)))
	}
	r.line.WriteByte('\n')
	if _, err := r.out.Write(r.line.Bytes()); err != nil {
		return fmt.Errorf("cannot print: %w", err)
	}
	return nil
}

// text is a message as people read it: a string's content, or the JSON.
func text(raw jsontext.Value) string {
	var s string
	if raw.Kind() == '"' && json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}

// object writes a message as JSON. The values stay as they came but for line
// breaks between their parts: a line is a message.
func (r *reception) object(a *answer) error {
	channel, err := json.Marshal(a.Data.Channel)
	if err != nil {
		return err
	}
	r.line.WriteString(`{"channel":`)
	r.line.Write(channel)
	r.line.WriteString(`,"message":`)
	if err := r.raw(a.Data.Message); err != nil {
		return err
	}
	if len(a.Nonce) > 0 {
		r.line.WriteString(`,"nonce":`)
		if err := r.raw(a.Nonce); err != nil {
			return err
		}
	}
	r.line.WriteByte('}')
	return nil
}

func (r *reception) raw(v jsontext.Value) error {
	if len(v) == 0 {
		v = jsontext.Value("null")
	}
	if !bytes.ContainsAny(v, "\r\n") { // in strings they are escaped
		r.line.Write(v)
		return nil
	}
	return stdjson.Compact(&r.line, v)
}
