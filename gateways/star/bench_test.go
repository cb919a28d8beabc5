package star

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/proto"

	"parley/messages/starpb"
)

const chunkSize = 16 << 10

func chunkOf(size int) []byte {
	return composite(`451-["`+pull+`queue.`+dialID+`.dialer",`+placed0+`]`, string(bytes.Repeat([]byte{7}, size)))
}

// BenchmarkChunk is what a chunk costs on its way through, but for the system
// calls and the actors: a link's reading and writing of it.
func BenchmarkChunk(b *testing.B) {
	frame := chunkOf(chunkSize)
	m, _ := Codec{}.Decode(frame, true)
	b.Run("decode", func(b *testing.B) {
		b.SetBytes(chunkSize)
		b.ReportAllocs()
		for b.Loop() {
			m, charge := Codec{}.Decode(frame, true)
			if charge == 0 {
				b.Fatal("no charge")
			}
			Codec{}.GiveBack(m)
		}
	})
	for i, name := range []string{"append", "append/4"} {
		f, c := Framing{Four: i == four}, codecs[i]
		b.Run(name, func(b *testing.B) {
			b.SetBytes(chunkSize)
			b.ReportAllocs()
			var buf []byte
			for b.Loop() {
				buf, _ = c.AppendFrames(buf[:0], f, m)
			}
		})
	}
	b.Run("assemble", func(b *testing.B) {
		text, attachments, _ := split(frame)
		messages := []sent{{string(text), false}, {"\x04" + string(attachments[0]), true}}
		w := newWire(b, messages...)
		s := NewSocket(w, false)
		buf := make([]byte, 0, 2*chunkSize)
		b.SetBytes(chunkSize)
		b.ReportAllocs()
		for b.Loop() {
			w.messages = messages
			if _, binary, err := s.Read(buf); err != nil || !binary {
				b.Fatal(err)
			}
		}
	})
	b.Run("relay", func(b *testing.B) {
		b.SetBytes(chunkSize)
		b.ReportAllocs()
		var buf []byte
		for b.Loop() {
			m, _ := Codec{}.Decode(frame, true)
			buf, _ = Codec{}.AppendFrames(buf[:0], Framing{}, m)
			Codec{}.GiveBack(m)
		}
	})
}

// BenchmarkEvents are the small frames: what a join and a dial consist of.
func BenchmarkEvents(b *testing.B) {
	for _, v := range captured {
		if v.binary != nil || len(v.text) < 60 {
			continue
		}
		b.Run("decode/"+v.name, func(b *testing.B) {
			frame := []byte(v.text)
			b.ReportAllocs()
			for b.Loop() {
				if _, charge := (Codec{}).Decode(frame, false); charge == 0 {
					b.Fatal("no charge")
				}
			}
		})
	}
	peers := &starpb.Peers{}
	for range 256 {
		peers.Addresses = append(peers.Addresses, addressA)
	}
	for name, m := range map[string]proto.Message{"peers": peers, "accept": &starpb.Accept{Id: dialID + ".dialer"}} {
		b.Run("append/"+name, func(b *testing.B) {
			b.ReportAllocs()
			var buf []byte
			for b.Loop() {
				buf, _ = Codec{}.AppendFrames(buf[:0], Framing{}, m)
			}
		})
	}
}
