package relay

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"parley/messages"
	"parley/messages/linkpb"
	"parley/messages/relaypb"
)

func FuzzDecode(f *testing.F) {
	for _, v := range vectors {
		if len(v.frame) < 1000 {
			f.Add([]byte(v.frame))
		}
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		original := bytes.Clone(frame)
		m, charge := Codec{}.Decode(frame, false)
		before := proto.Clone(m)
		for i := range frame {
			frame[i] ^= 0x55
		}
		if !proto.Equal(before, m) {
			t.Fatalf("%v points into its frame", before)
		}
		if err := judge(original, m, charge); err != nil {
			t.Fatalf("%q became %v: %v", original, m, err)
		}
	})
}

// judge compares a message with what another parser sees in its frame.
func judge(frame []byte, m proto.Message, charge uint32) error {
	outer, sound := objectOf(frame)
	if bad, ok := m.(*linkpb.Malformed); ok {
		switch {
		case bad.GetCharge() != charge || charge != 1:
			return fmt.Errorf("charges %d and %d", bad.GetCharge(), charge)
		case bad.GetReason() == reasonJSON:
			if sound && !bytes.Contains(frame, []byte(`\u`)) { // half surrogates are told apart by one side only
				return errors.New("refused, and nothing is wrong with it")
			}
			return sameRaw("nonce", bad.GetNonce(), nil)
		case bad.GetReason() == reasonNonce:
			return sameRaw("nonce", bad.GetNonce(), nil)
		}
		return sameRaw("nonce", bad.GetNonce(), outer["nonce"])
	}
	if !sound {
		return errors.New("taken, and it is no sound object")
	}
	inner, _ := objectOf(outer["data"])
	var want proto.Message
	switch m := m.(type) {
	case *relaypb.List:
		want = &relaypb.List{Nonce: outer["nonce"]}
	case *relaypb.Subscribe:
		password, has := stringOf(inner["password"])
		want = &relaypb.Subscribe{
			Channel: nameOf(inner), Password: password, HasPassword: has, Lossy: inner["drop"] != nil, Nonce: outer["nonce"],
		}
		if err := validName(m.GetChannel()); err != nil {
			return err
		}
	case *relaypb.Unsubscribe:
		want = &relaypb.Unsubscribe{Channel: nameOf(inner), Nonce: outer["nonce"]}
		if err := validName(m.GetChannel()); err != nil {
			return err
		}
	case *relaypb.Send:
		channel, _ := stringOf(inner["channel"])
		want = &relaypb.Send{
			Channel: channel, Message: inner["message"], Nonce: outer["nonce"], Silent: string(inner["ack"]) == "false",
			Charge: messages.Charge(len(frame)),
		}
		if m.GetChannel() != "" {
			if err := validName(m.GetChannel()); err != nil {
				return err
			}
		}
	}
	if !proto.Equal(m, want) {
		return fmt.Errorf("the other parser sees %v", want)
	}
	if verb, _ := stringOf(outer["command"]); verb != strings.ToLower(string(m.ProtoReflect().Descriptor().Name())) {
		return fmt.Errorf("the command is %q", verb)
	}
	holds := uint32(1)
	switch m := m.(type) {
	case *relaypb.Send:
		holds = m.GetCharge()
	case *relaypb.List:
		holds = messages.ChargeAll
	}
	if charge != holds {
		return fmt.Errorf("charge %d", charge)
	}
	return nil
}

func sameRaw(what string, got []byte, want json.RawMessage) error {
	if !bytes.Equal(got, want) {
		return fmt.Errorf("%s is %q, want %q", what, got, want)
	}
	return nil
}

func stringOf(raw json.RawMessage) (string, bool) {
	var s string
	if len(raw) == 0 || raw[0] != '"' || json.Unmarshal(raw, &s) != nil {
		return "", false
	}
	return s, true
}

func nameOf(data map[string]json.RawMessage) string {
	raw := data["topic"]
	if raw == nil {
		raw = data["channel"]
	}
	s, _ := stringOf(raw)
	return s
}

