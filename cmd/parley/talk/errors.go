package talk

import (
	"fmt"
	"time"

	"parley/cmd/parley/show"
)

// Exit codes of errors that are no plain failures; those are 1.
const exitNothing = 3

// Codes that are told apart here. Source: gateways/uiv2/PROTOCOL.md, Errors.
const (
	CodeLaunch  uint64 = 1<<63 | 1
	CodeNoNode  uint64 = 1<<63 | 2
	CodeRunning uint64 = 1<<63 | 3
	CodeTimeout uint64 = 1<<63 | 6
	CodeWrite   uint64 = 1<<48 | 2

	CodeBadPassword uint64 = 1<<48 | 6
)

// Refused is an error that a server answered with.
type Refused struct {
	Opcode  string
	Code    uint64
	Message string // the server's, as it came
}

func (r *Refused) Error() string { return show.Text(r.Message) }

// ExitCode is for main: no Node is nobody to talk to.
func (r *Refused) ExitCode() int {
	if r.Code == CodeNoNode {
		return exitNothing
	}
	return 1
}

// Nobody says that nothing answers on a port.
type Nobody struct {
	Role string // Daemon or Node
	Port uint16
	err  error
}

func (n *Nobody) Error() string {
	return fmt.Sprintf("no %s answers on port %d: %s", n.Role, n.Port, show.Line(n.err.Error()))
}

func (n *Nobody) Unwrap() error { return n.err }

// ExitCode is for main.
func (n *Nobody) ExitCode() int { return exitNothing }

// Stranger says that a server's owner is not trusted with secrets.
type Stranger struct {
	Role string // Daemon or Node
	Port uint16
	UID  uint32
	err  error // the owner is not known
}

func (s *Stranger) Error() string {
	if s.err != nil {
		return fmt.Sprintf("nothing secret was sent: cannot tell which user runs the %s on port %d: %s", s.Role, s.Port, show.Line(s.err.Error()))
	}
	return fmt.Sprintf("nothing secret was sent: the %s on port %d is run by uid %d, which is neither root nor you", s.Role, s.Port, s.UID)
}

func (s *Stranger) Unwrap() error { return s.err }

// Ended says that the Node ended while a question was with it.
type Ended struct {
	Opcode string
	Crash  *Crashed // nil: nobody told why
	Why    error    // how its connection ended
}

func (e *Ended) Error() string {
	if e.Crash == nil {
		return fmt.Sprintf("the Node ended the connection before it answered %q: %s", e.Opcode, show.Line(e.Why.Error()))
	}
	return fmt.Sprintf("the Node ended before it answered %q: %s", e.Opcode, e.Crash)
}

// Lost says that the Daemon's connection ended while a question was with it.
type Lost struct {
	Opcode string
	Why    error
}

func (l *Lost) Error() string {
	return fmt.Sprintf("the Daemon ended the connection before it answered %q: %s", l.Opcode, show.Line(l.Why.Error()))
}

func (l *Lost) Unwrap() error { return l.Why }

// Silent says that an answer did not come in time.
type Silent struct {
	Opcode string
	Role   string // Daemon or Node
	After  time.Duration
}

func (s *Silent) Error() string {
	return fmt.Sprintf("the %s did not answer %q within %v", s.Role, s.Opcode, s.After)
}

// Malformed says that a server does not keep to the protocol.
type Malformed struct {
	Role string
	Port uint16
	err  error
}

func (m *Malformed) Error() string {
	return fmt.Sprintf("the %s on port %d sent what is not %s: %s", m.Role, m.Port, Subprotocol, show.Line(m.err.Error()))
}

func (m *Malformed) Unwrap() error { return m.err }
