package verbs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"parley/cmd/parley/talk/fake"
	"parley/testkit/leaks"
)

func TestMain(m *testing.M) { leaks.Main(m) }

// outcome is how a verb ended.
type outcome struct {
	code     int
	out, err string
}

func (o outcome) expect(t *testing.T, code int, out, err string) {
	t.Helper()
	if diff := cmp.Diff(outcome{code, out, err}, o, cmp.AllowUnexported(outcome{})); diff != "" {
		t.Error(diff)
	}
}

// root is a program with the verbs, as the real one has them.
func root(uid uint32) *cobra.Command {
	r := &cobra.Command{Use: "parley", SilenceErrors: true, SilenceUsage: true}
	r.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage("%w", err) })
	r.AddCommand(commands(func() *Server {
		return &Server{LocalUser: func(netip.AddrPort, netip.AddrPort) (uint32, error) { return uid, nil }}
	})...)
	return r
}

// as runs a verb; all servers are run by a user.
func as(ctx context.Context, uid uint32, stdin string, args ...string) outcome {
	var out, notes strings.Builder
	return into(ctx, uid, stdin, &out, &notes, args...)
}

func into(ctx context.Context, uid uint32, stdin string, out, notes interface {
	io.Writer
	String() string
}, args ...string,
) outcome {
	r := root(uid)
	r.SetArgs(args)
	r.SetIn(strings.NewReader(stdin))
	r.SetOut(out)
	r.SetErr(notes)
	err := r.ExecuteContext(ctx)
	if err == nil {
		return outcome{0, out.String(), notes.String()}
	}
	code := 1
	var c interface{ ExitCode() int }
	if errors.As(err, &c) {
		code = c.ExitCode()
	}
	if err.Error() != "" {
		fmt.Fprintf(notes, "parley: %s\n", err)
	}
	return outcome{code, out.String(), notes.String()}
}

// run runs a verb against a Daemon of this user.
func run(t *testing.T, daemon *fake.Server, stdin string, args ...string) outcome {
	t.Helper()
	return as(t.Context(), uint32(os.Geteuid()), stdin, append(args, "--ui-port", fmt.Sprint(daemon.Port))...)
}

const space = `{"running":%v,"values":[
{"name":"chain","value":"dev","status":"Default"},
{"name":"data-directory","value":"/var/lib/parley","status":"Default"},
{"name":"db-password","value":"****************","status":"Set"},
{"name":"log-level","value":"debug\u001b[2J","status":"Set"},
{"name":"neighbors","value":"","status":"Required"}],
"errors":[["neighbors","needed for consume-only\u202e; set it"]]}`

// alone is a Daemon without a Node.
func alone(t *testing.T) *fake.Server {
	daemon := fake.Listen(t)
	daemon.On["setup"] = fake.Reply(fmt.Sprintf(space, false))
	daemon.Else = fake.NoNode
	return daemon
}

// both is a Daemon with its Node.
func both(t *testing.T) (daemon, node *fake.Server) {
	daemon, node = fake.Listen(t), fake.Listen(t)
	daemon.On["setup"] = fake.Reply(fmt.Sprintf(space, true))
	daemon.Else = fake.To(node)
	node.On["descriptor"] = fake.Reply(`{"nodeDescriptorOpt":null}`)
	node.Greet = func(c *fake.Conn) { c.Cast("logBroadcast", `{"msg":"not asked for","logLevel":"Warn"}`) }
	return daemon, node
}
