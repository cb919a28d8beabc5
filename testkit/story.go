package testkit

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Client is one side of a connection that a story plays. Its methods do not wait.
type Client interface {
	Say(frame string) error
	SayBinary(b []byte) error
	SayRaw(b []byte) error // bytes on the socket as they are
	// Hear takes the next thing the client heard: a frame, or the connection's
	// end, which has a code.
	Hear() (frame string, code int, reason string, ok bool)
	HangUp()
}

// Stage is where stories are played.
type Stage struct {
	// Connect opens a connection for a client. The client's name decides what
	// it speaks; args are what the story says behind it. A *Refused error is
	// what a line "refused" waits for.
	Connect func(name string, args []string) (Client, error)
	// Set gives an option a value; called before Start. nil: none can be set.
	Set func(option, value string) error
	// Act does what no client can do: "kill node". Like Start it is called on
	// the bubble's first goroutine. nil: nothing.
	Act func(words []string) error
	// Start is called once before the first Connect. nil: there is nothing to start.
	Start  func()
	Driver *Driver // nil: things happen by themselves
}

// hearMost is how long a client waits for what it must hear, in fake time.
const hearMost = 10 * time.Second

// Tell plays a story file on a stage: a transcript, one line a frame.
//
//	open NAME [ARGS]            connect
//	refused NAME STATUS [ARGS]  connecting must be refused with that HTTP status
//	NAME > FRAME                NAME says FRAME
//	NAME < FRAME                the next thing NAME hears is FRAME, compared as JSON with exactly
//	                            these keys; "..." stands for any value, an element "***" in a list for any
//	                            number of others, a key "***" for any further keys
//	NAME ~ FRAME                the same, whatever NAME hears before
//	NAME ? FRAME                as <; several such lines of one NAME in a row in any order
//	NAME = FRAME                the next thing NAME hears is FRAME, byte for byte
//	NAME ! CODE [REASON]        the next thing NAME hears is the end of its connection;
//	                            1006 is an end without a close frame; ... is any other code, or any reason
//	NAME !! CODE [REASON]       the same, whatever NAME hears before
//	NAME .                      NAME has heard nothing else
//	NAME binary HEX             NAME says a binary frame
//	NAME raw HEX                NAME writes these bytes to the socket
//	NAME hangup                 NAME goes away
//	NAME pause, NAME resume     NAME stops reading, and goes on
//	NAME deaf                   NAME answers no pings from now on
//	NAME ignore                 what NAME has not heard at the end does not matter
//	act WORDS                   what the stage does, not a client: "act kill node"
//	set OPTION VALUE            the server runs with that; before the first open
//	wait DURATION               fake time passes
//	repeat N … end              the lines between, N times; {{i}} is 1 to N
//
// {{TEXT*N}} is TEXT, N times. Lines that start with # say why. At the end no
// client may have heard more than the story says.
func Tell(t testing.TB, path string, stage Stage) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("testkit: %v", err)
	}
	if err := tell(string(text), stage); err != nil {
		t.Fatalf("%s:%v", path, err)
	}
}

// tell plays a story's text. Errors start with the line's number.
func tell(text string, stage Stage) error {
	steps, err := parseStory(text)
	if err != nil {
		return err
	}
	p := &play{stage: stage, pace: pace{stage.Driver}, clients: map[string]Client{}, ignored: map[string]bool{}}
	defer p.leave()
	for _, s := range steps {
		if err := p.step(s); err != nil {
			return fmt.Errorf("%d: %w", s.line, err)
		}
	}
	if err := p.finish(); err != nil {
		return fmt.Errorf("end: %w", err)
	}
	return nil
}

// play is one story under way.
type play struct {
	pace
	stage   Stage
	clients map[string]Client
	names   []string // in the order they came
	ignored map[string]bool
	started bool
}

// step plays one line, and settles.
func (p *play) step(s step) error {
	defer p.settle()
	switch s.verb {
	case "wait":
		d, err := time.ParseDuration(s.arg)
		if err == nil {
			p.pass(d)
		}
		return err
	case "set":
		if p.stage.Set == nil || p.started {
			return fmt.Errorf("cannot set %s here", s.name)
		}
		return p.stage.Set(s.name, s.arg)
	case "act":
		if p.stage.Act == nil {
			return fmt.Errorf("nobody acts here")
		}
		return p.stage.Act(strings.Fields(s.arg))
	case "open":
		return p.open(s)
	case "refused":
		return p.refused(s)
	}
	c := p.clients[s.name]
	if c == nil {
		return fmt.Errorf("%s has not connected", s.name)
	}
	switch s.verb {
	case ">":
		return c.Say(s.arg)
	case "binary":
		return c.SayBinary(s.bytes)
	case "raw":
		return c.SayRaw(s.bytes)
	case "<", "~", "?", "=":
		return p.hear(s, c)
	case "!", "!!":
		return p.ends(s, c)
	case ".":
		return p.silent(s.name, c)
	case "hangup":
		return p.hangUp(s.name, c)
	case "ignore":
		p.ignored[s.name] = true
	case "pause", "resume", "deaf":
		return mood(s, c)
	}
	return nil
}

