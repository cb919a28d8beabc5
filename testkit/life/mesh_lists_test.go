package life_test

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"parley/testkit"
)

// TestListFlood has a peer ask for long lists thousands of times, which is short
// to say. Clients open channels meanwhile.
func TestListFlood(t *testing.T) {
	const names, asks = 9000, 20_000
	a := joinMesh(t, "node-a", nil)
	conn, err := net.Dial("tcp", a.relay)
	if err != nil {
		t.Fatal(err)
	}
	w, err := testkit.DialWS(conn, a.relay, "/node", http.Header{"Authentication": {meshToken}})
	if err != nil {
		t.Fatal(err)
	}
	defer w.HangUp()
	seq := 0
	say := func(to, data string) {
		seq++
		_ = w.Say(fmt.Sprintf(`{"source":"rogue","destination":%q,"type":"command","nonce":"3e8-%x","data":{"command":%s}}`, to, seq, data))
	}
	_ = w.Say(`{"command":"handshake","data":{"name":"rogue","boot":1000,"encodings":["json"]}}`)
	linked(t, a, "rogue")
	say("*", `"hello","boot":1000,"ver":0,"round":1,"links":{"node-a":1}`)
	for i := range names {
		say("*", fmt.Sprintf(`"reserve-channel","channel":"c%d","password":"","ts":5,"owner":"rogue","boot":1000,"ver":%d`, i, i+1))
	}
	for range asks {
		say("node-a", `"list-reserved-channels"`)
	}
	first := fmt.Sprintf(`"nonce":"3e8-%x"`, seq-asks+1)
	eventually(t, "node-a is at the lists", func() bool {
		for {
			frame, code, reason, ok := w.Hear()
			switch {
			case code != 0:
				t.Fatalf("%d %s", code, reason)
			case !ok:
				return false
			case strings.Contains(frame[:min(len(frame), 200)], first):
				return true
			}
		}
	}, a.log)
	a.client().ask("subscribe", `{"topic":"room"}`, ok)
}
