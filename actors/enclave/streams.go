package enclave

import (
	"slices"
	"strconv"
	"strings"

	"parley/messages/enclavepb"
)

const (
	streamsMost = 64 // runs of one friend's node that are remembered, those that were heard of last
	idMost      = 64 // bytes; a longer id counts as none
	idBase      = 36
	runMost     = 13 // characters of a run's name: 64 bits in idBase
)

// fresh notes an id, and reports whether it is new. It is a number of a run where
// numbered says so and it looks like one.
func (h *hearing) fresh(id string, numbered bool) bool {
	name, n, ok := splitID(id)
	if !ok || !numbered {
		return h.freshOther(id)
	}
	last := len(h.streams) - 1
	for i := last; i >= 0; i-- {
		s := h.streams[i]
		if s.GetName() != name {
			continue
		}
		copy(h.streams[i:], h.streams[i+1:])
		h.streams[last] = s
		fresh := n > s.GetLast()
		s.Last = max(s.GetLast(), n)
		return fresh
	}
	if len(h.streams) >= streamsMost {
		h.streams = slices.Delete(h.streams, 0, len(h.streams)-streamsMost+1)
	}
	h.streams = append(h.streams, &enclavepb.Stream{Name: name, Last: n})
	return true
}

func (h *hearing) freshOther(id string) bool {
	if h.known[id] {
		return false
	}
	if h.known == nil {
		h.known = map[string]bool{}
	}
	h.known[id] = true
	if len(h.ids) < resendMost {
		h.ids = append(h.ids, id)
		return true
	}
	delete(h.known, h.ids[h.at])
	h.ids[h.at] = id
	h.at = (h.at + 1) % resendMost
	return true
}

// makeID names a message of a run of a node.
func makeID(instance string, n uint64) string {
	return instance + "-" + strconv.FormatUint(n, idBase)
}

// splitID is the opposite of makeID; not ok: that has not made the id. Others make
// ids up that have a - in them, a UUID for one.
func splitID(id string) (instance string, n uint64, ok bool) {
	i := strings.LastIndexByte(id, '-')
	if i < 1 || i > runMost || strings.IndexFunc(id[:i], notBase) >= 0 {
		return "", 0, false
	}
	n, err := strconv.ParseUint(id[i+1:], idBase, 64)
	return id[:i], n, err == nil && makeID(id[:i], n) == id
}

// notBase reports whether r is no digit as strconv writes them in idBase.
func notBase(r rune) bool { return (r < '0' || r > '9') && (r < 'a' || r > 'z') }
