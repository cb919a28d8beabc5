package star

import (
	"encoding/hex"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"parley/gateways/jsonwalk"
	"parley/messages/linkpb"
	"parley/messages/starpb"
)

func paper(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// shownFrame is a line of a transcript: who, which way, what.
var shownFrame = regexp.MustCompile(`(?m)^    ([AB]) ([<>]) (.*)$`)

// transcripts are the frames that are shown, each with its attachments.
func transcripts(t *testing.T) (said, told []in) {
	t.Helper()
	for _, m := range shownFrame.FindAllStringSubmatch(paper(t), -1) {
		list := &said
		if m[2] == "<" {
			list = &told
		}
		digits, binary := strings.CutPrefix(m[3], "binary 04")
		if !binary {
			*list = append(*list, in{name: m[1], text: m[3]})
			continue
		}
		b, err := hex.DecodeString(digits)
		if err != nil {
			t.Fatal(err)
		}
		last := &(*list)[len(*list)-1]
		last.binary = append(last.binary, string(b))
	}
	return said, told
}

// TestPaperFrames: what is shown is what is read and written.
func TestPaperFrames(t *testing.T) {
	said, told := transcripts(t)
	if len(said) < 10 || len(told) < 10 {
		t.Fatalf("%d and %d frames", len(said), len(told))
	}
	for _, v := range said {
		frame, binary := v.frame()
		switch m, _ := (Codec{}).Decode(frame, binary); m.(type) {
		case *linkpb.Malformed, *starpb.Alive, *starpb.Invalid:
			t.Errorf("%v: %s", m, v.text)
		}
	}
	for i, v := range told {
		if v.text == "40" && i > 0 {
			continue // part of the welcome before it
		}
		m := meant(t, v)
		wire, err := Codec{}.AppendFrames(nil, Framing{}, m)
		if err != nil {
			t.Fatal(err)
		}
		want := []string{v.text}
		if _, ok := m.(*starpb.Welcome); ok {
			want = append(want, "40")
		}
		for _, a := range v.binary {
			want = append(want, "binary 04"+hex.EncodeToString([]byte(a)))
		}
		if got := frames(t, wire); !slices.Equal(got, want) {
			t.Errorf("written as\n%q, shown is\n%q", got, want)
		}
	}
}

// meant is the message that a frame of the server is made of.
func meant(t *testing.T, v in) proto.Message {
	t.Helper()
	if rest, ok := strings.CutPrefix(v.text, `0{"sid":"`); ok {
		sid, _, _ := strings.Cut(rest, `"`)
		return &starpb.Welcome{Sid: sid}
	}
	var (
		p packet
		a args
	)
	if reason := p.parse([]byte(v.text[1:])); reason != "" || !a.parse(p.json) {
		t.Fatalf("%s: %s", reason, v.text)
	}
	arg := func(i int) string {
		s, _ := jsonwalk.Text(a.at(i))
		return s
	}
	if p.kind == typeAck {
		m := &starpb.Reply{Ack: *p.ack, Nonce: arg(1), Joined: a.count == 3}
		if m.GetJoined() {
			var list args
			if !list.parse(a.at(2)) {
				t.Fatal(v.text)
			}
			for i := range list.count {
				s, _ := jsonwalk.Text(list.at(i))
				m.Addresses = append(m.Addresses, s)
			}
		}
		return m
	}
	switch name := arg(0); name {
	case eventIncoming:
		return &starpb.Incoming{Ack: *p.ack, Dial: arg(1), From: arg(2)}
	case eventPeer:
		return &starpb.Peers{Addresses: []string{arg(1)}}
	default:
		kind, id := stream(name)
		switch {
		case kind == starpb.Stream_KIND_ACCEPT:
			return &starpb.Accept{Id: id}
		case kind == starpb.Stream_KIND_ERROR:
			return &starpb.End{Id: id}
		}
		frame, binary := v.frame()
		m, _ := Codec{}.Decode(frame, binary)
		return m
	}
}

// reasons of frames that make no sense, and texts for clients, as the code has them.
var constantLine = regexp.MustCompile("(?m)^\t(?:reason|err|fault)\\w+ += (?:fault\\{\\d, )?([\"`][^\"`]*(?:\"Unreadable answer\")?[\"`])\\}?")

// TestPaperNames: reasons, texts and limits are all there.
func TestPaperNames(t *testing.T) {
	text := paper(t)
	var names []string
	for _, file := range []string{"codec.go", "socket.go", "gateway.go", "../../actors/star/star.go", "../../actors/star/dialling.go"} {
		code, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range constantLine.FindAllStringSubmatch(string(code), -1) {
			name := strings.Trim(m[1], "\"`")
			if file == "gateway.go" {
				names = append(names, `"message":"`+name+`"}`)
			} else {
				names = append(names, "`"+name+"`")
			}
		}
	}
	if len(names) < 28 {
		t.Fatalf("%d names found: %q", len(names), names)
	}
	for _, name := range []string{eventJoin, eventLeave, eventDial, eventIncoming, eventPeer} {
		names = append(names, "| `"+name+"` |")
	}
	names = append(names, "`"+streamPrefix+streamAccept+"ID`", "`."+streamQueue+"ID`", "`."+streamError+"ID`")
	for _, limit := range []struct {
		n    int
		unit string
	}{
		{MaxMessage >> 20, " MiB, attachments"},
		{maxAttachments, ", whole in"},
		{int(assembleTime.Seconds()), " s |"},
		{maxDepth, " deep"},
		{maxID, " bytes"},
		{maxPing - 1, " bytes"},
		{maxError >> 10, " KiB, or"},
		{outboundLimit >> 20, " MiB wait"},
		{int(writeTimeout.Seconds()), " s while something waits"},
		{int(deadAfter.Seconds()), " s without a byte"},
		{int(pingThree.Seconds()), " s, which"},
		{int(pingFour.Seconds()), " s; the answer"},
	} {
		names = append(names, strconv.Itoa(limit.n)+limit.unit)
	}
	for n, unit := range map[int]string{maxAddress: " bytes; 16", maxData: " digits"} {
		s := strconv.Itoa(n)
		names = append(names, s[:len(s)-3]+","+s[len(s)-3:]+unit)
	}
	for _, name := range names {
		if !strings.Contains(text, name) {
			t.Errorf("no word of %s", name)
		}
	}
}
