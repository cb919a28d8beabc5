package star

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"parley/messages"
	"parley/messages/starpb"
	"parley/testkit"
)

// TestRoomIsLentOnce has packets of all sizes come and be given back in any
// order, and more than once: none is written over while it is somebody's.
func TestRoomIsLentOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type owned struct{ m, was *starpb.Stream }
		var all []owned
		n := byte(0)
		t.Repeat(map[string]func(*rapid.T){
			"decode": func(t *rapid.T) {
				n++
				text := `451-["` + pull + `queue.` + dialID + `.dialer",` + placed0 + `]`
				if rapid.Bool().Draw(t, "spelled otherwise") {
					text = strings.Replace(text, ",", " ,", 1)
				}
				size := rapid.OneOf(rapid.IntRange(0, 100), rapid.IntRange(roomLeast-200, roomLeast), rapid.IntRange(0, roomSize<<roomSizes)).Draw(t, "size")
				got, _ := decoded(t, Codec{}, composite(text, string(bytes.Repeat([]byte{n}, size))), true)
				m, ok := got.(*starpb.Stream)
				if !ok {
					t.Fatalf("became %T", got)
				}
				if room := cap(m.GetRoom()); room > 0 && room > 2*(len(m.GetPacket())+size)+1 {
					t.Fatalf("%d bytes hold room for %d", size, room)
				}
				all = append(all, owned{m, proto.CloneOf(m)})
			},
			"give back": func(t *rapid.T) {
				if len(all) == 0 {
					t.Skip("nothing is there")
				}
				i := rapid.IntRange(0, len(all)-1).Draw(t, "which")
				for range rapid.IntRange(1, 2).Draw(t, "times") {
					Codec{Four: rapid.Bool().Draw(t, "four")}.GiveBack(all[i].m)
				}
				if cap(all[i].m.GetRoom()) > 0 {
					t.Fatal("given back, and still there")
				}
				all[i] = all[len(all)-1]
				all = all[:len(all)-1]
			},
			"": func(t *rapid.T) {
				for _, o := range all {
					if !proto.Equal(o.m, o.was) {
						t.Fatalf("%.80v became %.80v", o.was, o.m)
					}
				}
			},
		})
	})
}

// TestForeignMemoryIsNotLent: what was not taken from the rooms, or has another
// size, stays out of them.
func TestForeignMemoryIsNotLent(t *testing.T) {
	for _, m := range []proto.Message{
		&starpb.Ping{}, &starpb.Stream{Packet: make([]byte, roomSize)}, &starpb.Stream{Room: make([]byte, 0, roomSize+1)},
	} {
		Codec{}.GiveBack(m)
	}
	for range 10 {
		if b, lent := room(roomSize); cap(b) != roomSize || len(b) != 0 || !lent {
			t.Fatalf("room for %d, lent %v", cap(b), lent)
		}
	}
	for _, size := range []int{0, roomLeast - 1, roomSize<<(roomSizes-1) + 1} {
		if b, lent := room(size); cap(b) < size || lent {
			t.Errorf("room for %d instead of %d, lent %v", cap(b), size, lent)
		}
	}
}

// TestStreamsShareRooms passes chunks on between clients of both versions, all at
// once and to a reader that is slow: every byte comes as it was sent, although
// the memory that it was in is used again and again.
func TestStreamsShareRooms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const pairs, chunks = 3, 40
		v := newVenue(t, nil, testkit.Window(50_000))
		ends := make([][2]*testkit.WS, pairs)
		v.pass = map[string]int{}
		for i := range ends {
			ends[i] = [2]*testkit.WS{v.dial(i % versions), v.dial((i + 1) % versions)}
			v.pass[fmt.Sprintf("d%d.dialer", i)] = 2*i + 1
			for _, w := range ends[i] {
				hear(w)
			}
		}
		var wait sync.WaitGroup
		for i, pair := range ends {
			pair[1].Pause()
			wait.Go(func() {
				for n := range chunks {
					say(t, pair[0], chunkFor(i, n), i%versions)
				}
			})
		}
		wait.Wait()
		synctest.Wait()
		for i, pair := range ends {
			pair[1].Resume()
			for n, got := 0, hear(pair[1]); n < chunks; n++ {
				want := chunkFor(i, n)
				attachment := want.binary[0]
				if (i+1)%versions == three {
					attachment = "\x04" + attachment
				}
				if len(got) < 2*(n+1) || got[2*n] != want.text || got[2*n+1] != "binary "+hex.EncodeToString([]byte(attachment)) {
					t.Fatalf("pair %d: chunk %d came wrong, %d frames in all", i, n, len(got))
				}
			}
			pair[0].HangUp()
			pair[1].HangUp()
		}
		v.stop()
	})
}

// chunkFor is the nth chunk of a pair, unlike all others.
func chunkFor(pair, n int) in {
	size := []int{10, 3000, 16 << 10, 30 << 10, 90 << 10}[n%5]
	return in{
		text:   fmt.Sprintf(`451-["%squeue.d%d.dialer",%s]`, pull, pair, placed0),
		binary: []string{strings.Repeat(string(rune('A'+pair))+string(rune('a'+n%26)), size/2)},
	}
}

// passOn writes a stream to the link that pass says.
func (v *venue) passOn(m *starpb.Stream) bool {
	to, ok := v.pass[m.GetId()]
	if ok {
		v.sys.Root.Send(v.links[to], &messages.Paced{Message: m})
	}
	return ok
}
