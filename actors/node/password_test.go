package node

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/ui"
	"parley/messages/faultpb"
	"parley/messages/uipb"
	"parley/messages/vaultpb"
	"parley/testkit"
)

// keeper is a world with password and a safe made of paper.
type keeper struct {
	*world
	safe, password *actor.PID

	asked   []proto.Message // of the safe, when it is silent
	askers  []*actor.PID    // of asked
	silent  bool            // the safe waits for the test
	current *string         // the password; nil: none
	problem string          // what is wrong with the database
	outcome vaultpb.RekeyResponse_Outcome
	fail    bool // the safe panics
}

func onPassword(t *testing.T, seeds uint64, opts []testkit.SystemOption, test func(t *testing.T, k *keeper)) {
	testkit.Seeds(t, seeds, func(t *testing.T, d *testkit.Driver) {
		k := &keeper{}
		k.world = newWorld(t, d, func(w *world, ctx actor.Context) {
			k.safe = w.paper(ctx, "safe", k.onSafe)
			k.password = SpawnPassword(ctx, k.safe, w.broadcasts)
		}, opts...)
		test(t, k)
		k.stop()
	})
}

// onSafe is what the safe does.
func (k *keeper) onSafe(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *vaultpb.CheckRequest, *vaultpb.RekeyRequest:
		if k.fail {
			panic("told to")
		}
		if k.silent {
			k.asked, k.askers = append(k.asked, m.(proto.Message)), append(k.askers, ctx.Sender())
			return
		}
		ctx.Respond(k.answer(m.(proto.Message)))
	}
}

// answer is that of the safe.
func (k *keeper) answer(m proto.Message) proto.Message {
	right := func(p *string) bool {
		return (p == nil) == (k.current == nil) && (p == nil || *p == *k.current)
	}
	if c, ok := m.(*vaultpb.CheckRequest); ok {
		return &vaultpb.CheckResponse{Matches: k.problem == "" && right(c.Password), Error: k.problem, Serial: c.GetSerial()}
	}
	r := m.(*vaultpb.RekeyRequest)
	out := &vaultpb.RekeyResponse{Serial: r.GetSerial(), Outcome: vaultpb.RekeyResponse_OUTCOME_DONE}
	switch {
	case k.problem != "":
		out.Outcome, out.Reason = k.outcome, k.problem
	case k.current != nil && r.OldPassword == nil:
		out.Outcome = vaultpb.RekeyResponse_OUTCOME_HAS_PASSWORD
	case !right(r.OldPassword):
		out.Outcome = vaultpb.RekeyResponse_OUTCOME_BAD_PASSWORD
	default:
		k.current = proto.String(r.GetNewPassword())
	}
	return out
}

// speak has the safe answer what it was asked i-th.
func (k *keeper) speak(i int) { k.sys.Root.Send(k.askers[i], k.answer(k.asked[i])); k.d.Settle() }

func (k *keeper) check(p *string) *asked {
	return k.ask(k.password, owner, "checkPassword", &uipb.PasswordRequest{Password: p})
}

func (k *keeper) change(before *string, after string) *asked {
	return k.ask(k.password, owner, "changePassword", &uipb.ChangePasswordRequest{OldPassword: before, NewPassword: after})
}

var (
	matches  = &uipb.PasswordMatch{Matches: true}
	differs  = &uipb.PasswordMatch{}
	newOne   = &uipb.Announce{Response: uipb.Broadcast("newPassword", &uipb.Done{}), Except: 7}
	newToAll = &uipb.Announce{Response: uipb.Broadcast("newPassword", &uipb.Done{})}
)

