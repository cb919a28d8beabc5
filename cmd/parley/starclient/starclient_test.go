package starclient

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"parley/testkit/leaks"
)

func TestMain(m *testing.M) { leaks.Main(m) }

// nonce is one as servers draw it.
const nonce = "7d4b23fb-5d6a-4a47-af0d-2db4453d44ebdb6e4677-d4d7-4ea8-a855-e1f84033cd74"

// TestIDs compares ids with those that libp2p makes of the same keys.
func TestIDs(t *testing.T) {
	for _, c := range []struct {
		name, public string // hex of protobuf PublicKey
		kind         byte
		head         int // bytes before the key
		id           string
	}{
		{
			"Ed25519", "0801122036e687fb4ccc2e5492383179ad370d05d89fab540e700f58609b4493b7bdc0bc", keyEd25519, 4,
			"12D3KooWDWg4s6V5ADJQ5oiwq3aJHJvzBaLvzHWPQVPwwTHGQKhV",
		},
		{
			"RSA",
			"080012a60230820122300d06092a864886f70d01010105000382010f003082010a0282010100bae81ae9d2cf6604ff353de030c6b6deea7684bf8185f92aa588aede14b7" +
				"6460b498511389672410b9556e4130168668838ab6f9ebeb17507a9e23c6eae689f3b4bdbd19871ce1a897c602221792e01ac9d7e1df6dfaa0aec6c809588f5f85ec" +
				"d6f5d41d06d43da25079bfde94a218dba1799ec5c52fd0098a18d647b42ee19e8f558d28a08e4cb766dd122d8be596c8ed6329dbd45e3f6265655a83e9b0f2b7d7c9" +
				"da4ff77db92538c20e741d108acdff0bb0af6d4546d81b07538d1745c6764f7b0bc8ae4b5b24feb884bf6e7c755899b76ff05d58ea4be1e4881cb854ddffd866f8b0" +
				"d520a7414435afe02019a7699cc30e097824d22b443959a19e9f93e90203010001",
			keyRSA, 5, "QmNj3AuAtJuYSUthdPTJbu435fyVncXw6CBRhM5rR9ZAVv",
		},
	} {
		public, err := hex.DecodeString(c.public)
		if err != nil {
			t.Fatal(err)
		}
		i := newIdentity(c.kind, public[c.head:], nil)
		if i.ID != c.id || i.PublicKey() != c.public {
			t.Errorf("%s: id %s, key %s", c.name, i.ID, i.PublicKey())
		}
		if !strings.HasPrefix(i.Hash, "Qm") || c.kind == keyRSA && i.Hash != i.ID {
			t.Errorf("%s: hash %s", c.name, i.Hash)
		}
		if got, want := i.Address("127.0.0.1", 9090), "/ip4/127.0.0.1/tcp/9090/ws/p2p-websocket-star/ipfs/"+c.id; got != want {
			t.Errorf("%s: address %s", c.name, got)
		}
	}
}

// TestOnlyNoncesAreSigned keeps a server from having a client sign what somebody else asks for.
func TestOnlyNoncesAreSigned(t *testing.T) {
	i, err := NewEd25519()
	if err != nil {
		t.Fatal(err)
	}
	signature, err := i.Sign(nonce)
	if raw, bad := hex.DecodeString(signature); err != nil || bad != nil || len(raw) != 64 {
		t.Errorf("signature %q, %v", signature, err)
	}
	for _, s := range []string{
		"", "libp2p", nonce[:36], nonce + nonce[:36], strings.ToUpper(nonce), " " + nonce, nonce + "\n", strings.Replace(nonce, "-", "_", 1),
	} {
		if signature, err := i.Sign(s); !errors.Is(err, ErrNonce) {
			t.Errorf("%q was signed: %s, %v", s, signature, err)
		}
	}
}

