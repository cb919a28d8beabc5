package enclave

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"parley/messages/enclavepb"
	"parley/testkit"
)

// TestHistoryPages goes back page by page to the beginning, whatever the size of
// a page, and says rightly whether there are older entries.
func TestHistoryPages(t *testing.T) {
	inBureau(t, 1, nil, func(b *bureau) {
		const n = 250
		for i := 1; i <= n; i++ {
			b.say(ada, i%3 == 0, fmt.Sprint("run-", i))
		}
		b.say(bob, false, "other")
		b.d.Run(time.Second)
		for _, size := range []uint32{0, 1, 7, 100, 125, 128, 129, 249, 250, 251, 5000} {
			var all []string
			page := int(size)
			if page == 0 {
				page = pageUsual
			}
			h := &enclavepb.History{With: ada, Most: size}
			for {
				r := b.history(h)
				all = slices.Concat(lines(r.GetEntries()), all)
				if want := min(page, n-len(all)+len(r.GetEntries())); len(r.GetEntries()) != want || r.GetMore() != (len(all) < n) {
					b.t.Fatalf("pages of %d: %d entries, more %v, %d so far", size, len(r.GetEntries()), r.GetMore(), len(all))
				}
				if !r.GetMore() {
					break
				}
				h.Before = r.GetEntries()[0].GetSerial()
			}
			if len(all) != n || all[0] != "run-1" || all[n-1] != "run-250" || all[2] != "run-3 queued" {
				b.t.Errorf("pages of %d: %.100q", size, all)
			}
		}
		b.wantsPage(&enclavepb.History{With: ada, Before: 1}, false)
		b.wantsPage(&enclavepb.History{With: ada, Before: 2}, false, "run-1")
		b.wantsPage(&enclavepb.History{With: ada, Most: 1, Before: math.MaxUint64}, true, "run-250")
		b.wantsPage(&enclavepb.History{With: "::ffff:" + ada, Most: 1}, true, "run-250")
	})
}

// TestHistoryOfLongMessages has pages that are not too large, and asks the store
// for no more than it shows at once.
func TestHistoryOfLongMessages(t *testing.T) {
	inBureau(t, 1, func(b *bureau) { b.shelf.takes = time.Millisecond }, func(b *bureau) {
		const n, size = 200, 110 << 10
		for i := range n {
			b.say(ada, false, fmt.Sprintf("%06d%s", i, strings.Repeat("x", size)))
			b.d.Run(10 * time.Millisecond)
		}
		h := &enclavepb.History{With: ada, Most: 1000}
		seen := n
		for {
			r := b.history(h)
			if len(r.GetEntries()) == 0 || len(r.GetEntries()) > pageBytes/size+1 {
				b.t.Fatalf("a page of %d", len(r.GetEntries()))
			}
			seen -= len(r.GetEntries())
			if first := r.GetEntries()[0].GetMessage()[:6]; first != fmt.Sprintf("%06d", seen) {
				b.t.Fatalf("after %d comes %s", seen, first)
			}
			if !r.GetMore() {
				break
			}
			h.Before = r.GetEntries()[0].GetSerial()
		}
		if seen != 0 {
			b.t.Errorf("%d were not shown", seen)
		}
	})
}

// TestHistoryPassesOverPagesThatCannotBeRead: who asks is told of what is older, or
// that there is nothing, and so can always go on.
func TestHistoryPassesOverPagesThatCannotBeRead(t *testing.T) {
	inBureau(t, 3, (*bureau).withSafe, func(b *bureau) {
		b.rekey(nil, "right")
		b.d.Run(standingEvery)
		b.say(ada, false, count("", 1, 400)...)
		b.say(bob, false, count("", 1, 400)...)
		b.say("10.0.0.3", false, "a", "b")
		b.d.Run(time.Minute)
		h := func(address string, most uint32, before uint64) *enclavepb.History {
			q := with(address, "right")
			q.Most, q.Before = most, before
			return q
		}
		b.wantsPage(h(ada, 2, 0), true, "399", "400")
		b.shelf.spoil(ada, 1, 10)
		b.shelf.spoil(ada, 51, 399)
		b.shelf.spoil(bob, 1, 400)
		b.wantsPage(h(ada, 2, 0), true, "400")
		b.wantsPage(h(ada, 2, 400), true, "50") // 51 is of the same page
		b.wantsPage(h(ada, 1, 400), true, "50")
		b.wantsPage(h(ada, 1000, 400), false, count("", 11, 50)...)
		b.wantsPage(h(ada, 2, 13), true, "11", "12")
		b.wantsPage(h(ada, 2, 11), false)
		b.wantsPage(h(ada, 1, 51), true, "50")
		for _, most := range []uint32{0, 1, 3, 1000} {
			b.wantsPage(h(bob, most, 0), false)
		}
		b.wantsPage(h("10.0.0.3", 0, 0), false, "a", "b")
		if len(b.chronicle.inquiries) != 0 {
			b.t.Errorf("%d inquiries are left", len(b.chronicle.inquiries))
		}
	})
}

// spoil damages entries, so that they cannot be opened.
func (s *shelf) spoil(address string, from, to uint64) {
	for i := from; i <= to; i++ {
		key := saidKey(address, i)
		r := proto.CloneOf(s.brief[key])
		r.Value[len(r.Value)-1] ^= 1
		s.brief[key] = r
	}
}

