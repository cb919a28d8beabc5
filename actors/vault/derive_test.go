package vault

import (
	"encoding/hex"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/vaultpb"
	"parley/testkit"
)

// TestDerive compares with known answers: those of argon2's reference
// implementation, for argon2id version 19.
func TestDerive(t *testing.T) {
	for _, c := range []struct {
		memory, passes uint32
		password, salt string
		want           string
	}{
		{64 << 10, 2, "password", "somesalt", "09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7"},
		{256, 2, "password", "somesalt", "9dfeb910e80bad0311fee20f9c0e2b12c17987b4cac90c2ef54d5b3021c68bfe"},
		{64 << 10, 2, "differentpassword", "somesalt", "0b84d652cf6b0c4beaef0dfe278ba6a80df6696281d7e0d2891b817d8c458fde"},
		{64 << 10, 2, "password", "diffsalt", "bdf32b05ccc42eb15d58fd19b1f856b113da1e9a5874fdcc544308565aa8141c"},
	} {
		m := &vaultpb.DeriveRequest{Password: c.password, Salt: []byte(c.salt), Memory: c.memory, Passes: c.passes, Lanes: 1}
		if got := hex.EncodeToString(derive(m)); got != c.want {
			t.Errorf("%d KiB, %d passes, %q, %q: %s, want %s", c.memory, c.passes, c.password, c.salt, got, c.want)
		}
	}
}

// asker asks for keys, and keeps what it hears.
type asker struct {
	pid   *actor.PID
	heard []string
}

func (a *asker) Receive(ctx actor.Context) {
	if m, ok := ctx.Message().(*vaultpb.DeriveResponse); ok {
		a.heard = append(a.heard, fmt.Sprint(m.GetSerial(), " ", string(m.GetKey()), m.GetBusy()))
	}
}

// workshop is a vault whose derivations take 40 ms and end with their password.
func workshop(t *testing.T, test func(d *testkit.Driver, ask func(*vaultpb.DeriveRequest), a *asker, most *int)) {
	synctest.Test(t, func(t *testing.T) {
		d := testkit.NewDriver(1)
		sys := testkit.System(t, testkit.Under(d))
		v, a := newVault(Limits{Workers: 1, Queue: 1}), &asker{}
		now, most := 0, 0
		v.hash = func(*vaultpb.HashRequest) []byte { time.Sleep(time.Hour); return nil } // relay clients guess
		v.derive = func(m *vaultpb.DeriveRequest) []byte {
			now++
			most = max(most, now)
			time.Sleep(40 * time.Millisecond)
			now--
			return []byte(m.GetPassword())
		}
		pid := v.spawn(sys.Root)
		a.pid = tree.Spawn(sys.Root, "", tree.Spec{New: func() actor.Actor { return a }})
		sys.Root.RequestWithCustomSender(pid, &vaultpb.HashRequest{Channel: "x", Password: "y"}, a.pid)
		test(d, func(m *vaultpb.DeriveRequest) {
			sys.Root.RequestWithCustomSender(pid, m, a.pid)
			d.Settle()
		}, a, &most)
		d.Run(2 * time.Hour)
		testkit.Stop(t, sys, pid, a.pid)
	})
}

func want(serial uint64, password string) *vaultpb.DeriveRequest {
	return &vaultpb.DeriveRequest{Serial: serial, Password: password, Salt: []byte("somesalt"), Memory: 8, Passes: 1, Lanes: 1}
}

// TestDerivationsRest does one at a time, and rests as long as it works.
func TestDerivationsRest(t *testing.T) {
	workshop(t, func(d *testkit.Driver, ask func(*vaultpb.DeriveRequest), a *asker, most *int) {
		start := time.Now()
		for i := range uint64(3) {
			ask(want(i, fmt.Sprint("p", i)))
		}
		d.RunUntil(time.Minute, func() bool { return len(a.heard) == 3 })
		if took := time.Since(start); took < 200*time.Millisecond || took > 250*time.Millisecond || *most != 1 {
			t.Errorf("took %v, %d at once", took, *most)
		}
		if got := fmt.Sprint(a.heard); got != "[0 p0false 1 p1false 2 p2false]" {
			t.Errorf("heard %s", got)
		}
	})
}

func TestDerivationsHaveBounds(t *testing.T) {
	workshop(t, func(d *testkit.Driver, ask func(*vaultpb.DeriveRequest), a *asker, _ *int) {
		for i := range uint64(deriveQueue + 2) { // one under way
			ask(want(i, "p"))
		}
		if got := fmt.Sprint(a.heard); got != fmt.Sprintf("[%d true]", deriveQueue+1) {
			t.Errorf("heard %s", got)
		}
		d.RunUntil(time.Minute, func() bool { return len(a.heard) == deriveQueue+2 })
		a.heard = nil
		for i, spoil := range []func(m *vaultpb.DeriveRequest){
			func(m *vaultpb.DeriveRequest) { m.Memory = 7 },
			func(m *vaultpb.DeriveRequest) { m.Memory = 1<<20 + 1 },
			func(m *vaultpb.DeriveRequest) { m.Passes = 0 },
			func(m *vaultpb.DeriveRequest) { m.Lanes = 256 },
			func(m *vaultpb.DeriveRequest) { m.Salt = nil },
			func(m *vaultpb.DeriveRequest) { m.Password = string(make([]byte, passwordMost+1)) },
		} {
			m := want(uint64(i), "p")
			spoil(m)
			ask(m)
		}
		if got := fmt.Sprint(a.heard); got != "[0 false 1 false 2 false 3 false 4 false 5 false]" {
			t.Errorf("heard %s", got)
		}
	})
}