func (p *play) open(s step) error {
	if p.clients[s.name] != nil {
		return fmt.Errorf("%s is connected already", s.name)
	}
	if !p.started && p.stage.Start != nil {
		p.stage.Start()
	}
	p.started = true
	var err error
	p.do(func() {
		var c Client
		if c, err = p.stage.Connect(s.name, strings.Fields(s.arg)); err == nil {
			p.clients[s.name] = c
			p.names = append(p.names, s.name)
		}
	})
	return err
}

func (p *play) refused(s step) error {
	status, args, _ := strings.Cut(s.arg, " ")
	err := p.open(step{name: s.name, arg: args})
	var r *Refused
	switch {
	case err == nil:
		return fmt.Errorf("%s was let in", s.name)
	case !errors.As(err, &r):
		return err
	case strconv.Itoa(r.Status) != status:
		return fmt.Errorf("refused with %d %s, want %s", r.Status, r.Body, status)
	}
	return nil
}

// hangUp ends a connection from the client's side.
func (p *play) hangUp(name string, c Client) (err error) {
	if !p.ignored[name] {
		err = p.silent(name, c)
	}
	c.HangUp()
	delete(p.clients, name)
	return err
}

// mood changes how a client behaves, if it can.
func mood(s step, c Client) error {
	m, ok := c.(interface {
		Pause()
		Resume()
		Deafen()
	})
	if !ok {
		return fmt.Errorf("%s cannot %s", s.name, s.verb)
	}
	switch s.verb {
	case "pause":
		m.Pause()
	case "resume":
		m.Resume()
	case "deaf":
		m.Deafen()
	}
	return nil
}

// next waits for the next thing a client hears.
func (p *play) next(name string, c Client) (h heard, err error) {
	if !p.until(hearMost, func() bool {
		var ok bool
		h.frame, h.code, h.reason, ok = c.Hear()
		return ok
	}) {
		err = fmt.Errorf("%s heard nothing", name)
	}
	return h, err
}

// hear expects one frame, or a group of frames in any order.
func (p *play) hear(s step, c Client) error {
	left := s.any
	if s.verb != "?" {
		left = []string{s.arg}
	}
	for len(left) > 0 {
		h, err := p.next(s.name, c)
		if err != nil {
			return fmt.Errorf("%w, want\n  %s", err, clip(left[0]))
		}
		if h.code != 0 {
			return fmt.Errorf("%s was closed: %d %q, want\n  %s", s.name, h.code, h.reason, clip(left[0]))
		}
		if left, err = taken(h.frame, left, s.verb == "="); err != nil && s.verb != "~" {
			return fmt.Errorf("%s heard\n  %s\n%w", s.name, clip(h.frame), err)
		}
	}
	return nil
}

// taken removes the first of want that frame fits.
func taken(frame string, want []string, exactly bool) ([]string, error) {
	var first error
	for i, w := range want {
		err := sameFrame(frame, w)
		if exactly && frame != w {
			err = fmt.Errorf("want exactly\n  %s", clip(w))
		}
		if err == nil {
			return append(want[:i:i], want[i+1:]...), nil
		}
		if first == nil {
			first = fmt.Errorf("want\n  %s\n%w", clip(w), err)
		}
	}
	return want, first
}

// ends expects the end of a connection.
func (p *play) ends(s step, c Client) error {
	code, reason, _ := strings.Cut(s.arg, " ")
	told := func(h heard) bool {
		return code == anyValue && h.code > 0 && h.code != CloseAbnormal || code == strconv.Itoa(h.code)
	}
	h, err := p.next(s.name, c)
	for s.verb == "!!" && err == nil && h.code == 0 {
		h, err = p.next(s.name, c)
	}
	switch {
	case err != nil:
		return fmt.Errorf("%w, want its end: %s", err, s.arg)
	case h.code == 0:
		return fmt.Errorf("%s heard\n  %s\nwant its end: %s", s.name, clip(h.frame), s.arg)
	case !told(h) || reason != anyValue && reason != h.reason:
		return fmt.Errorf("%s was closed: %d %q, want %s", s.name, h.code, h.reason, s.arg)
	}
	return p.hangUp(s.name, c)
}

// silent checks that a client heard nothing.
func (p *play) silent(name string, c Client) error {
	p.settle()
	frame, code, reason, ok := c.Hear()
	switch {
	case !ok:
		return nil
	case code != 0:
		return fmt.Errorf("%s was closed: %d %q", name, code, reason)
	}
	return fmt.Errorf("%s heard too much\n  %s", name, clip(frame))
}

// finish checks that the story told all that was heard.
func (p *play) finish() error {
	for _, name := range p.names {
		if c := p.clients[name]; c != nil && !p.ignored[name] {
			if err := p.silent(name, c); err != nil {
				return err
			}
		}
	}
	return nil
}

// leave hangs up whoever is still there.
func (p *play) leave() {
	for _, c := range p.clients {
		c.HangUp()
	}
	p.settle()
}

// clip keeps messages about long frames readable.
func clip(s string) string {
	const most = 300
	if len(s) <= most {
		return s
	}
	return fmt.Sprintf("%s … (%d bytes)", s[:most], len(s))
}
