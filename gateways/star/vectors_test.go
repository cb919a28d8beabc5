package star

import (
	"strings"

	"google.golang.org/protobuf/proto"

	"parley/messages"
	"parley/messages/starpb"
)

const (
	addressA = "/ip4/127.0.0.1/tcp/23580/ws/p2p-websocket-star/ipfs/QmZr8ZYXWUdeDoqeGjRHReccE6eY6tPcoqCHVhAaLQagmB"
	addressB = "/ip4/127.0.0.1/tcp/23580/ws/p2p-websocket-star/ipfs/QmeCR29ezjwNMWnnwoek9FAm1R5dL8k6AaozBPxnBDgV75"
	dialID   = "a793ad59-fb83-4a5a-a3b9-2065bbe20f09"
	keyHex   = "0800125e305c300d06092a864886f70d0101010500034b003048024100a3a4e835b53f7e06fef2f93e9a9a1fc3fed07cb1a55550b9f4c2ef0f698de426"
	nonce    = "16b64164-6d9a-41ed-a893-391ce2c8f4881ab1fdf5-f609-4c46-b0b0-9e98539ba271"
	placed0  = `{"_placeholder":true,"num":0}`
	pull     = "socket.io-pull-stream."
)

func ptr[T any](v T) *T { return &v }

// in is a frame of a client and what it says.
type in struct {
	name   string
	text   string
	binary []string // attachments, without what Engine.IO puts before them
	want   proto.Message
}

// stream is a Stream as it is decoded.
func streamed(kind starpb.Stream_Kind, id, packet string, attachments ...string) *starpb.Stream {
	m := &starpb.Stream{Kind: kind, Id: id, Packet: []byte(packet)}
	size := len(packet)
	for _, a := range attachments {
		m.Attachments = append(m.Attachments, []byte(a))
		size += len(a)
	}
	m.Charge = messages.Charge(size)
	return m
}

const (
	accept = starpb.Stream_KIND_ACCEPT
	queue  = starpb.Stream_KIND_QUEUE
	ended  = starpb.Stream_KIND_ERROR
)

var still = &starpb.Alive{Charge: 1}

// captured is what clients of the public packages sent: libp2p-websocket-star
// 0.10.2, socket.io-client 2.5.0 and 4.8.1.
var captured = []in{
	{"join with a key", `420["ss-join","` + addressB + `","` + keyHex + `"]`, nil, &starpb.Join{Address: addressB, Data: keyHex, Ack: ptr[uint64](0)}},
	{"join again", `421["ss-join","` + addressB + `","a128a958"]`, nil, &starpb.Join{Address: addressB, Data: "a128a958", Ack: ptr[uint64](1)}},
	{"join without an id", `420["ss-join","/ip4/1.2.3.4/tcp/9/ws/p2p-websocket-star/ipfs/Qmé",""]`, nil, &starpb.Join{Address: "/ip4/1.2.3.4/tcp/9/ws/p2p-websocket-star/ipfs/Qmé", Ack: ptr[uint64](0)}},
	{"join with nothing", `421["ss-join","/a",null]`, nil, &starpb.Join{Address: "/a", Ack: ptr[uint64](1)}},
	{"dial", `422["ss-dial","` + addressA + `","` + addressB + `","` + dialID + `"]`, nil, &starpb.Dial{From: addressA, To: addressB, Dial: dialID, Ack: ptr[uint64](2)}},
	{"accept", `42["` + pull + `accept.` + dialID + `.dialer"]`, nil, streamed(accept, dialID+".dialer", `2["`+pull+`accept.`+dialID+`.dialer"]`)},
	{"answer", `430[]`, nil, &starpb.Answered{}},
	{"answer with an error", `437["busy é😀"]`, nil, &starpb.Answered{Ack: 7, Error: []byte(`"busy é😀"`)}},
	{"chunk", `451-["` + pull + `queue.` + dialID + `.dialer",` + placed0 + `]`, []string{"hello"}, streamed(queue, dialID+".dialer", `51-["`+pull+`queue.`+dialID+`.dialer",`+placed0+`]`, "hello")},
	{"empty chunk", `451-["` + pull + `queue.` + dialID + `.dialer",` + placed0 + `]`, []string{""}, streamed(queue, dialID+".dialer", `51-["`+pull+`queue.`+dialID+`.dialer",`+placed0+`]`, "")},
	{"end", `42["` + pull + `error.` + dialID + `.dialer",true]`, nil, streamed(ended, dialID+".dialer", `2["`+pull+`error.`+dialID+`.dialer",true]`)},
	{"error", `42["` + pull + `error.d.dialer",{}]`, nil, streamed(ended, "d.dialer", `2["`+pull+`error.d.dialer",{}]`)},
	{"text chunk", `42["` + pull + `queue.d.listener","text"]`, nil, streamed(queue, "d.listener", `2["`+pull+`queue.d.listener","text"]`)},
	{"leave", `42["ss-leave","/a"]`, nil, &starpb.Leave{Address: "/a"}},
	{"disconnect", `41`, nil, &starpb.Disconnect{}},
	{"namespace", `40/x?q=1,`, nil, &starpb.Connect{Namespace: "/x"}},
	{"namespace of version 4", `40/x,`, nil, &starpb.Connect{Namespace: "/x"}},
	{"connect", `40`, nil, &starpb.Connect{Namespace: "/"}},
	{"connect with a token", `40{"token":1}`, nil, &starpb.Connect{Namespace: "/"}},
	{"ping", `2`, nil, &starpb.Ping{}},
	{"pong", `3`, nil, still},
	{"two attachments", `452-3["two",` + placed0 + `,{"a":[{"_placeholder":true,"num":1}]}]`, []string{"\x01", "\x02"}, still},
	{"half a character", `42["nul",null,null,"` + "\u2028" + `\ud800\"\\/"]`, nil, still},
}

