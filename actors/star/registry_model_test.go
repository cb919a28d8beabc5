package star

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"parley/messages/starpb"
	"parley/testkit"
)

// visitor is a guest and what the model knows of it.
type visitor struct {
	*guest
	identity
	here  bool // connected to "/"
	heard time.Time
}

// register is a rendezvous and the model of its registry.
type register struct {
	*hall
	rt        *rapid.T
	challenge bool
	visitors  []*visitor
	owners    map[string]*visitor
}

// addresses there are few of, so that they are wanted by many. With a challenge
// all have the same key.
const modelAddresses = 5

func (r *register) address(n int) string {
	if r.challenge {
		return newIdentity(r.t, 1).at(n)
	}
	return at(n)
}

// TestRegistryModel does one thing after the other, and compares all that is seen
// with the model.
func TestRegistryModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rapid.SyncTest(rt, func(rt *rapid.T) {
			d := testkit.NewDriver(rapid.Uint64().Draw(rt, "seed"))
			r := &register{rt: rt, challenge: rapid.Bool().Draw(rt, "challenge"), owners: map[string]*visitor{}}
			r.hall = newHall(hallTB{t, rt}, d, Options{Strict: true, Challenge: r.challenge}, anyHallFailures)
			acts := map[string]func(){
				"arrive": r.arrive, "hang up": r.hangUp, "join": r.join, "leave": r.leave,
				"disconnect": r.disconnect, "connect": r.connect, "wait": r.wait,
			}
			names := slices.Sorted(maps.Keys(acts))
			for _, name := range rapid.SliceOfN(rapid.SampledFrom(append(names, "join", "join", "arrive")), 1, 60).Draw(rt, "acts") {
				acts[name]()
				r.online(slices.Collect(maps.Keys(r.owners))...)
			}
			for _, v := range r.visitors {
				v.hangUp()
			}
			r.online()
			r.stop()
		})
	})
}

func (r *register) arrive() {
	v := &visitor{guest: r.guest(Version(rapid.IntRange(0, 1).Draw(r.rt, "version"))), identity: newIdentity(r.t, 1), heard: time.Now()}
	v.here = v.version == Three
	r.visitors = append(r.visitors, v)
}

// pick draws a visitor that is there; nil: nobody is.
func (r *register) pick() *visitor {
	var there []*visitor
	for _, v := range r.visitors {
		if !v.gone {
			there = append(there, v)
		}
	}
	if len(there) == 0 {
		return nil
	}
	return rapid.SampledFrom(there).Draw(r.rt, "visitor")
}

func (r *register) drop(v *visitor) {
	maps.DeleteFunc(r.owners, func(_ string, owner *visitor) bool { return owner == v })
}

func (r *register) hangUp() {
	if v := r.pick(); v != nil {
		v.hangUp()
		r.drop(v)
		r.d.Settle()
	}
}

// tell has a visitor say something, if it may.
func (r *register) tell(v *visitor, m proto.Message) bool {
	v.say(m)
	r.d.Settle()
	if !v.here && v.version == Four {
		if v.code != closeProtocol {
			r.rt.Errorf("%s is closed with %d", v.name, v.code)
		}
		r.drop(v)
	}
	v.heard = time.Now()
	return v.here
}

func (r *register) join() {
	v := r.pick()
	if v == nil {
		return
	}
	address := r.address(rapid.IntRange(1, modelAddresses).Draw(r.rt, "address"))
	for _, other := range r.visitors {
		clear(other.peers)
	}
	data := ""
	if r.challenge {
		if !r.tell(v, v.guest.join(address, v.public)) {
			return
		}
		v.wants(fmt.Sprintf("%d nonce", v.acks-1))
		data = v.sign(v.nonce)
	}
	old := r.owners[address]
	silent := old == nil || time.Since(old.heard) >= rivalSilence
	if !r.tell(v, v.guest.join(address, data)) {
		return
	}
	if old != nil && old != v && !silent && !r.challenge {
		v.wants(fmt.Sprintf(`%d "Address in use"`, v.acks-1))
		return
	}
	v.wants(fmt.Sprintf("%d joined", v.acks-1))
	r.owners[address] = v
	var others []string
	for address, owner := range r.owners {
		if owner != v {
			others = append(others, address)
		}
	}
	slices.Sort(others)
	if !slices.Equal(v.last, others) {
		r.rt.Errorf("%s heard of %q, want %q", v.name, v.last, others)
	}
	for _, other := range r.visitors {
		want := 0
		if other != v && old != v && slices.Contains(slices.Collect(maps.Values(r.owners)), other) {
			want = 1
		}
		if got := other.peers[address]; got != want {
			r.rt.Errorf("%s was told %d times of %s, want %d", other.name, got, v.name, want)
		}
	}
}