func FuzzAppend(f *testing.F) {
	f.Add(uint8(0), "channel", []byte(`{"a":[1,2]}`), []byte(`"nonce"`), "reason", uint64(3))
	f.Add(uint8(1), "\"\\\u2028<>&", []byte(`1`), []byte(``), "slow down", uint64(0))
	f.Add(uint8(2), "c", []byte(`null`), []byte(`7.0`), "", uint64(1))
	f.Add(uint8(3), "日本", []byte(`"x"`), []byte(`{}`), "channel lost", uint64(1<<63))
	f.Add(uint8(4), "a", []byte(`[]`), []byte(`null`), "b", uint64(7))
	f.Add(uint8(2), "n", []byte(`1`), []byte(`1E1000`), "", uint64(0))
	f.Fuzz(func(t *testing.T, kind uint8, channel string, message, nonce []byte, reason string, count uint64) {
		channel, reason = strings.ToValidUTF8(channel, "?"), strings.ToValidUTF8(reason, "?")
		message, nonce = rawOf(message, true), rawOf(nonce, false)
		m, want := sample(kind, channel, message, nonce, reason, count)
		got, err := Codec{}.Append(nil, m)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := parse(got)
		if err != nil {
			t.Fatalf("%s: %v", got, err)
		}
		if d := cmp.Diff(want, parsed); d != "" {
			t.Fatalf("%s: want -, got +:\n%s", got, d)
		}
		if len(nonce) > 0 && kind%5 != 4 && !bytes.Contains(got, nonce) || kind%5 == 0 && !bytes.Contains(got, message) {
			t.Fatalf("%s: raw values were changed", got)
		}
	})
}

// rawOf makes any bytes JSON; what is none becomes a string.
func rawOf(b []byte, must bool) []byte {
	if json.Valid(b) && len(bytes.TrimSpace(b)) == len(b) || len(b) == 0 && !must {
		return b
	}
	quoted, _ := json.Marshal(strings.ToValidUTF8(string(b), "?"))
	return quoted
}

// parse keeps numbers as they are written: 1E1000 is JSON, but no float64.
func parse(raw []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err = d.Decode(&v); err == nil && d.More() {
		err = errors.New("more than one value")
	}
	return v, err
}

// sample is a message and its frame as a generic parser must see it.
func sample(kind uint8, channel string, message, nonce []byte, reason string, count uint64) (m proto.Message, want map[string]any) {
	value := func(raw []byte) any {
		v, _ := parse(raw)
		return v
	}
	data := map[string]any{}
	want = map[string]any{"data": data, "nonce": ""}
	if len(nonce) > 0 {
		want["nonce"] = value(nonce)
	}
	switch kind % 5 {
	case 0:
		want["type"] = "message"
		maps.Copy(data, map[string]any{"message": value(message), "channel": channel})
		if len(nonce) == 0 {
			delete(want, "nonce")
		}
		return &relaypb.Message{Channel: channel, Message: message, Nonce: nonce}, want
	case 1:
		want["type"] = "response"
		maps.Copy(data, map[string]any{"ok": false, "reason": reason})
		return &relaypb.Answer{Reason: reason, Nonce: nonce, Charge: uint32(count)}, want
	case 2:
		want["type"] = "response"
		maps.Copy(data, map[string]any{"ok": true, "channels": []any{channel, reason}, "subscribed": []any{}})
		return &relaypb.Answer{Ok: true, Nonce: nonce, List: &relaypb.Channels{Open: []string{channel, reason}}}, want
	case 3:
		want["type"] = "error"
		data["reason"] = reason
		if channel != "" {
			data["channel"] = channel
		}
		return &relaypb.Error{Reason: reason, Channel: channel, Nonce: nonce}, want
	}
	want["type"] = "dropped"
	delete(want, "nonce")
	maps.Copy(data, map[string]any{"channel": channel, "count": json.Number(strconv.FormatUint(count, 10))})
	return &linkpb.Dropped{Source: channel, Count: count}, want
}
