package verbs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/spf13/cobra"

	"parley/cmd/parley/config"
	"parley/cmd/parley/talk"
)

// report is what status prints.
type report struct {
	Daemon server   `json:"daemon"`
	Node   nodeInfo `json:"node"`
	Health *health  `json:"health,omitzero"` // of the relay
	Unsafe []string `json:"unsafe"`          // parameters with a value that weakens protection
	Errors []wrong  `json:"setupErrors"`
}

type server struct {
	Running bool    `json:"running"`
	Port    uint16  `json:"port,omitzero"`
	PID     int     `json:"pid,omitzero"` // 0: hidden from this user
	UID     *uint32 `json:"uid,omitzero"` // nil: nobody can tell
}

type nodeInfo struct {
	server
	Name     string    `json:"name,omitzero"`
	Chain    string    `json:"chain,omitzero"`
	Mode     string    `json:"mode,omitzero"`
	Stage    string    `json:"stage,omitzero"`
	Gateways []gateway `json:"gateways,omitzero"`
	Problem  string    `json:"problem,omitzero"` // it runs, but did not answer
}

type wrong struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// health is how a relay is. Source: gateways/relay/PROTOCOL.md, Health.
type health struct {
	Healthy string   `json:"healthy"` // good, degraded, bad; or unknown
	Reason  string   `json:"reason"`
	Reasons []string `json:"reasons,omitzero"`
}

func statusVerb(d *Desk) *cobra.Command {
	return d.verb(&cobra.Command{
		Use:   "status",
		Short: "Show how the Daemon and the Node are",
		Long: `Show on one screen whether the Daemon and the Node run, where the gateways listen, how the relay is, which unsafe
parameters are in use, and what is wrong with the Setup space.

It ends with 0 when a Node runs, with 3 when none does or there is no Daemon.`,
		Example: "  " + d.Prefix + "status\n  " + d.Prefix + "status --json",
	}, func(c *call) error {
		r := report{Unsafe: []string{}, Errors: []wrong{}}
		if err := r.gather(c); err != nil {
			return err
		}
		print := r.print
		if c.json {
			print = func(c *call) error { return c.object(r) }
		}
		if err := print(c); err != nil {
			return err
		}
		if !r.Node.Running {
			return quiet(exitNothing)
		}
		return nil
	})
}

func (r *report) gather(c *call) error {
	release, err := c.open(nil)
	var nobody *talk.Nobody
	if errors.As(err, &nobody) && nobody.Role == "Daemon" {
		r.Daemon.Port = nobody.Port
		return nil
	}
	if err != nil {
		return err
	}
	defer release()
	payload, err := c.s.Ask(c.ctx, noChange)
	if errors.As(err, &nobody) { // a shell has lost it
		r.Daemon.Port = nobody.Port
		return nil
	}
	if err != nil {
		return err
	}
	r.Daemon.of(c.s)
	space, err := parseDump(payload)
	if err != nil {
		return err
	}
	for _, e := range space.Errors {
		r.Errors = append(r.Errors, wrong{e[0], e[1]})
	}
	for _, o := range config.Table() {
		if v := space.value(o.Name); o.Unsafe && v != "" && v != o.Default {
			r.Unsafe = append(r.Unsafe, o.Name)
		}
	}
	if !space.Running {
		return nil
	}
	if err := r.node(c); err != nil {
		return err
	}
	for _, g := range r.Node.Gateways {
		if g.Name == "relay" {
			r.Health = askHealth(c.ctx, g.Address)
		}
	}
	return nil
}

// of fills in what is known about the server at the other end.
func (s *server) of(session *talk.Session) {
	remote, local := session.Ends()
	s.Running, s.Port, s.PID = true, remote.Port(), processOf(remote, local)
	if uid, _, err := session.Owner(); err == nil {
		s.UID = &uid
	}
}

