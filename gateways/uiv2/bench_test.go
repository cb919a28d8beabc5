package uiv2

import (
	"testing"

	"parley/messages/uipb"
)

func BenchmarkDecode(b *testing.B) {
	for _, v := range []struct {
		name  string
		codec Codec
		frame string
	}{
		{"setup of four", daemon, in("setup", setupPayload)},
		{"start", daemon, in("start", `{}`)},
		{"checkPassword", node, in("checkPassword", `{"dbPasswordOpt":"correct horse"}`)},
		{"unknown", daemon, in("checkPassword", `{"dbPasswordOpt":"correct horse"}`)},
	} {
		b.Run(v.name, func(b *testing.B) {
			frame := []byte(v.frame)
			b.ReportAllocs()
			b.SetBytes(int64(len(frame)))
			for b.Loop() {
				if m, _ := v.codec.Decode(frame, false); m.(*uipb.Request).GetFlaw() != "" {
					b.Fatal(m)
				}
			}
		})
	}
}

func BenchmarkAppend(b *testing.B) {
	space := &uipb.SetupResponse{}
	for _, name := range []string{"chain", "clandestine-port", "config-file", "data-directory", "db-password", "log-level", "neighborhood-mode", "neighbors", "node-name", "relay-address"} {
		space.Values = append(space.Values, &uipb.SetupValue{Name: name, Value: "a value of " + name, Status: "Configured"})
	}
	for _, v := range []struct {
		name string
		m    *uipb.Response
	}{
		{"setup of ten", to("setup", space)},
		{"done", to("shutdown", &uipb.Done{})},
		{"log line", inform(uipb.LogLevel_LOG_LEVEL_INFO)},
	} {
		b.Run(v.name, func(b *testing.B) {
			room := make([]byte, 0, 4<<10)
			b.ReportAllocs()
			for b.Loop() {
				frame, err := node.Append(room, v.m)
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(int64(len(frame)))
			}
		})
	}
}