// spelled are other ways to say things, and things that nobody should say.
var spelled = []in{
	{"ping with data", `2probe`, nil, &starpb.Ping{Data: "probe"}},
	{"noop", `6`, nil, still},
	{"upgrade", `5`, nil, still},
	{"engine close", `1`, nil, still},
	{"error packet", `44"x"`, nil, still},
	{"unknown type", `47["x"]`, nil, still},
	{"unknown event", `42["x"]`, nil, still},
	{"unknown event of half a character", `42["\ud800"]`, nil, still},
	{"own namespace in full", `42/,5["ss-leave","/a"]`, nil, &starpb.Leave{Address: "/a"}},
	{"namespace without end", `40/x`, nil, &starpb.Connect{Namespace: "/x"}},
	{"own namespace with a query", `40/?a=b,`, nil, &starpb.Connect{Namespace: "/"}},
	{"event elsewhere", `42/x,["ss-join","/a",""]`, nil, still},
	{"leaving elsewhere", `41/x,`, nil, still},
	{"escapes", `4212["ss-j\u006fin","\/a\u00e9\ud83d\ude00",""]`, nil, &starpb.Join{Address: "/aé😀", Ack: ptr[uint64](12)}},
	{"blanks", `421 [ "ss-join" , "/a" , "x" , 7 ] `, nil, &starpb.Join{Address: "/a", Data: "x", Ack: ptr[uint64](1)}},
	{"join without an ack", `42["ss-join","/a"]`, nil, &starpb.Join{Address: "/a"}},
	{"largest ack", `429007199254740992["ss-join","/a"]`, nil, &starpb.Join{Address: "/a", Ack: ptr[uint64](1 << 53)}},
	{"leading zeros", `42007["ss-join","/a"]`, nil, &starpb.Join{Address: "/a", Ack: ptr[uint64](7)}},
	{"answer: null", `433[null]`, nil, &starpb.Answered{Ack: 3}},
	{"answer: false", `433[false]`, nil, &starpb.Answered{Ack: 3}},
	{"answer: empty", `433["",1]`, nil, &starpb.Answered{Ack: 3}},
	{"answer: zero", `433[0]`, nil, &starpb.Answered{Ack: 3}},
	{"answer: minus zero", `433[-0]`, nil, &starpb.Answered{Ack: 3}},
	{"answer: zeros", `433[0.0]`, nil, &starpb.Answered{Ack: 3}},
	{"answer: zero, ten times", `433[-0.0e1]`, nil, &starpb.Answered{Ack: 3}},
	{"answer: too small", `433[1e-999]`, nil, &starpb.Answered{Ack: 3}},
	{"answer: a little", `433[1e-300]`, nil, &starpb.Answered{Ack: 3, Error: []byte("1e-300")}},
	{"answer: too large", `433[-1e999]`, nil, &starpb.Answered{Ack: 3, Error: []byte("-1e999")}},
	{"answer: zero in words", `433["0"]`, nil, &starpb.Answered{Ack: 3, Error: []byte(`"0"`)}},
	{"answer: object", `433[{"a":[1]}, 2]`, nil, &starpb.Answered{Ack: 3, Error: []byte(`{"a":[1]}`)}},
	{"answer without an ack", `43[1]`, nil, still},
	{"answer too long", `433["` + strings.Repeat("x", maxError) + `"]`, nil, &starpb.Answered{Ack: 3, Error: []byte(errOtherSide)}},
	{"binary answer", `461-3[` + placed0 + `]`, []string{"x"}, &starpb.Answered{Ack: 3, Error: []byte(errOtherSide)}},
	{"binary answer: good", `461-3[null,` + placed0 + `]`, []string{"x"}, &starpb.Answered{Ack: 3}},
	{"chunk with an ack", `451-17["` + pull + `queue.d.dialer",` + placed0 + `]`, []string{"x"}, streamed(queue, "d.dialer", `51-["`+pull+`queue.d.dialer",`+placed0+`]`, "x")},
	{"end with an ack", `4217["` + pull + `error.d.dialer",true]`, nil, streamed(ended, "d.dialer", `2["`+pull+`error.d.dialer",true]`)},
	{"no attachments", `450-["` + pull + `queue.d.dialer","x"]`, nil, streamed(queue, "d.dialer", `2["`+pull+`queue.d.dialer","x"]`)},
	{"placeholder the other way", `451-["` + pull + `queue.d.dialer",{"num":0,"_placeholder":true}]`, []string{"x"}, streamed(queue, "d.dialer", `51-["`+pull+`queue.d.dialer",{"num":0,"_placeholder":true}]`, "x")},
	{"attachments out of order", `452-["` + pull + `queue.d.dialer",{"a":[{"_placeholder":true,"num":1}],"b":` + placed0 + `}]`, []string{"x", "y"}, streamed(queue, "d.dialer", `52-["`+pull+`queue.d.dialer",{"a":[{"_placeholder":true,"num":1}],"b":`+placed0+`}]`, "x", "y")},
	{"escaped id", `451-["` + pull + `queue.\u0064.dialer",` + placed0 + `]`, []string{"x"}, streamed(queue, "d.dialer", `51-["`+pull+`queue.\u0064.dialer",`+placed0+`]`, "x")},
	{"num elsewhere", `42["` + pull + `queue.d.dialer",{"num":[1]}]`, nil, streamed(queue, "d.dialer", `2["`+pull+`queue.d.dialer",{"num":[1]}]`)},
	{"placeholder in a text", `42["` + pull + `queue.d.dialer",{"_placeholder":7}]`, nil, streamed(queue, "d.dialer", `2["`+pull+`queue.d.dialer",{"_placeholder":7}]`)},
	{"no id of a stream", `42["` + pull + `queue."]`, nil, still},
	{"long id of a stream", `42["` + pull + `queue.` + strings.Repeat("x", maxStream+1) + `"]`, nil, still},
	{"long id of a chunk", `451-["` + pull + `queue.` + strings.Repeat("x", maxStream+1) + `",` + placed0 + `]`, []string{"x"}, still},
	{"unknown event of streams", `42["` + pull + `dance.d.dialer"]`, nil, still},
	{"join without an address", `421["ss-join"]`, nil, &starpb.Invalid{Reason: errArguments, Ack: ptr[uint64](1), Charge: 1}},
	{"join of a number", `42["ss-join",7,""]`, nil, &starpb.Invalid{Reason: errArguments, Charge: 1}},
	{"join of half a character", `421["ss-join","/\ud800",""]`, nil, &starpb.Invalid{Reason: errArguments, Ack: ptr[uint64](1), Charge: 1}},
	{"join of an attachment", `451-1["ss-join",` + placed0 + `,""]`, []string{"/a"}, &starpb.Invalid{Reason: errArguments, Ack: ptr[uint64](1), Charge: 1}},
	{"join with odd data", `421["ss-join","/a",{}]`, nil, &starpb.Invalid{Reason: errArguments, Ack: ptr[uint64](1), Charge: 1}},
	{"join of too much", `421["ss-join","` + strings.Repeat("x", maxAddress+1) + `"]`, nil, &starpb.Invalid{Reason: errArguments, Ack: ptr[uint64](1), Charge: 1}},
	{"join with too much", `421["ss-join","/a","` + strings.Repeat("x", maxData+1) + `"]`, nil, &starpb.Invalid{Reason: errArguments, Ack: ptr[uint64](1), Charge: 1}},
	{"leave without an address", `421["ss-leave",null]`, nil, &starpb.Invalid{Reason: errArguments, Ack: ptr[uint64](1), Charge: 1}},
	{"dial without an id", `421["ss-dial","/a","/b"]`, nil, &starpb.Invalid{Reason: errArguments, Ack: ptr[uint64](1), Charge: 1}},
	{"dial with an empty id", `421["ss-dial","/a","/b",""]`, nil, &starpb.Invalid{Reason: errArguments, Ack: ptr[uint64](1), Charge: 1}},
	{"dial with a long id", `421["ss-dial","/a","/b","` + strings.Repeat("x", maxID+1) + `"]`, nil, &starpb.Invalid{Reason: errArguments, Ack: ptr[uint64](1), Charge: 1}},
}

