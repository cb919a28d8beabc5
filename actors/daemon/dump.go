package daemon

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"parley/messages/processpb"
	"parley/messages/uipb"
)

// What a parameter's value is. Source: gateways/uiv2/PROTOCOL.md, Setup space.
const (
	statusSet        = "Set"        // by a user interface
	statusConfigured = "Configured" // by the config file or the environment
	statusDefault    = "Default"
	statusBlank      = "Blank"    // none, and none is needed
	statusRequired   = "Required" // none, and one is needed
)

// mask is shown for a secret that has a value.
const mask = "****************"

// Parameters that the Daemon itself reads.
const (
	paramConfigFile    = "config-file"
	paramDataDirectory = "data-directory"
	paramRealUser      = "real-user"
)

const (
	textUnknown  = "unknown parameter"
	textTwice    = "given more than once in one request"
	textOwner    = "only root and the user that the Daemon runs as may change it"
	textMask     = "this stands for a secret that is set, and none is: give the secret itself"
	textRequired = "needs a value, or a Node will not start"
)

// contents is what was given to the Setup space. It is frozen once in effect.
type contents struct {
	set        map[string]string // by user interfaces
	configured map[string]string // by the config file and the environment
	outside    []Problem         // of these two
	stale      map[string]string // why a stored value is not used, by name
	unread     string            // why the stored values are not there; empty: they are
}

// clone returns a copy of c that is to be changed.
func (c *contents) clone() *contents {
	d := *c
	d.set, d.stale = maps.Clone(c.set), maps.Clone(c.stale)
	return &d
}

// view is what contents amount to. It is frozen.
type view struct {
	values map[string]string // in effect, of all rows; empty: none
	status map[string]string
	errors []*uipb.SetupError // that last until something changes
}

// same reports whether no value and no status differ.
func (v *view) same(o *view) bool {
	return maps.Equal(v.values, o.values) && maps.Equal(v.status, o.status)
}

// value is a parameter's value and status, before it is known what is required.
func (c *contents) value(r *Row) (value, status string) {
	if v, ok := c.set[r.Name]; ok {
		return v, statusSet
	}
	if v, ok := c.configured[r.Name]; ok {
		return v, statusConfigured
	}
	if r.Default != "" {
		return r.Default, statusDefault
	}
	return "", statusBlank
}

// values are those in effect. It costs less than to look.
func (s *Space) values(c *contents) map[string]string {
	out := make(map[string]string, len(s.Rows))
	for i := range s.Rows {
		out[s.Rows[i].Name], _ = c.value(&s.Rows[i])
	}
	return out
}

// look says what c amounts to.
func (s *Space) look(c *contents) *view {
	v := &view{values: make(map[string]string, len(s.Rows)), status: make(map[string]string, len(s.Rows))}
	for i := range s.Rows {
		r := &s.Rows[i]
		v.values[r.Name], v.status[r.Name] = c.value(r)
	}
	problems, required := s.Cross(maps.Clone(v.values))
	for _, name := range required {
		if v.status[name] != statusBlank {
			continue
		}
		v.status[name] = statusRequired
		if !slices.ContainsFunc(problems, func(p Problem) bool { return p.Name == name }) {
			problems = append(problems, Problem{name, textRequired})
		}
	}
	for _, p := range slices.Concat(problems, c.outside) {
		v.errors = append(v.errors, p.wire())
	}
	for name, text := range c.stale {
		v.errors = append(v.errors, &uipb.SetupError{Name: name, Text: text})
	}
	if c.unread != "" {
		v.errors = append(v.errors, &uipb.SetupError{Name: paramDataDirectory, Text: c.unread})
	}
	sortErrors(v.errors)
	return v
}

func (p Problem) wire() *uipb.SetupError { return &uipb.SetupError{Name: p.Name, Text: p.Text} }

func sortErrors(errors []*uipb.SetupError) {
	slices.SortStableFunc(errors, func(a, b *uipb.SetupError) int {
		return cmp.Or(strings.Compare(a.GetName(), b.GetName()), strings.Compare(a.GetText(), b.GetText()))
	})
}

// dump is what user interfaces are told; more are errors of this answer alone.
func (s *Space) dump(v *view, running bool, more []*uipb.SetupError) *uipb.SetupResponse {
	out := &uipb.SetupResponse{Running: running, Errors: slices.Concat(v.errors, more)}
	sortErrors(out.Errors)
	for i := range s.Rows {
		r := &s.Rows[i]
		out.Values = append(out.Values, &uipb.SetupValue{Name: r.Name, Value: r.shown(v.values[r.Name]), Status: v.status[r.Name]})
	}
	return out
}

// withErrors is a dump with more errors.
func withErrors(r *uipb.SetupResponse, more []*uipb.SetupError) *uipb.SetupResponse {
	if len(more) == 0 {
		return r
	}
	out := &uipb.SetupResponse{Running: r.GetRunning(), Values: r.GetValues(), Errors: slices.Concat(r.GetErrors(), more)}
	sortErrors(out.Errors)
	return out
}

// settings is what a Node is launched with.
func (s *Space) settings(v *view) *frozen {
	out := &frozen{dataDirectory: v.values[paramDataDirectory], realUser: v.values[paramRealUser]}
	for i := range s.Rows {
		name := s.Rows[i].Name
		// The default of data-directory is another one for another user.
		if v.status[name] == statusSet || v.status[name] == statusConfigured || name == paramDataDirectory && v.values[name] != "" {
			out.settings = append(out.settings, &processpb.Setting{Name: name, Value: v.values[name]})
		}
	}
	return out
}

// lost is what file and environment say that no Node would get to see: it would
// start without it, unnoticed. Empty: nothing. A wrong value that is handed on is
// for the Node to refuse, and one that a user interface has set counts instead of
// what they say.
func (c *contents) lost() string {
	for _, p := range c.outside {
		_, set := c.set[p.Name]
		_, configured := c.configured[p.Name]
		if p.Name == paramConfigFile || !set && !configured {
			return p.Name + ": " + p.Text
		}
	}
	return ""
}

// row finds a parameter; nil: there is none of this name.
func (s *Space) row(name string) *Row {
	i, ok := slices.BinarySearchFunc(s.Rows, name, func(r Row, name string) int { return strings.Compare(r.Name, name) })
	if !ok {
		return nil
	}
	return &s.Rows[i]
}