func TestPassword(t *testing.T) {
	onPassword(t, 5, nil, func(_ *testing.T, k *keeper) {
		k.check(nil).hears(matches)
		k.check(proto.String("")).hears(differs) // "" is a password
		k.change(proto.String("x"), "y").hears(ui.Fault(281474976710662, "The old password is not the password of the database"))
		k.hears()
		k.change(nil, "").hears(&uipb.Done{})
		k.hears(newOne)
		k.check(nil).hears(differs)
		k.check(proto.String("")).hears(matches)
		k.change(nil, "y").hears(ui.Fault(281474976710658, "The database already has a password. You may only change it"))
		k.change(proto.String("x"), "y").hears(ui.Fault(281474976710662, "The old password is not the password of the database"))
		k.hears()
		k.change(proto.String(""), "y").hears(&uipb.Done{})
		k.hears(newOne)
		k.check(proto.String("y")).hears(matches)
		k.check(proto.String("Y")).hears(differs)
		k.ask(k.password, owner, "start", nil).hears(ui.Fault(ui.CodeUnmarshal, `Opcode "start" is not answered here`))
		k.ask(k.password, owner, "changePassword", nil).hears(ui.Fault(ui.CodeUnmarshal, `Opcode "changePassword" is not answered here`))
		k.ask(k.password, owner, "checkPassword", nil).hears(differs)
	})
}

func TestPasswordProblems(t *testing.T) {
	for _, c := range []struct {
		outcome vaultpb.RekeyResponse_Outcome
		want    *uipb.Fault
	}{
		{vaultpb.RekeyResponse_OUTCOME_NOT_WRITTEN, ui.Fault(281474976710658, "it is so")},
		{vaultpb.RekeyResponse_OUTCOME_UNREADABLE, ui.Fault(281474976710657, "it is so")},
		{vaultpb.RekeyResponse_OUTCOME_BUSY, ui.Fault(ui.CodeTooMany, "it is so")},
		{vaultpb.RekeyResponse_OUTCOME_UNSPECIFIED, ui.Fault(281474976710670, textUnknown)},
	} {
		onPassword(t, 1, nil, func(_ *testing.T, k *keeper) {
			k.problem, k.outcome = "it is so", c.outcome
			k.change(nil, "x").hears(c.want)
			k.check(nil).hears(ui.Fault(281474976710657, "it is so"))
			k.hears()
		})
	}
}

// TestPasswordWaits for the safe: askers do not wait for each other.
func TestPasswordWaits(t *testing.T) {
	onPassword(t, 5, nil, func(t *testing.T, k *keeper) {
		k.silent = true
		other := &uipb.Asker{Member: 8}
		a := k.change(nil, "x")
		a.silent()
		b := k.ask(k.password, other, "checkPassword", &uipb.PasswordRequest{Password: proto.String("guess")})
		b.silent()
		want := []proto.Message{
			&vaultpb.RekeyRequest{Member: 7, NewPassword: "x", Serial: 1},
			&vaultpb.CheckRequest{Member: 8, Password: proto.String("guess"), Serial: 2},
		}
		for i, m := range want {
			if !proto.Equal(k.asked[i], m) {
				t.Errorf("the safe is asked %v, want %v", k.asked[i], m)
			}
		}
		k.speak(1)
		b.hears(differs)
		a.silent()
		k.speak(0)
		a.hears(&uipb.Done{})
		k.hears(newOne)
		k.speak(1) // says it again
		k.sys.Root.Send(k.password, &vaultpb.RekeyResponse{Outcome: vaultpb.RekeyResponse_OUTCOME_DONE, Serial: 99})
		k.hears(newToAll) // whoever asked
	})
}

// TestPasswordForgets who will never be answered, and not who may be.
func TestPasswordForgets(t *testing.T) {
	testkit.Seeds(t, 1, func(t *testing.T, d *testkit.Driver) {
		p := &password{}
		k := &keeper{silent: true}
		k.world = newWorld(t, d, func(w *world, ctx actor.Context) {
			p.safe, p.broadcasts = w.paper(ctx, "safe", k.onSafe), w.broadcasts
			k.password = w.paper(ctx, "password", p.Receive)
		})
		for range 100 {
			k.check(nil).leave()
			k.d.Settle()
		}
		k.d.Run(passwordTimeout)
		a := k.check(nil)
		a.silent()
		k.d.Run(time.Millisecond)
		b := k.check(nil)
		b.silent()
		if n := len(p.waiting.open); n != 2 {
			t.Errorf("%d wait, want 2", n)
		}
		k.speak(100)
		a.hears(matches)
		k.speak(101)
		b.hears(matches)
		k.speak(0) // too late
		k.stop()
	})
}