// refused are frames that no client may send, by reason.
var refused = map[string][]in{
	reasonEngine: {
		{"empty", ``, nil, nil},
		{"open", `0{}`, nil, nil},
		{"unknown", `7`, nil, nil},
		{"base64", `b4aGVsbG8=`, nil, nil},
		{"letters", `hello`, nil, nil},
		{"attachments of a ping", `2`, []string{"x"}, nil},
		{"attachments of nothing", ``, []string{"x"}, nil},
	},
	reasonPing: {{"long ping", "2" + strings.Repeat("x", maxPing), nil, nil}},
	reasonPacket: {
		{"no type", `4`, nil, nil},
		{"ack too large", `429007199254740993["x"]`, nil, nil},
		{"namespace too long", `40/` + strings.Repeat("x", maxNamespace), nil, nil},
	},
	reasonAttachments: {
		{"too many", `459-["x"]`, nil, nil},
		{"far too many", `4599999999999999999999-["x"]`, nil, nil},
		{"no number", `45-["x"]`, nil, nil},
		{"no dash", `451["x"]`, nil, nil},
		{"nothing behind", `451`, nil, nil},
		{"fewer than announced", `452-["x",` + placed0 + `,{"_placeholder":true,"num":1}]`, []string{"x"}, nil},
		{"none of those announced", `451-["x",` + placed0 + `]`, nil, nil},
		{"attachments of an event that has none", `42["x",` + placed0 + `]`, []string{"x"}, nil},
		{"no placeholder", `451-["x"]`, []string{"x"}, nil},
		{"twice", `451-["x",` + placed0 + `,` + placed0 + `]`, []string{"x"}, nil},
		{"number too large", `451-["x",{"_placeholder":true,"num":1}]`, []string{"x"}, nil},
		{"number far too large", `451-["x",{"_placeholder":true,"num":18446744073709551616}]`, []string{"x"}, nil},
		{"negative", `451-["x",{"_placeholder":true,"num":-0}]`, []string{"x"}, nil},
		{"fraction", `451-["x",{"_placeholder":true,"num":0.0}]`, []string{"x"}, nil},
		{"no number in it", `451-["x",{"_placeholder":true,"num":"0"}]`, []string{"x"}, nil},
		{"nested", `451-["x",{"_placeholder":true,"num":` + placed0 + `}]`, []string{"x"}, nil},
		{"nested the other way", `451-["x",{"_placeholder":` + placed0 + `,"num":0}]`, []string{"x"}, nil},
		{"a half", `451-["x",` + placed0 + `,{"_placeholder":true}]`, []string{"x"}, nil},
		{"truthy", `451-["x",` + placed0 + `,{"_placeholder":1,"num":0}]`, []string{"x"}, nil},
		{"escaped", `451-["x",` + placed0 + `,{"_placeholde\u0072":true,"num":0}]`, []string{"x"}, nil},
		{"more in it", `451-["x",{"_placeholder":true,"num":0,"x":1}]`, []string{"x"}, nil},
	},
	reasonJSON: {
		{"none", `42`, nil, nil},
		{"half", `42["ss-join"`, nil, nil},
		{"object", `42{"a":1}`, nil, nil},
		{"text", `42"ss-join"`, nil, nil},
		{"no name", `42[]`, nil, nil},
		{"numeric name", `42[5]`, nil, nil},
		{"two", `42["x"]["x"]`, nil, nil},
		{"words", `42["x",undefined]`, nil, nil},
		{"a key twice", `42["x",{"a":1,"a":2}]`, nil, nil},
		{"deep", `42["x",` + strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth) + `]`, nil, nil},
		{"deep chunk", `42["` + pull + `queue.d.dialer",` + strings.Repeat(`{"a":`, maxDepth) + `1` + strings.Repeat("}", maxDepth) + `]`, nil, nil},
		{"answer", `430{}`, nil, nil},
		{"answer of nothing", `430`, nil, nil},
		{"elsewhere", `42/x,[`, nil, nil},
		{"minus", `42-1["x"]`, nil, nil},
	},
}

