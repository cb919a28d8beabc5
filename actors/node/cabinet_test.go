package node

import (
	"slices"
	"strings"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/messages/storepb"
	"parley/messages/uipb"
	"parley/messages/vaultpb"
	"parley/testkit"
)

// cabinet is a world with configuration, and a store and a safe made of paper.
type cabinet struct {
	*world
	configuration, store, safe *actor.PID

	records map[string]string // what is stored
	corrupt []string
	full    string // why the store takes nothing
	broken  string // why the store reads nothing
	asked   []proto.Message
	askers  []*actor.PID // of asked
	silent  bool         // store and safe wait for the test
	fail    bool         // they panic

	reveal  *vaultpb.RevealResponse
	applied []string
	bad     bool // Apply panics
}

func onConfiguration(t *testing.T, seeds uint64, prepare func(c *cabinet), test func(t *testing.T, c *cabinet), opts ...testkit.SystemOption) {
	testkit.Seeds(t, seeds, func(t *testing.T, d *testkit.Driver) {
		c := &cabinet{records: map[string]string{}, reveal: &vaultpb.RevealResponse{Matches: true}}
		if prepare != nil {
			prepare(c)
		}
		c.world = newWorld(t, d, func(w *world, ctx actor.Context) {
			c.store = w.paper(ctx, "store", c.onStore)
			c.safe = w.paper(ctx, "safe", c.onSafe)
			c.configuration = SpawnConfiguration(ctx, c.configuring(w))
		}, opts...)
		test(t, c)
		c.stop()
	})
}

// facts are those of every cabinet.
var facts = &uipb.Configuration{
	ClandestinePort: 8912, CurrentSchemaVersion: 1, NeighborhoodMode: "standard", NodeName: "ada", ChainName: "dev",
	Gateways: []*uipb.Gateway{{Name: "relay", Address: "127.0.0.1:8912"}},
}

func (c *cabinet) configuring(w *world) Configuring {
	return Configuring{
		Facts: func() *uipb.Configuration { return facts }, Safe: c.safe, Store: c.store, Broadcasts: w.broadcasts,
		Check: func(name, value string) (stored, problem string, known bool) {
			switch {
			case value == "panic":
				panic("told to")
			case name != "log-level" && name != "max-peer-links":
				return "", "", false
			case value == "bad":
				return "", `"bad" is no value`, true
			}
			return strings.ToLower(value), "", true
		},
		Apply: func(name, value string) {
			if c.bad {
				panic("told to")
			}
			c.applied = append(c.applied, name+"="+value)
		},
	}
}

func (c *cabinet) onStore(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *storepb.ReadRequest, *storepb.Write:
		c.onQuestion(ctx, m.(proto.Message))
	}
}

func (c *cabinet) onSafe(ctx actor.Context) {
	if m, ok := ctx.Message().(*vaultpb.RevealRequest); ok {
		c.onQuestion(ctx, m)
	}
}

func (c *cabinet) onQuestion(ctx actor.Context, m proto.Message) {
	if c.fail {
		panic("told to")
	}
	c.asked, c.askers = append(c.asked, m), append(c.askers, ctx.Sender())
	if !c.silent {
		ctx.Respond(c.answer(m))
	}
}

// answer is that of store or safe.
func (c *cabinet) answer(m proto.Message) proto.Message {
	switch m := m.(type) {
	case *storepb.ReadRequest:
		return c.read(m)
	case *storepb.Write:
		out := &storepb.Written{Serial: m.GetSerial(), Error: c.full}
		if c.full == "" {
			for _, r := range m.GetPuts() {
				c.records[r.GetKey()] = string(r.GetValue())
			}
		}
		return out
	default:
		out := proto.CloneOf(c.reveal)
		out.Serial = m.(*vaultpb.RevealRequest).GetSerial()
		return out
	}
}

func (c *cabinet) read(m *storepb.ReadRequest) *storepb.ReadResponse {
	out := &storepb.ReadResponse{Serial: m.GetSerial(), Error: c.broken, Corrupt: c.corrupt}
	if c.broken != "" {
		return out
	}
	for key, value := range c.records {
		if strings.HasPrefix(key, m.GetPrefix()) {
			out.Records = append(out.Records, &storepb.Record{Key: key, Value: []byte(value)})
		}
	}
	slices.SortFunc(out.Records, func(a, b *storepb.Record) int { return strings.Compare(a.GetKey(), b.GetKey()) })
	return out
}

// speak has the i-th question answered.
func (c *cabinet) speak(i int) {
	c.d.Settle()
	c.sys.Root.Send(c.askers[i], c.answer(c.asked[i]))
	c.d.Settle()
}

func (c *cabinet) set(name, value string) *asked {
	return c.ask(c.configuration, owner, "setConfiguration", &uipb.SetConfigurationRequest{Name: name, Value: value})
}

func (c *cabinet) get(password *string) *asked {
	return c.ask(c.configuration, owner, "configuration", &uipb.PasswordRequest{Password: password})
}

// did says what was applied since the last time.
func (c *cabinet) did(want ...string) {
	c.t.Helper()
	c.d.Settle()
	if !slices.Equal(c.applied, want) {
		c.t.Errorf("applied %q, want %q", c.applied, want)
	}
	c.applied = nil
}

var (
	done       = &uipb.Done{}
	changed    = &uipb.Announce{Response: uipb.Broadcast("configurationChanged", &uipb.Done{}), Except: 7, OptIn: true}
	changedAll = &uipb.Announce{Response: uipb.Broadcast("configurationChanged", &uipb.Done{}), OptIn: true}
)