// TestSafeFails, and password: nobody waits for ever.
func TestSafeFails(t *testing.T) {
	unchecked, unknown := ui.Fault(281474976710670, textUnchecked), ui.Fault(281474976710670, textUnknown)
	onPassword(t, 5, []testkit.SystemOption{testkit.ExpectFailures(1)}, func(_ *testing.T, k *keeper) {
		k.silent = true
		a, b := k.check(nil), k.change(nil, "x")
		a.silent()
		b.silent()
		k.restart(k.password)
		a.hears(unchecked)
		b.hears(unknown)
		k.speak(0)
		k.speak(1) // whoever waited: there is a new password
		k.hears(newToAll)
		c := k.change(proto.String("x"), "y")
		c.silent()
		k.fail = true
		k.check(nil).hears(unchecked)
		c.hears(unknown)
		k.fail, k.silent = false, false
		k.check(proto.String("x")).hears(matches)
		k.hears()
	})
}

func TestSafeIsGone(t *testing.T) {
	testkit.Seeds(t, 2, func(t *testing.T, d *testkit.Driver) {
		k := &keeper{}
		k.world = newWorld(lenient{t}, d, func(w *world, ctx actor.Context) {
			k.password = SpawnPassword(ctx, w.sys.NewLocalPID("safe"), w.broadcasts)
		})
		k.check(nil).hears(ui.Fault(ui.CodeUnknown, textUnchecked))
		k.change(nil, "x").hears(ui.Fault(ui.CodeUnknown, textUnknown))
		k.stop()
	})
}

// TestPasswordInAnyOrder has many ask while the safe answers, fails and forgets
// in any order: everybody is answered once at most, and with their own answer.
func TestPasswordInAnyOrder(t *testing.T) {
	onPassword(t, 100, nil, func(t *testing.T, k *keeper) {
		rng := rand.New(rand.NewPCG(k.d.Seed(), 3))
		k.silent = true
		type try struct {
			a    *asked
			want proto.Message
			at   time.Time
		}
		var tries []try // as in k.asked
		open := map[int]bool{}
		for range 60 {
			switch rng.IntN(8) {
			case 0, 1, 2:
				a := k.ask(k.password, &uipb.Asker{Member: uint64(len(tries))}, "checkPassword", &uipb.PasswordRequest{Password: proto.String(fmt.Sprint(len(tries)))})
				k.d.Settle()
				open[len(tries)] = true
				tries = append(tries, try{a: a, at: time.Now()})
			case 3, 4, 5:
				if len(tries) == 0 {
					continue
				}
				i := rng.IntN(len(tries))
				asked := k.asked[i].(*vaultpb.CheckRequest)
				if asked.GetMember() != uint64(i) || asked.GetPassword() != fmt.Sprint(i) {
					t.Fatalf("the safe was asked %v by %d", asked, i)
				}
				k.sys.Root.Send(k.askers[i], &vaultpb.CheckResponse{Serial: asked.GetSerial(), Error: fmt.Sprint(i)})
				k.d.Settle()
				if open[i] && time.Since(tries[i].at) <= passwordTimeout {
					tries[i].want = ui.Fault(ui.CodeRead, fmt.Sprint(i))
				}
				delete(open, i)
			case 6:
				k.d.Run(time.Duration(rng.IntN(20)) * time.Second)
			case 7:
				if rng.IntN(4) > 0 {
					continue
				}
				k.sys.Root.Send(k.password, &faultpb.Failed{Actor: k.safe.GetId()})
				k.d.Settle()
				for i := range open {
					if time.Since(tries[i].at) <= passwordTimeout {
						tries[i].want = ui.Fault(ui.CodeUnknown, textUnchecked)
					}
				}
				clear(open)
			}
		}
		for i, y := range tries {
			switch {
			case len(y.a.answers) > 1:
				t.Errorf("%d was answered %v", i, y.a.answers)
			case y.want != nil && (len(y.a.answers) == 0 || !proto.Equal(y.a.answers[0], y.want)):
				t.Errorf("%d was answered %v, want %v", i, y.a.answers, y.want)
			}
			y.a.leave()
		}
	})
}