// out is a message and the frames that it becomes; binary ones begin with what
// testkit.WS puts there.
type out struct {
	name        string
	m           proto.Message
	three, four []string
}

func both(frames ...string) (three, four []string) { return frames, frames }

func same(name string, m proto.Message, frames ...string) out {
	a, b := both(frames...)
	return out{name, m, a, b}
}

var written = []out{
	{
		"welcome", &starpb.Welcome{Sid: "lv_VI97HAXpY6yYWAAAC"},
		[]string{`0{"sid":"lv_VI97HAXpY6yYWAAAC","upgrades":[],"pingInterval":25000,"pingTimeout":20000}`, `40`},
		[]string{`0{"sid":"lv_VI97HAXpY6yYWAAAC","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":4194304}`},
	},
	{"connected", &starpb.Connected{Sid: "oSO0OpakMV_3jnilAAAA"}, []string{`40`}, []string{`40{"sid":"oSO0OpakMV_3jnilAAAA"}`}},
	{"refused", &starpb.Refused{Namespace: "/x"}, []string{`44/x,"Invalid namespace"`}, []string{`44/x,{"message":"Invalid namespace"}`}},
	same("pong", &starpb.Pong{}, `3`),
	same("pong with data", &starpb.Pong{Data: "probe"}, `3probe`),
	same("nonce", &starpb.Reply{Nonce: nonce}, `430[null,"`+nonce+`"]`),
	same("joined, alone", &starpb.Reply{Ack: 1, Joined: true}, `431[null,null,[]]`),
	same("joined", &starpb.Reply{Ack: 1, Joined: true, Addresses: []string{addressB, `/"\` + "\u2028é\n"}}, `431[null,null,["`+addressB+`","/\"\\`+"\u2028é"+`\n"]]`),
	same("joined, with addresses of its own", &starpb.Reply{Ack: 1, Joined: true, Addresses: []string{addressA, addressB, "/x"}, Own: []string{addressA, "/x"}}, `431[null,null,["`+addressB+`"]]`),
	same("success", &starpb.Reply{Ack: 2}, `432[]`),
	same("error", &starpb.Reply{Ack: 9007199254740992, Error: []byte(`"Peer not found"`)}, `439007199254740992["Peer not found"]`),
	same("error of another client", &starpb.Reply{Ack: 2, Error: []byte(`{"a":[1]}`)}, `432[{"a":[1]}]`),
	same("incoming", &starpb.Incoming{Ack: 0, Dial: dialID, From: addressA}, `420["ss-incomming","`+dialID+`","`+addressA+`"]`),
	same("peers", &starpb.Peers{Addresses: []string{addressA, addressB}}, `42["ws-peer","`+addressA+`"]`, `42["ws-peer","`+addressB+`"]`),
	same("no peers", &starpb.Peers{}),
	same("accept", &starpb.Accept{Id: dialID + ".dialer"}, `42["`+pull+`accept.`+dialID+`.dialer"]`),
	same("end", &starpb.End{Id: dialID + ".dialer"}, `42["`+pull+`error.`+dialID+`.dialer",true]`),
	same("text stream", &starpb.Stream{Packet: []byte(`2["x",true]`)}, `42["x",true]`),
	{
		"chunk", &starpb.Stream{Packet: []byte(`51-["x",` + placed0 + `]`), Attachments: [][]byte{[]byte("hello")}},
		[]string{`451-["x",` + placed0 + `]`, `binary 0468656c6c6f`},
		[]string{`451-["x",` + placed0 + `]`, `binary 68656c6c6f`},
	},
	{
		"large chunk", &starpb.Stream{Packet: []byte(`51-["x",` + placed0 + `]`), Attachments: [][]byte{[]byte(strings.Repeat("x", 16<<10))}},
		[]string{`451-["x",` + placed0 + `]`, `binary 04` + strings.Repeat("78", 16<<10)},
		[]string{`451-["x",` + placed0 + `]`, `binary ` + strings.Repeat("78", 16<<10)},
	},
	{
		"empty chunks", &starpb.Stream{Packet: []byte(`52-["x"]`), Attachments: [][]byte{{}, {}}},
		[]string{`452-["x"]`, `binary 04`, `binary 04`},
		[]string{`452-["x"]`, `binary `, `binary `},
	},
}