func TestBase58(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", ""}, {"00", "1"}, {"0000", "11"}, {"61", "2g"}, {"00f8", "15H"}, {"516b6fcd0f", "ABnLTmg"}, {"73696d706c792061206c6f6e6720737472696e67", "2cFupjhnEsSn59qHXstmK2ffpLv2"},
	} {
		b, err := hex.DecodeString(c.in)
		if err != nil {
			t.Fatal(err)
		}
		if got := base58(b); got != c.want {
			t.Errorf("%s: %q, want %q", c.in, got, c.want)
		}
	}
}

func TestURL(t *testing.T) {
	const query = "EIO=3&transport=websocket"
	for address, want := range map[string]string{
		"127.0.0.1:9090":                 "ws://127.0.0.1:9090/socket.io/?" + query,
		"ws://[::1]:9090/":               "ws://[::1]:9090/socket.io/?" + query,
		"http://rendezvous.example":      "ws://rendezvous.example/socket.io/?" + query,
		"https://rendezvous.example/x?y": "wss://rendezvous.example/x?" + query,
		"wss://rendezvous.example":       "wss://rendezvous.example/socket.io/?" + query,
		"":                               "",
		"ftp://rendezvous.example":       "",
		"ws://":                          "",
		"%":                              "",
	} {
		if got, err := URL(address, Three); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", address, got, err)
		}
	}
}

func TestParsePacket(t *testing.T) {
	for text, want := range map[string]*Packet{
		"0":                          {Type: Connect, Namespace: "/", Ack: NoAck},
		`0{"sid":"x"}`:               {Type: Connect, Namespace: "/", Ack: NoAck, Data: []byte(`{"sid":"x"}`)},
		"1":                          {Type: Disconnect, Namespace: "/", Ack: NoAck},
		`2["ws-peer","/ip4"]`:        {Type: Event, Namespace: "/", Ack: NoAck, Name: "ws-peer", Data: []byte(`["ws-peer","/ip4"]`)},
		`20["ss-incomming","d","a"]`: {Type: Event, Namespace: "/", Ack: 0, Name: "ss-incomming", Data: []byte(`["ss-incomming","d","a"]`)},
		`2/x,12["a\u0062"]`:          {Type: Event, Namespace: "/x", Ack: 12, Name: "ab", Data: []byte(`["a\u0062"]`)},
		`34294967295[null,"n"]`:      {Type: Ack, Namespace: "/", Ack: 4294967295, Data: []byte(`[null,"n"]`)},
		`4/x,"Invalid namespace"`:    {Type: Refusal, Namespace: "/x", Ack: NoAck, Data: []byte(`"Invalid namespace"`)},
		`51-["q",{"_placeholder":true,"num":0}]`: {
			Type: BinaryEvent, Attachments: 1, Namespace: "/", Ack: NoAck, Name: "q", Data: []byte(`["q",{"_placeholder":true,"num":0}]`),
		},
		"":                            nil,
		"7":                           nil,
		"5":                           nil,
		`5["q"]`:                      nil,
		`5-1-["q"]`:                   nil,
		"2":                           nil,
		"2[]":                         nil,
		`2[1]`:                        nil,
		`2["a`:                        nil,
		"399999999999999999999[null]": nil,
	} {
		got, err := ParsePacket([]byte(text))
		if want == nil {
			if !errors.Is(err, errPacket) {
				t.Errorf("%s: %+v, %v", text, got, err)
			}
			continue
		}
		if len(got.Data) == 0 {
			got.Data = nil
		}
		if diff := cmp.Diff(want, &got); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", text, err, diff)
		}
	}
}

// FuzzParsePacket also compares the short way to an event's only text with the long one.
func FuzzParsePacket(f *testing.F) {
	for _, s := range []string{`2["ws-peer","/ip4"]`, `2["a","b\\"]`, `2["a","b","c"]`, `51-["q",{"_placeholder":true,"num":0}]`, `30[null]`, "4/x,"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParsePacket(b)
		if err != nil {
			return
		}
		short, ok := p.onlyText()
		var long string
		if ok && p.Type == Event && texts(&p, &long) == nil && long != short {
			t.Errorf("%s: %q, %q", b, short, long)
		}
	})
}
