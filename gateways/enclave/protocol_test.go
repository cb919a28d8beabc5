package enclave

import (
	"encoding/hex"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"parley/gateways/tcp"
)

func paper(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// shownPacket is a line of a transcript: which way, length, content.
var shownPacket = regexp.MustCompile(`(?m)^    A ([<>]) ((?:[0-9a-f]{2} ){4})(.*)$`)

// TestPaperPackets: what is shown is what is read and, unless it is the public
// program's, written.
func TestPaperPackets(t *testing.T) {
	written := 0
	all := shownPacket.FindAllStringSubmatch(paper(t), -1)
	for _, m := range all {
		head, err := hex.DecodeString(strings.ReplaceAll(m[2], " ", ""))
		if err != nil || tcpLength(string(head)) != len(m[3]) {
			t.Errorf("%s is %d long", m[0], len(m[3]))
		}
		p := decoded(t, m[3])
		if strings.Contains(m[3], keyStatusOld) && !strings.Contains(m[3], keyStatusNew) {
			continue
		}
		written++
		if wire, err := (Codec{}).AppendFrames(nil, tcp.Framing{}, p); err != nil || string(wire) != string(head)+m[3] {
			t.Errorf("%q is shown, %q written", string(head)+m[3], wire)
		}
	}
	if len(all) < 9 || written < 7 {
		t.Errorf("%d packets, %d written", len(all), written)
	}
	if !strings.Contains(paper(t), "A > 00 00 00 46 "+vectors[0].wire[4:]) {
		t.Error("the handshake of the public program is not shown")
	}
}

// TestPaperLimits: limits and attributes are as the code has them.
func TestPaperLimits(t *testing.T) {
	text := paper(t)
	names := []string{
		fmt.Sprintf("content of a packet | %d KiB; a setting says more, %d MiB at most", UsualPacket>>10, LargestPacket>>20),
		fmt.Sprintf("nesting | %d deep", depthMost),
		fmt.Sprintf("waiting to be written to one peer | %d MiB, or %d s", outboundLimit>>20, int(writeTimeout.Seconds())),
		fmt.Sprintf("`alias` | string, at most %d bytes", aliasMost),
		fmt.Sprintf("`status-message` | string, at most %d,%03d bytes", statusMost/1000, statusMost%1000),
		fmt.Sprintf("`timestamp` | integer, 0 to %d", lastTime),
	}
	for _, key := range []string{keyID, keyAck} {
		names = append(names, fmt.Sprintf("`%s` | string, at most %d bytes", key, idMost))
	}
	order := "this order:"
	for i, key := range []string{keyStatus, keyAlias, keyStatusOld, keyStatusNew, keyMessage, keyTimestamp, keyID, keyAck} {
		names = append(names, "| `"+key+"` |")
		if i > 0 {
			order += ","
		}
		order += " `" + key + "`"
	}
	for _, name := range append(names, order) {
		if !strings.Contains(text, name) {
			t.Errorf("no word of %s", name)
		}
	}
}
