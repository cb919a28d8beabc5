package talk

import (
	"context"
	"errors"
	"os/user"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// mayHear checks the owner of a server before a secret goes there.
func (s *Session) mayHear(ctx context.Context, w *wire, q *Question) error {
	if !q.Secret {
		return nil
	}
	uid, err := s.owner(w)
	if err != nil {
		return &Stranger{Role: w.role(), Port: w.port, err: err}
	}
	if s.trusts(uid) || w.role() == roleNode && s.isRealUser(ctx, uid) {
		return nil
	}
	return &Stranger{Role: w.role(), Port: w.port, UID: uid}
}

// Owner is the user that runs the server which there is a connection to. trusted
// tells whether it gets secrets without further questions.
func (s *Session) Owner() (uid uint32, trusted bool, err error) {
	w := s.wire()
	if w == nil {
		return 0, false, errors.New("there is no connection")
	}
	uid, err = s.owner(w)
	return uid, err == nil && s.trusts(uid), err
}

func (s *Session) owner(w *wire) (uint32, error) {
	if s.o.LocalUser == nil {
		return 0, errors.New("nobody can tell on this system")
	}
	remote, local := w.c.Ends()
	return s.o.LocalUser(remote, local)
}

func (s *Session) trusts(uid uint32) bool {
	return uid == 0 || uid == s.o.UID || slices.Contains(s.o.Trust, uid)
}

// isRealUser tells whether a Daemon that is trusted starts its Nodes as uid. It
// is asked on a connection of its own: at the Node's end, nobody but the Node
// itself could be.
func (s *Session) isRealUser(ctx context.Context, uid uint32) bool {
	w, err := dialWire(ctx, roleDaemon, s.o.Port, nil, nil)
	if err != nil {
		return false
	}
	defer w.leave()
	owner, err := s.owner(w)
	if err != nil || !s.trusts(owner) {
		return false
	}
	q := &Question{Opcode: "setup"}
	r := w.ask(ctx, 1, q, jsontext.Value(`{"values":[]}`), s.o.answer)
	if r.err != nil {
		return false
	}
	var dump struct {
		Values []struct {
			Name  string `json:"name"`
			Value string `json:"value"`
		} `json:"values"`
	}
	if Decode(r.payload, &dump, "values") != nil {
		return false
	}
	for _, v := range dump.Values {
		if v.Name == "real-user" {
			return userIs(v.Value, uid)
		}
	}
	return false
}

// userIs reads a user as the Setup space writes it: "uid:gid:home", or a name.
func userIs(text string, uid uint32) bool {
	who, _, _ := strings.Cut(text, ":")
	if n, err := strconv.ParseUint(who, 10, 32); err == nil {
		return uint32(n) == uid
	}
	u, err := user.Lookup(who)
	return err == nil && u.Uid == strconv.FormatUint(uint64(uid), 10)
}
