package verbs

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"parley/cmd/parley/talk/fake"
)

func TestPeers(t *testing.T) {
	daemon, node := both(t)
	since := time.Now().Add(-90 * time.Second).UnixMilli()
	node.On["peers"] = fake.Reply(fmt.Sprintf(`{"peers":[`+
		`{"name":"ben","address":"10.0.0.2:8912","host":"ws://10.0.0.2:8912/","dialled":true,"configured":true,"latency":0.256,"since":%d,"encoding":"pb","foreign":false,"version":"1"},`+
		`{"name":"cid","address":"10.0.0.3:1","host":"","dialled":false,"configured":false,"latency":null,"since":%d,"encoding":"json","foreign":true,"version":""}]}`, since, since))
	o := run(t, daemon, "", "peers")
	rows := strings.Split(o.out, "\n")
	if o.code != 0 || len(rows) != 4 || strings.Fields(rows[1])[0] != "ben" || !strings.Contains(rows[1], "dialled, configured  0.26 ms") ||
		!strings.Contains(rows[1], "1m3") || !strings.Contains(rows[2], "accepted") || !strings.Contains(rows[2], "json, foreign") {
		t.Errorf("got %+v", o)
	}
}

func TestChannelsOfTheMesh(t *testing.T) {
	daemon, node := both(t)
	node.On["channels"] = fake.Reply(`{"channels":[{"name":"a","protected":true,"holders":["n1","n2"]},{"name":"b\u001b","protected":false,"holders":["n3"]}]}`)
	run(t, daemon, "", "channels", "--scope", "network").expect(t, 0, "CHANNEL  PASSWORD  NODES\na        yes       n1 n2\nb\\x1b    no        n3\n", "")
	if got := node.Payloads("channels"); got != `{"scope":"network"}`+"\n" {
		t.Errorf("asked with %s", got)
	}
	if o := run(t, daemon, "", "channels", "--scope", "all"); o.code != 2 || !strings.Contains(o.err, "give node or network") {
		t.Errorf("got %+v", o)
	}
	node.On["channels"] = fake.Reply(`{"channels":[{"name":"a","subscribers":2}]}`)
	run(t, daemon, "", "channels", "--scope", "node").expect(t, 0, "CHANNEL  SUBSCRIBERS\na        2\n", "")
}

func TestStatsOfAnother(t *testing.T) {
	daemon, node := both(t)
	node.On["nodeStats"] = fake.Reply(`{"relay":{"channels":[],"clients":2,"channel_connections":{}},"network":{"packets":{},"bandwidth":{},"out":{}},"channels":{}}`)
	node.On["hostStats"] = fake.Reply(`{"cpu":{"1m":0.5},"mem":{"used":1,"free":1,"cache":1,"total":1},"disk":[],"network":{"bytes":{},"packets":{}}}`)
	if o := run(t, daemon, "", "stats", "--node", "ben"); o.code != 0 || !strings.HasPrefix(o.out, "clients: 2") {
		t.Errorf("got %+v", o)
	}
	for _, opcode := range []string{"nodeStats", "hostStats"} {
		if got := node.Payloads(opcode); got != `{"node":"ben"}`+"\n" {
			t.Errorf("%s asked with %s", opcode, got)
		}
	}
	node.On["nodeStats"] = func(c *fake.Conn, m fake.Message) { c.Fault(m, 22517998136852483, `No node "ben" is known`) }
	run(t, daemon, "", "stats", "--node", "ben").expect(t, 1, "", "parley: stats: No node \"ben\" is known\n")
}