func (r *register) leave() {
	v := r.pick()
	if v == nil {
		return
	}
	address := r.address(rapid.IntRange(1, modelAddresses).Draw(r.rt, "address"))
	if r.tell(v, &starpb.Leave{Address: address}) && r.owners[address] == v {
		delete(r.owners, address)
	}
}

func (r *register) disconnect() {
	v := r.pick()
	if v == nil {
		return
	}
	v.say(&starpb.Disconnect{}).wants()
	v.here, v.heard = false, time.Now()
	r.drop(v)
}

func (r *register) connect() {
	v := r.pick()
	if v == nil {
		return
	}
	v.say(&starpb.Connect{Namespace: "/"})
	r.d.Settle()
	switch {
	case v.version == Four && v.here:
		r.drop(v) // it is closed
	case v.version == Four:
		v.guest.wants("connected")
	}
	v.here, v.heard = true, time.Now()
}

func (r *register) wait() {
	r.d.Run(time.Duration(rapid.IntRange(1, 8).Draw(r.rt, "seconds")) * time.Second)
}

// TestRegistryAtOnce has many do things at once. Each join is answered once, and
// in the end an address is its owner's in everybody's eyes.
func TestRegistryAtOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rapid.SyncTest(rt, func(rt *rapid.T) {
			d := testkit.NewDriver(rapid.Uint64().Draw(rt, "seed"))
			challenge := rapid.Bool().Draw(rt, "challenge")
			h := newHall(hallTB{t, rt}, d, Options{Strict: true, Challenge: challenge}, anyHallFailures)
			people := make([]*guest, rapid.IntRange(1, 5).Draw(rt, "people"))
			me := newIdentity(t, 1)
			for i := range people {
				people[i] = h.guest(Three)
			}
			owed := map[*guest]int{} // answers
			for range rapid.IntRange(1, 60).Draw(rt, "steps") {
				g := rapid.SampledFrom(people).Draw(rt, "guest")
				address := me.at(rapid.IntRange(1, 3).Draw(rt, "address"))
				switch rapid.SampledFrom([]string{"join", "join", "join", "leave", "step", "away", "wait", "hang up"}).Draw(rt, "act") {
				case "join":
					data := ""
					if challenge {
						d.Settle()
						if data = me.public; rapid.Bool().Draw(rt, "signs") {
							data = me.sign(g.nonce)
						}
					}
					g.say(g.join(address, data))
					owed[g]++
				case "leave":
					g.say(&starpb.Leave{Address: address})
				case "step":
					d.Settle()
				case "away":
					d.Settle()
					g.say(&starpb.Disconnect{}, &starpb.Connect{Namespace: "/"})
				case "wait":
					d.Run(4 * time.Second)
				case "hang up":
					if rapid.IntRange(0, 3).Draw(rt, "really") == 0 && len(people) > 1 {
						g.hangUp()
						people = slices.DeleteFunc(people, func(other *guest) bool { return other == g })
					}
				}
			}
			h.pass(60 * joinPause) // all joins may be one client's
			for _, g := range people {
				if len(g.heard) != owed[g] {
					rt.Errorf("%s was answered %d times for %d joins: %q", g.name, len(g.heard), owed[g], g.heard)
				}
				g.heard = nil
			}
			h.agreed(me, people)
			h.stop()
		})
	})
}

// agreed checks that each address is online under exactly one guest, and that this
// one knows.
func (h *hall) agreed(me identity, people []*guest) {
	online := h.status().GetAddresses()
	for n := 1; n <= 3; n++ {
		address, may := me.at(n), 0
		for _, g := range people {
			g.say(&starpb.Dial{From: address, To: "nobody", Dial: "d", Ack: proto.Uint64(1)})
			h.d.Settle()
			if slices.Equal(g.heard, []string{`1 "Peer not found"`}) {
				may++
			}
			g.heard = nil
		}
		if want := len(slices.DeleteFunc(slices.Clone(online), func(a string) bool { return a != address })); may != want {
			h.t.Errorf("%d may dial from an address that %d have", may, want)
		}
	}
}
