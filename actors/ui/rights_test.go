package ui

import (
	"testing"

	"parley/messages/linkpb"
	"parley/messages/uipb"
)

// TestRightsAreThoseOfNow: who is connected may change things as long as the
// settings say so, and not as long as the connection lasts.
func TestRightsAreThoseOfNow(t *testing.T) {
	in(t, setup{may: func(uid uint32) bool { return uid == 7 }}, func(_ *testing.T, w *world) {
		f, g, owner := w.connectAs(&linkpb.Peer{Uid: 7}), w.connectAs(&linkpb.Peer{Uid: 8, Changes: true}), w.face()
		f.talk(1, "change", ok())
		g.talk(1, "change", ok())
		g.talk(1, "do", ok())
		owner.talk(1, "change", ok())
		f.wants("1 1")
		g.wants("1 not permitted", "1 3")
		owner.wants("1 4")
		for _, from := range []*face{f, g} {
			from.say(&uipb.Request{Opcode: "aloneChange", Charge: 1})
			from.wants()
		}
		if len(w.asks) != 1 || w.asks[0].GetAsker().GetUid() != 7 || !w.asks[0].GetAsker().GetChanges() || w.asks[0].GetAsker().GetMember() != f.member {
			t.Errorf("asked %v", w.asks)
		}
	})
}

// TestPrivate: what is private reaches who may change things at that moment, and
// nobody else.
func TestPrivate(t *testing.T) {
	var trusted bool
	in(t, setup{may: func(uid uint32) bool { return uid == 7 && trusted }}, func(_ *testing.T, w *world) {
		trusted = true
		f, g, owner := w.connectAs(&linkpb.Peer{Uid: 7}), w.connectAs(&linkpb.Peer{Uid: 8}), w.face()
		private := announce("secret", 1)
		private.OptIn, private.Private = true, true
		w.tell(private)
		for _, from := range []*face{f, g, owner} {
			from.subscribe("subscribe", "", "secret")
			from.wants("99 done")
		}
		w.tell(private)
		f.wants("secret 1")
		owner.wants("secret 1")
		trusted = false
		w.tell(private)
		owner.wants("secret 1")
		f.wants()
		g.wants()
	})
}