// node asks a Node that runs. One that does not answer is part of the report.
func (r *report) node(c *call) error {
	r.Node.Running = true
	raw, err := c.s.Ask(c.ctx, talk.Question{Opcode: "configuration"})
	if err != nil {
		if c.ctx.Err() != nil {
			return err
		}
		r.Node.Problem = err.Error()
		var refused *talk.Refused
		if errors.As(err, &refused) && refused.Code == talk.CodeNoNode { // it has just ended
			r.Node = nodeInfo{}
		}
		return nil
	}
	in, err := parseConfiguration(raw)
	if err != nil {
		return err
	}
	r.Node.of(c.s)
	r.Node.Name, r.Node.Chain, r.Node.Mode, r.Node.Gateways = in.NodeName, in.Chain, in.Mode, in.Gateways
	if raw, err = c.s.Ask(c.ctx, talk.Question{Opcode: "connectionStatus"}); err == nil {
		r.Node.Stage, err = stageOf(raw)
	}
	if err != nil && c.ctx.Err() == nil {
		r.Node.Problem = err.Error()
		return nil
	}
	return err
}

const (
	// healthWait is longer than a relay takes to find out that it does not answer.
	healthWait = 4 * time.Second
	// healthBody is the longest answer that is taken, in bytes.
	healthBody = 64 << 10
)

// askHealth asks a relay of this machine how it is.
func askHealth(ctx context.Context, at string) *health {
	ctx, cancel := context.WithTimeout(ctx, healthWait)
	defer cancel()
	unknown := func(why string) *health { return &health{Healthy: "unknown", Reason: why} }
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+reachable(at)+"/health", nil)
	if err != nil {
		return unknown("its address makes no sense")
	}
	transport := &http.Transport{DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	res, err := (&http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(req)
	if err != nil {
		return unknown("it does not answer")
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, healthBody))
	h := &health{}
	if err != nil || json.Unmarshal(body, h) != nil || h.Healthy == "" {
		return unknown("it does not tell without TLS or its public name; ask with: parley health URL")
	}
	return h
}

// reachable is where a listener of this machine is dialled: one on all
// addresses, on loopback.
func reachable(at string) string {
	ap, err := netip.ParseAddrPort(at)
	if err != nil || !ap.Addr().IsUnspecified() {
		return at
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(int(ap.Port())))
}

func (s *server) String() string {
	text := fmt.Sprintf("runs, port %d", s.Port)
	if s.PID != 0 {
		text += fmt.Sprintf(", pid %d", s.PID)
	}
	if s.UID != nil {
		text += fmt.Sprintf(", uid %d", *s.UID)
	}
	return text
}

func (r *report) print(c *call) error {
	if !r.Daemon.Running {
		return c.table(
			[]string{"Daemon", fmt.Sprintf("none answers on port %d; start one with: parley up", r.Daemon.Port)},
			[]string{"Node", "not known without a Daemon"})
	}
	rows := [][]string{{"Daemon", r.Daemon.String()}}
	switch {
	case !r.Node.Running:
		rows = append(rows, []string{"Node", "does not run; start it with: " + c.Prefix + "start"})
	case r.Node.Problem != "":
		rows = append(rows, []string{"Node", "runs, but: " + r.Node.Problem})
	default:
		rows = append(rows,
			[]string{"Node", r.Node.String()},
			[]string{"Name", fmt.Sprintf("%s, chain %s, %s", r.Node.Name, r.Node.Chain, r.Node.Mode)},
			[]string{"Connection", stage(r.Node.Stage)})
	}
	for i, g := range r.Node.Gateways {
		rows = append(rows, []string{heading("Gateways", i), g.Name + " " + g.place()})
	}
	if h := r.Health; h != nil {
		reason := h.Reason
		if len(h.Reasons) > 1 {
			reason = strings.Join(h.Reasons, ", ")
		}
		rows = append(rows, []string{"Relay", h.Healthy + ": " + reason})
	}
	unsafe := "nothing"
	if len(r.Unsafe) > 0 {
		unsafe = strings.Join(r.Unsafe, ", ")
	}
	rows = append(rows, []string{"Unsafe", unsafe})
	for i, e := range r.Errors {
		rows = append(rows, []string{heading("To mend", i), e.Name + ": " + e.Text})
	}
	return c.table(rows...)
}

// heading stands before the first of several lines.
func heading(text string, i int) string {
	if i > 0 {
		return ""
	}
	return text
}
