package daemon

import (
	"maps"
	"slices"
	"strings"

	"parley/messages/storepb"
	"parley/messages/uipb"
)

// recordPrefix starts the keys of stored parameters; the name follows.
const recordPrefix = "setup/"

const (
	textDamaged   = "its stored value was damaged and has been set aside: set it again"
	textForgotten = "a value of this name is stored, but there is no such parameter any more"
	textNotKept   = "a secret was stored under this name and is not used: set it again"
	textStale     = "its stored value is not used any more: "
	textUnread    = "the values that were set could not be read: "
)

// revision is what a request would make of the Setup space.
type revision struct {
	draft   *contents          // nil: bad is not empty
	puts    []*storepb.Record  // to be stored first, as deletes
	deletes []string           // keys
	names   []string           // of what changes, sorted
	bad     []*uipb.SetupError // why nothing changes, one a value
}

// revise says what changes make of c. Any bad one spoils all.
func (s *Space) revise(c *contents, owner bool, changes []*uipb.SetupChange) *revision {
	v := &revision{draft: c.clone()}
	count := map[string]int{}
	for _, m := range changes {
		count[m.GetName()]++
	}
	for _, m := range changes {
		name := m.GetName()
		row := s.row(name)
		switch {
		case count[name] == 0: // it was refused
		case count[name] > 1:
			v.refuse(name, textTwice)
			count[name] = 0
		case row == nil:
			v.refuse(name, textUnknown)
		case row.Owner && !owner:
			v.refuse(name, textOwner)
		case m.Value == nil:
			v.clear(c, row)
		case row.Secret && m.GetValue() == mask:
			// A form that was filled in from a dump comes back with it.
			if value, _ := c.value(row); value == "" {
				v.refuse(name, textMask)
			}
		case row.Veil != nil && m.GetValue() != "" && m.GetValue() == s.shown(c, row):
			// The same, of a value that is secret in parts.
		default:
			stored, problem := s.Check(name, m.GetValue())
			if problem != "" {
				v.refuse(name, problem)
				continue
			}
			v.set(c, row, stored)
		}
	}
	if len(v.bad) > 0 {
		return &revision{bad: v.bad}
	}
	slices.Sort(v.names)
	return v
}

// shown is what user interfaces see of a parameter's value in effect.
func (s *Space) shown(c *contents, r *Row) string {
	value, _ := c.value(r)
	return r.shown(value)
}

func (v *revision) refuse(name, text string) {
	v.bad = append(v.bad, &uipb.SetupError{Name: name, Text: text})
}

func (v *revision) clear(c *contents, r *Row) {
	_, set := c.set[r.Name]
	_, stale := c.stale[r.Name]
	if !set && !stale {
		return
	}
	v.names = append(v.names, r.Name)
	delete(v.draft.set, r.Name)
	delete(v.draft.stale, r.Name)
	if !r.Secret {
		v.deletes = append(v.deletes, recordPrefix+r.Name)
	}
}

func (v *revision) set(c *contents, r *Row, value string) {
	if old, ok := c.set[r.Name]; ok && old == value {
		return
	}
	v.names = append(v.names, r.Name)
	v.draft.set[r.Name] = value
	delete(v.draft.stale, r.Name)
	if !r.Secret {
		v.puts = append(v.puts, &storepb.Record{Key: recordPrefix + r.Name, Value: []byte(value)})
	}
}

// restore makes contents of what was stored; notes are problems to be reported
// once. Secrets are not stored: those that are known still are given.
func (s *Space) restore(m *storepb.ReadResponse, secrets map[string]string) (c *contents, notes []*uipb.SetupError) {
	c = &contents{set: maps.Clone(secrets), stale: map[string]string{}}
	if c.set == nil {
		c.set = map[string]string{}
	}
	if m.GetError() != "" {
		c.unread = textUnread + m.GetError()
	}
	note := func(name, text string) { notes = append(notes, &uipb.SetupError{Name: name, Text: text}) }
	for _, key := range m.GetCorrupt() {
		note(strings.TrimPrefix(key, recordPrefix), textDamaged)
	}
	for _, r := range m.GetRecords() {
		name := strings.TrimPrefix(r.GetKey(), recordPrefix)
		row := s.row(name)
		switch {
		case row == nil:
			note(name, textForgotten)
		case row.Secret:
			note(name, textNotKept)
		default:
			stored, problem := s.Check(name, string(r.GetValue()))
			if problem != "" {
				c.stale[name] = textStale + problem
				continue
			}
			c.set[name] = stored
		}
	}
	return c, notes
}

// configure notes what file and environment say. A value that is wrong is used
// as well: with it a Node refuses to start, without it nobody might notice.
func (s *Space) configure(c *contents, configured map[string]string, problems []Problem) {
	c.configured, c.outside = map[string]string{}, slices.Clone(problems)
	for _, name := range slices.Sorted(maps.Keys(configured)) {
		if s.row(name) == nil {
			c.outside = append(c.outside, Problem{name, textUnknown})
			continue
		}
		c.configured[name] = configured[name]
	}
}

// secrets are those that are set.
func (s *Space) secrets(c *contents) map[string]string {
	out := map[string]string{}
	for name, value := range c.set {
		if s.row(name).Secret {
			out[name] = value
		}
	}
	return out
}
