package rules_test

import (
	"strings"
	"testing"

	"parley/testkit/rules"
)

const good = `package relay

import (
	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/messages"
	"parley/messages/linkpb"
	"parley/messages/relaypb"
)

// channel passes messages on to its
// members. It has a second sentence.
//
//	parent    channels
//	receives  relaypb.Send, relaypb.Unsubscribe (from anybody, or none),
//	          tree.Batch, messages.Multicast; tick, linkpb.Close when it ends,
//	          any message its codec can encode
//	sends     relaypb.Answer to the client
//	stops     when the last member is gone
//
// More text.
type channel struct{}

type tick struct{}

type badName struct{}

func (badName) Error() string { return "" }

func (c *channel) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
	case *tree.Batch:
		for _, l := range m.Messages {
			switch l.(type) {
			case *messages.Multicast:
			}
		}
	case *relaypb.Send, tick:
	case actor.SystemMessage:
	case proto.Message:
	}
	var err error
	switch err.(type) {
	case badName:
	}
}
`

const more = `package relay

import (
	"github.com/asynkron/protoactor-go/actor"

	"parley/messages"
	"parley/messages/linkpb"
	"parley/messages/relaypb"
)

// channels supervises one channel per name.
//
//	parent    root
//	receives  -
//	sends     -
//	stops     with the node
type channels struct{}

func (channels) Receive(ctx actor.Context) {}

func (c *channel) open(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *relaypb.Unsubscribe:
		switch m.GetBody().(type) {
		case *relaypb.Body_Plain:
		}
	}
	if m, ok := ctx.Message().(*linkpb.Close); ok {
		_ = m
	}
	var l messages.Load
	_ = l.(*messages.Multicast)
	_ = l.(channels)
}
`

func TestGoodCards(t *testing.T) {
	cards, found := rules.Cards(parse(t, "actors/relay/channel.go", good, "actors/relay/channels.go", more))
	want(t, found)
	drawing, found := rules.Draw(cards)
	want(t, found)
	exp := `root
└─ relay.channels                       channels supervises one channel per name.
   └─ relay.channel                     channel passes messages on to its members.
`
	if drawing != exp {
		t.Errorf("drew\n%s\nwant\n%s", drawing, exp)
	}
}

func TestBadCards(t *testing.T) {
	for _, c := range []struct{ what, old, new, want string }{
		{"case not on the card", "relaypb.Send, relaypb.Uns", "relaypb.Uns", "handles relaypb.Send, but its card does not say so"},
		{"local case not on the card", "tick, linkpb.Close", "linkpb.Close", "handles tick, but"},
		{"batch not on the card", "tree.Batch, messages.Multicast", "messages.Multicast", "handles tree.Batch, but"},
		{"load not on the card", "tree.Batch, messages.Multicast", "tree.Batch", "handles messages.Multicast, but"},
		{"card without a case", "relaypb.Send,", "relaypb.Send, relaypb.List,", "relaypb.List, says its card, but no case"},
		{"card names nothing", "relaypb.Send,", "relaypb.Send, tack,", `"tack", says its card, but there is no such type`},
		{"card names a local type nobody handles", "relaypb.Send,", "relaypb.Send, channels,", "receives channels, says its card, but no case"},
		{"no parent", "//	parent    channels\n", "", `has no line "parent"`},
		{"no receives", "//	receives  relaypb.Send, relaypb.Unsubscribe (from anybody, or none),", "//	takes it all", `has no line "receives"`},
		{"no stops", "//	stops     when the last member is gone\n", "", `has no line "stops"`},
		{"no name", "// channel passes", "// This passes", "does not start with its name"},
	} {
		source := strings.Replace(good, c.old, c.new, 1)
		if source == good {
			t.Fatalf("%s: changed nothing", c.what)
		}
		_, found := rules.Cards(parse(t, "actors/relay/channel.go", source, "actors/relay/channels.go", more))
		if len(found) == 0 || !strings.Contains(strings.Join(found, "\n"), c.want) {
			t.Errorf("%s: found %q, want %q", c.what, found, c.want)
		}
	}
}

func TestNoCardAtAll(t *testing.T) {
	const bare = "package p\nimport \"github.com/asynkron/protoactor-go/actor\"\ntype x struct{}\nfunc (x) Receive(actor.Context) {}\n"
	_, found := rules.Cards(parse(t, "gateways/p/p.go", bare))
	want(t, found, `"parent"`, `"receives"`, `"sends"`, `"stops"`, "does not start with its name")
	_, found = rules.Cards(parse(t, "actors/tree/p.go", bare)) // a wrapper of actors is none
	want(t, found)
	_, found = rules.Cards(parse(t, "gateways/p/p.go", strings.ReplaceAll(bare, "actor.Context", "func()"))) // another Receive
	want(t, found)
}

// card returns a package with actors and their parents, in pairs.
func card(pkg string, pairs ...string) string {
	s := "package " + pkg + "\nimport \"github.com/asynkron/protoactor-go/actor\"\n"
	for i := 0; i < len(pairs); i += 2 {
		name, parent := pairs[i], pairs[i+1]
		s += "// " + name + " is.\n//\n//\tparent    " + parent + "\n//\treceives  -\n//\tsends     -\n//\tstops     -\ntype " + name +
			" struct{}\nfunc (" + name + ") Receive(actor.Context) {}\n"
	}
	return s
}

func TestDraw(t *testing.T) {
	files := parse(t,
		"actors/node/n.go", card("node", "node", "root"),
		"actors/relay/r.go", card("relay", "clients", "node", "client", "clients"),
		"gateways/relay/r.go", card("relay", "gateway", "node.node", "clients", "gateway"),
		"gateways/link/l.go", card("link", "link", "gateways/relay.gateway, relay.clients (for tests)"),
	)
	cards, found := rules.Cards(files)
	want(t, found)
	drawing, found := rules.Draw(cards)
	want(t, found)
	exp := `root
└─ node.node                            node is.
   ├─ gateways/relay.gateway            gateway is.
   │  ├─ gateways/link.link             link is.
   │  └─ gateways/relay.clients         clients is.
   └─ relay.clients                     clients is.
      ├─ gateways/link.link             link is.
      └─ relay.client                   client is.
`
	if drawing != exp {
		t.Errorf("drew\n%s\nwant\n%s", drawing, exp)
	}

	cards, _ = rules.Cards(parse(t, "actors/a/a.go", card("a", "one", "nobody", "two", "three", "three", "two", "four", "b.five"),
		"actors/b/b.go", card("b", "x", "root"), "actors/c/c.go", card("c", "x", "root"), "actors/d/d.go", card("d", "y", "x")))
	_, found = rules.Draw(cards)
	want(t, found, `one has the parent "nobody"`, `four has the parent "b.five"`, `y has the parent "x"`,
		"one does not hang on the root", "two does not hang", "three does not hang", "four does not hang", "y does not hang")
}