// TestHistorySeesWhatWasSaidBefore it was asked for, though that is not stored yet.
func TestHistorySeesWhatWasSaidBefore(t *testing.T) {
	inBureau(t, 5, func(b *bureau) { b.shelf.takes = time.Second }, func(b *bureau) {
		b.say(ada, false, "one")
		b.d.Settle()
		b.say(ada, false, "two", "three")
		b.say(ada, true, "run-1")
		b.wants(ada, "one", "two", "three", "run-1 queued")
	})
}

// TestHistoryRefused says what is wrong.
func TestHistoryRefused(t *testing.T) {
	inBureau(t, 1, nil, func(b *bureau) {
		b.say(ada, false, "one")
		b.d.Run(time.Second)
		if r := b.history(&enclavepb.History{With: "ada"}); r.GetOk() || !strings.Contains(r.GetReason(), `"ada"`) {
			b.t.Errorf("answered %v", r)
		}
		b.shelf.blind = slices.Repeat([]string{"broken"}, 10)
		if r := b.history(&enclavepb.History{With: ada}); r.GetOk() || !strings.Contains(r.GetReason(), "broken") {
			b.t.Errorf("answered %v", r)
		}
		b.shelf.blind = nil
		b.shelf.corrupt[saidKey(ada, 1)] = true
		b.wants(ada)
		delete(b.shelf.corrupt, saidKey(ada, 1))
		b.wants(ada, "one")

		b.shelf.mute = inquiriesMost
		b.results = nil
		for range inquiriesMost + 1 {
			b.sys.Root.Send(b.met.chronicle, &asked{&enclavepb.Command{Body: &enclavepb.Command_History{History: &enclavepb.History{With: ada}}}, b.person})
		}
		b.d.Settle()
		if len(b.results) != 1 || b.results[0].GetReason() != reasonBusy {
			b.t.Errorf("answered %v", b.results)
		}
		b.d.Run(inquiryTime)
		if len(b.results) != inquiriesMost+1 || len(b.chronicle.inquiries) != 0 {
			b.t.Errorf("%d answers", len(b.results))
		}
		b.wants(ada, "one")
	})
}

// TestHistoryWhileChronicleFails is answered all the same.
func TestHistoryWhileChronicleFails(t *testing.T) {
	inBureau(t, 1, (*bureau).withSafe, func(b *bureau) {
		b.d.Run(time.Second)
		b.shelf.mute = 1
		b.sys.Root.Send(b.met.chronicle, &asked{&enclavepb.Command{Body: &enclavepb.Command_History{History: &enclavepb.History{With: ada}}}, b.person})
		b.d.Settle()
		b.say(ada, false, "one")
		b.fail(b.met.chronicle)
		b.d.Run(time.Second)
		if len(b.results) == 0 && len(b.chronicle.inquiries) > 0 {
			b.t.Error("the history waits for ever")
		}
		b.wants(ada, "one")
	})
}

// TestHistoryModel says, delivers, kills and looks back at random: what is seen
// is what was stored when it was noted, in order.
func TestHistoryModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		moves := rapid.SliceOfN(rapid.IntRange(0, 9), 1, 60).Draw(rt, "moves")
		before := rapid.Uint64Range(1, 70).Draw(rt, "before")
		most := rapid.Uint32Range(1, 70).Draw(rt, "most")
		ok := t.Run("", func(t *testing.T) {
			inBureau(t, 1, func(b *bureau) { b.shelf.takes = time.Millisecond }, func(b *bureau) {
				var all []string
				own := []int{}
				for i, move := range moves {
					text := makeID("run", uint64(i))
					switch {
					case move < 4:
						b.say(ada, false, text)
						all = append(all, text)
					case move < 7:
						b.say(ada, true, text)
						all = append(all, text+" queued")
						own = append(own, len(all)-1)
					case move == 7 && len(own) > 0:
						at := own[len(own)/2]
						id, _, _ := strings.Cut(all[at], " ")
						all[at] = id + " delivered"
						b.sys.Root.Send(b.met.chronicle, &progressed{ada, id, enclavepb.Delivery_DELIVERY_DELIVERED})
					case move == 8:
						b.d.Run(time.Millisecond)
					case move == 9:
						b.d.Run(time.Second)
						b.kill()
					}
				}
				b.d.Run(time.Second)
				b.wants(ada, all...)
				to := min(len(all), int(before)-1)
				from := max(0, to-int(most))
				b.wantsPage(&enclavepb.History{With: ada, Before: before, Most: most}, from > 0, all[from:to]...)
			})
		})
		if !ok {
			rt.Fatal("failed")
		}
	})
}

// TestCommandsForChronicle that are none of its own are refused.
func TestCommandsForChronicle(t *testing.T) {
	inBureau(t, 1, nil, func(b *bureau) {
		b.sys.Root.Send(b.met.chronicle, &asked{send("a", "b"), b.person})
		b.d.Settle()
		if len(b.results) != 1 || b.results[0].GetOk() {
			b.t.Errorf("answered %v", b.results)
		}
	}, testkit.ExpectFailures(0))
}

// TestAddressed is the same question, of an address.
func TestAddressed(t *testing.T) {
	h := &enclavepb.History{With: "ada", Most: 4, Before: 5, Password: proto.String("hunter2")}
	for _, test := range []*enclavepb.History{h, {With: "ada"}} {
		a := &asked{&enclavepb.Command{Id: "x", Member: 3, Body: &enclavepb.Command_History{History: test}}, nil}
		want := proto.CloneOf(a.command)
		want.GetHistory().With = ada
		if got := addressed(a, ada); !proto.Equal(got.command, want) || test.GetWith() != "ada" {
			t.Errorf("%v became %v", a.command, got.command)
		}
	}
}
