package pipe

import (
	"math"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"google.golang.org/protobuf/proto"

	"parley/messages/enclavepb"
)

// Why a line is refused, for people.
const (
	reasonJSON    = "a line must be one JSON object, each key once"
	reasonCommand = `there is no "cmd": one of send, add, accept, ignore, remove, status, alias, list, history`
	reasonUnknown = "this command is unknown: one of send, add, accept, ignore, remove, status, alias, list, history"
	reasonID      = `"id" must have at most 1024 bytes`
	reasonLong    = "a line was longer than 65536 bytes: write shorter ones"
)

// entriesMost is how many entries of a conversation are told at once: so many lines
// wait for a reader.
const entriesMost = keepMost / 2

// idMost is how many bytes an id may have: it comes back in lines that have an end.
const idMost = 1 << 10

// members are those of a line; reason is why one of them makes no sense, empty
// when all that were asked for do.
type members struct {
	all    map[string]jsontext.Value
	reason string
}

// text is a string; one that must be there is refused when it is not.
func (m *members) text(key string, must bool) string {
	s := m.maybe(key)
	if s == nil {
		if must && m.reason == "" {
			m.reason = strconv.Quote(key) + " is missing"
		}
		return ""
	}
	return *s
}

// maybe is a string, nil: it is not there.
func (m *members) maybe(key string) *string {
	v, ok := m.all[key]
	if !ok {
		return nil
	}
	if v.Kind() != '"' {
		if m.reason == "" {
			m.reason = strconv.Quote(key) + " must be a string"
		}
		return nil
	}
	b, _ := jsontext.AppendUnquote(nil, v) // it is valid
	return proto.String(string(b))
}

// status is a status that people can choose.
func (m *members) status() uint32 {
	n, err := strconv.ParseUint(string(m.all["status"]), 10, 32)
	if err != nil || n < 1 || n > 3 {
		if m.reason == "" {
			m.reason = `"status" must be 1 (available), 2 (away) or 3 (busy)`
		}
	}
	return uint32(n)
}

// count is a whole number up to most; 0: it is not there.
func (m *members) count(key string, most uint64) uint64 {
	v, ok := m.all[key]
	if !ok {
		return 0
	}
	n, err := strconv.ParseUint(string(v), 10, 64)
	if (err != nil || n < 1 || n > most) && m.reason == "" {
		m.reason = strconv.Quote(key) + " must be a whole number, 1 to " + strconv.FormatUint(most, 10)
	}
	return n
}

// decode makes a command of a line. If that makes no sense, r says so instead.
func decode(line []byte) (c *enclavepb.Command, r *enclavepb.Result) {
	m := &members{}
	if json.Unmarshal(line, &m.all) != nil || m.all == nil {
		return nil, &enclavepb.Result{Reason: reasonJSON}
	}
	r = &enclavepb.Result{}
	if r.Id = m.text("id", false); len(r.Id) > idMost {
		r.Id, m.reason = "", reasonID
	}
	if m.reason == "" {
		if r.Cmd = m.text("cmd", false); r.Cmd == "" && m.reason == "" {
			m.reason = reasonCommand
		}
	}
	if m.reason == "" {
		c = m.command(r.Cmd)
	}
	if m.reason != "" {
		r.Reason = m.reason
		return nil, r
	}
	c.Id = r.Id
	return c, nil
}

func (m *members) command(name string) *enclavepb.Command {
	switch name {
	case "send":
		return &enclavepb.Command{Body: &enclavepb.Command_Send{Send: &enclavepb.Send{To: m.text("to", true), Message: m.text("message", true)}}}
	case "add":
		return &enclavepb.Command{Body: &enclavepb.Command_Add{Add: &enclavepb.Add{Address: m.text("address", true), Name: m.text("name", false)}}}
	case "accept":
		return &enclavepb.Command{Body: &enclavepb.Command_Accept{Accept: &enclavepb.Accept{Address: m.text("address", true), Name: m.text("name", false)}}}
	case "ignore":
		return &enclavepb.Command{Body: &enclavepb.Command_Ignore{Ignore: &enclavepb.Ignore{Address: m.text("address", true)}}}
	case "remove":
		return &enclavepb.Command{Body: &enclavepb.Command_Remove{Remove: &enclavepb.Remove{Address: m.text("address", true)}}}
	case "status":
		return &enclavepb.Command{Body: &enclavepb.Command_Status{Status: &enclavepb.SetStatus{Status: m.status(), StatusMessage: m.maybe("status-message")}}}
	case "alias":
		return &enclavepb.Command{Body: &enclavepb.Command_Alias{Alias: &enclavepb.SetAlias{Alias: m.text("alias", true)}}}
	case "list":
		return &enclavepb.Command{Body: &enclavepb.Command_List{List: &enclavepb.List{}}}
	case "history":
		return &enclavepb.Command{Body: &enclavepb.Command_History{History: &enclavepb.History{
			With: m.text("with", true), Most: uint32(m.count("most", entriesMost)), Before: m.count("before", math.MaxUint64), Password: m.maybe("password"),
		}}}
	}
	m.reason = reasonUnknown
	return nil
}
