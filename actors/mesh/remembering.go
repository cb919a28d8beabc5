package mesh

import (
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/storepb"
)

const (
	knownPrefix = "mesh/node/" // of the store's records of nodes: name → address
	knownMost   = 256          // nodes that are remembered
)

// recall reads which nodes this one was linked with.
func (s *scout) recall(ctx actor.Context) {
	if s.o.Store != nil {
		s.serial++
		ctx.Request(s.o.Store, &storepb.ReadRequest{Prefix: knownPrefix, Serial: s.serial})
	}
}

func (s *scout) onReadResponse(ctx actor.Context, m *storepb.ReadResponse) {
	if m.GetError() != "" {
		s.complain(ctx, m.GetError())
		return
	}
	for _, r := range m.GetRecords() {
		name, _ := strings.CutPrefix(r.GetKey(), knownPrefix)
		if _, newer := s.known[name]; !newer && validName(name) && dialable(string(r.GetValue())) != "" && len(s.known) < knownMost {
			s.known[name] = dialable(string(r.GetValue()))
		}
	}
}

// remember keeps a node's address; how to get in there is never kept. When there
// are too many, any that is not linked now is forgotten.
func (s *scout) remember(ctx actor.Context, name, host string) {
	if host == "" || s.known[name] == host {
		return
	}
	s.known[name] = host
	if s.o.Store == nil {
		return
	}
	s.serial++
	w := &storepb.Write{Puts: []*storepb.Record{{Key: knownPrefix + name, Value: []byte(host)}}, Serial: s.serial}
	for _, old := range slices.Sorted(maps.Keys(s.known)) {
		if len(s.known) <= knownMost {
			break
		}
		if !s.linked[old] {
			delete(s.known, old)
			w.Deletes = append(w.Deletes, knownPrefix+old)
		}
	}
	ctx.Request(s.o.Store, w)
}

func (s *scout) onWritten(ctx actor.Context, m *storepb.Written) {
	if m.GetError() != "" {
		s.complain(ctx, m.GetError())
	}
}

// complain goes on without what the store does not do: it costs time, later.
func (s *scout) complain(ctx actor.Context, reason string) {
	tree.Log(ctx.ActorSystem()).Warn("nodes that were linked cannot be remembered: see what the store says in this log",
		slog.String("reason", reason))
}
