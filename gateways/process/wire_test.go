package process

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"parley/messages/processpb"
)

func TestSettingsFrame(t *testing.T) {
	s := &processpb.Settings{Values: settings("db-password", "--secret\x00", "ip", ""), User: &processpb.User{Uid: 5, Gid: 6}}
	b, err := AppendSettings([]byte("before"), s)
	if err != nil {
		t.Fatal(err)
	}
	r := bytes.NewReader(append(b[len("before"):], KeepByte))
	got, err := ReadSettings(r)
	if err != nil || !proto.Equal(got, s) {
		t.Errorf("got %v, %v", got, err)
	}
	if rest, _ := io.ReadAll(r); string(rest) != string(KeepByte) {
		t.Errorf("left %q", rest)
	}
	for n := range len(b) - len("before") { // cut short anywhere
		if _, err := ReadSettings(bytes.NewReader(b[len("before"):][:n])); err == nil {
			t.Errorf("%d bytes are enough", n)
		}
	}
	if _, err := ReadSettings(strings.NewReader("\x00\x10\x00\x01")); err == nil || !strings.Contains(err.Error(), "1048577 bytes, 1048576 are allowed") {
		t.Error(err)
	}
}

// Whatever comes, it is an error or settings that are understood the same again,
// and what is in it does not get into the error.
func FuzzReadSettings(f *testing.F) {
	whole, err := AppendSettings(nil, &processpb.Settings{Values: settings("db-password", "secret"), User: &processpb.User{Uid: 5}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)-1])
	f.Add([]byte{0, 0, 0, 0})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Add([]byte("\x00\x00\x00\x02\x0a\x05marker"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		s, err := ReadSettings(r)
		if err != nil {
			return
		}
		if took := len(b) - r.Len(); took < lengthBytes || took > lengthBytes+maxSettings {
			t.Errorf("took %d bytes", took)
		}
		again, err := AppendSettings(nil, s)
		if err != nil {
			t.Fatal(err)
		}
		if same, err := ReadSettings(bytes.NewReader(again)); err != nil || !proto.Equal(s, same) {
			t.Errorf("%v became %v, %v", s, same, err)
		}
	})
}
