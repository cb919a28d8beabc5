package mesh

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"parley/messages/linkpb"
	"parley/messages/meshpb"
)

func paper(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestPaperFrames: what is shown is what is read, and, from nothing but what it
// means, written.
func TestPaperFrames(t *testing.T) {
	shown := 0
	for line := range strings.Lines(paper(t)) {
		frame := strings.TrimSpace(line)
		if !strings.HasPrefix(line, "    ") || !strings.HasPrefix(frame, "> ") && !strings.HasPrefix(frame, "< ") {
			continue
		}
		shown++
		frame = frame[2:]
		m, _ := Codec{}.Decode([]byte(frame), false)
		switch got := m.(type) {
		case *linkpb.Malformed:
			t.Errorf("%s: %s", got.GetReason(), frame)
			continue
		case *meshpb.Frame:
			p := got.GetPackets()[0]
			if c := p.GetCommand(); c != nil && c.GetName() != "list-nodes" && proto.Size(c) <= len(c.GetName())+2 {
				t.Errorf("nothing but a name was read: %s", frame)
			}
			if r := p.GetResponse(); r != nil && parts(r) == 0 && r.GetReason() == "" {
				t.Errorf("no part was read: %s", frame)
			}
			m = without(p)
		}
		if got := string(written(t, m)); got != frame {
			t.Errorf("written as\n%s, shown is\n%s", got, frame)
		}
	}
	if shown < 15 {
		t.Errorf("%d frames", shown)
	}
}

// reasons of frames that make no sense, as the code has them.
var reasonLine = regexp.MustCompile(`(?m)^\treason\w+ += ("[^"]+")$`)

// TestPaperNames: reasons, close codes and limits are all there.
func TestPaperNames(t *testing.T) {
	text := paper(t)
	var names []string
	for _, file := range []string{"codec.go", "gateway.go"} {
		code, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range reasonLine.FindAllStringSubmatch(string(code), -1) {
			reason, err := strconv.Unquote(m[1])
			if err != nil {
				t.Fatal(err)
			}
			if file == "gateway.go" {
				names = append(names, `{"ok":false,"reason":"`+reason+`"}`)
			} else {
				names = append(names, "`"+reason+"`")
			}
		}
	}
	if len(names) < 25 {
		t.Fatalf("%d reasons found", len(names))
	}
	for _, c := range []string{cmdConnection, cmdToken, cmdLatency, cmdReserve, cmdUnreserve, cmdHello, cmdSync} {
		names = append(names, "`"+c+"`")
	}
	names = append(names, "| "+strconv.Itoa(CloseForbidden)+" |", "| "+strconv.Itoa(CloseNameInUse)+" |")
	for _, limit := range []struct {
		n    int
		unit string
	}{{MaxFrame >> 20, " MiB"}, {outboundLimit >> 20, " MiB queued"}, {maxDepth, " deep"}, {maxValueDepth, " deep"}, {maxNonce, " bytes"}, {maxName, " bytes"}, {maxEncodings, " |"}, {maxLinks, " links"}, {maxHello >> 10, " KiB |"}} {
		names = append(names, strconv.Itoa(limit.n)+limit.unit)
	}
	for _, n := range []int{maxEntries, maxVia, maxNames} {
		s := strconv.Itoa(n)
		names = append(names, s[:len(s)-3]+","+s[len(s)-3:])
	}
	for _, name := range names {
		if !strings.Contains(text, name) {
			t.Errorf("no word of %s", name)
		}
	}
}
