package star

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"parley/cmd/parley/starclient"
)

// peer is one connection of a case. Announcements of others, which may come at any time, are noted and passed over.
type peer struct {
	p       *play
	w       *starclient.Wire // nil: the play has failed
	address string           // under which it has joined
	asked   int
	heard   map[string]bool // addresses that were announced
}

func shape(expression string) *regexp.Regexp { return regexp.MustCompile(expression) }

// Shapes of answers.
var (
	joined  = shape(`^\[null,null,\[.*\]\]$`)
	noncing = shape(`^\[null,"([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}){2}"\]$`)
	refusal = shape(`^\[("..*"|\{.*\})\]$`)
)

// done says whether nothing is to be done any more.
func (a *peer) done() bool { return a.w == nil || a.p.Err != nil }

func (a *peer) say(text string) {
	if !a.done() {
		a.check(a.w.Say(text))
	}
}

func (a *peer) binary(b ...byte) {
	if !a.done() {
		a.check(a.w.SayBinary(b))
	}
}

func (a *peer) packet(text string, attachments ...[]byte) {
	if !a.done() {
		a.check(a.w.Packet(text, attachments...))
	}
}

func (a *peer) check(err error) {
	if err != nil {
		a.p.Fail("the connection was ended: %w", err)
	}
}

// next is the next frame that is no announcement and no sign of life.
func (a *peer) next(what string) starclient.Frame {
	for !a.done() {
		f, err := a.w.HearBy(time.Now().Add(a.p.o.Answer), nil)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			a.p.Fail("nothing came for %v, where %s was due", a.p.o.Answer, what)
		case err != nil:
			a.p.Fail("the connection was ended where %s was due: %w", what, err)
		case !f.Binary && a.passes(string(f.Data)):
		default:
			return starclient.Frame{Data: bytes.Clone(f.Data), Binary: f.Binary}
		}
	}
	return starclient.Frame{}
}

func (a *peer) passes(text string) bool {
	address, ok := strings.CutPrefix(text, `42["ws-peer",`)
	if !ok {
		return text == "6"
	}
	var s string
	if json.Unmarshal([]byte(strings.TrimSuffix(address, "]")), &s) != nil {
		a.p.Fail("malformed announcement %s", text)
	}
	a.heard[s] = true
	return true
}

// shown is a frame for people.
func shown(f starclient.Frame) string {
	if f.Binary {
		return fmt.Sprintf("a binary of %d bytes", len(f.Data))
	}
	return fmt.Sprintf("%.200s", f.Data)
}

// wants hears text frames, in this order.
func (a *peer) wants(texts ...string) {
	for _, text := range texts {
		f := a.next(text)
		a.p.Demand(!f.Binary && string(f.Data) == text, "%s came, not %s", shown(f), text)
	}
}

// wantsLike hears one text frame of a shape.
func (a *peer) wantsLike(like *regexp.Regexp) string {
	f := a.next(like.String())
	a.p.Demand(!f.Binary && like.Match(f.Data), "%s came, not %s", shown(f), like)
	return string(f.Data)
}

// wantsBinary hears one attachment.
func (a *peer) wantsBinary(b []byte) {
	f := a.next("an attachment")
	a.p.Demand(f.Binary && bytes.Equal(f.Data, b), "%s came, not the attachment of %d bytes", shown(f), len(b))
}

// wantsAll hears text frames in any order.
func (a *peer) wantsAll(texts ...string) {
	due := slices.Clone(texts)
	for len(due) > 0 && !a.done() {
		f := a.next(strings.Join(due, " and "))
		i := slices.Index(due, string(f.Data))
		if a.p.Demand(i >= 0 && !f.Binary, "%s came, not %s", shown(f), strings.Join(due, " or ")) {
			due = slices.Delete(due, i, i+1)
		}
	}
}

// hears waits until an address was announced.
func (a *peer) hears(address string) {
	for !a.heard[address] && !a.done() {
		f, err := a.w.HearBy(time.Now().Add(a.p.o.Answer), nil)
		if err != nil {
			a.p.Fail("%s was not announced: %w", address, err)
			return
		}
		a.p.Demand(!f.Binary && a.passes(string(f.Data)), "%s came before %s was announced", shown(f), address)
	}
}

// quiet says that nothing more has come: a ping is answered, and nothing is before its answer.
func (a *peer) quiet() {
	a.say("2")
	a.wants("3")
}

// closed waits for the server to end the connection.
func (a *peer) closed() {
	for !a.done() {
		_, err := a.w.HearBy(time.Now().Add(a.p.o.Answer), nil)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			a.p.Fail("the server has not ended the connection in %v", a.p.o.Answer)
		}
		if err != nil {
			return
		}
	}
}

// event says an event without an ack.
func (a *peer) event(name string, arguments ...any) {
	a.packet("2" + a.array(append([]any{name}, arguments...)...))
}

// ask says an event and returns the JSON of what its ack brings.
func (a *peer) ask(name string, arguments ...any) string {
	id := a.emit(name, arguments...)
	return a.answer(id)
}

// emit says an event with an ack, whose id it returns.
func (a *peer) emit(name string, arguments ...any) int {
	id := a.asked
	a.asked++
	a.packet(fmt.Sprintf("2%d%s", id, a.array(append([]any{name}, arguments...)...)))
	return id
}

// answer hears the ack with an id.
func (a *peer) answer(id int) string {
	prefix := fmt.Sprintf("43%d[", id)
	f := a.next(prefix + "…")
	text, ok := strings.CutPrefix(string(f.Data), prefix[:len(prefix)-1])
	a.p.Demand(ok && !f.Binary && strings.HasPrefix(text, "["), "%s came, not %s…", shown(f), prefix)
	return text
}

func (a *peer) array(items ...any) string {
	b, err := json.Marshal(items)
	if err != nil {
		a.p.Fail("%w", err)
	}
	return string(b)
}

// refuses asks, and wants an error with this text; "": any.
func (a *peer) refuses(text, name string, arguments ...any) {
	a.refused(text, a.ask(name, arguments...), name)
}

func (a *peer) refused(text, answer, name string) {
	want := refusal.MatchString(answer)
	if text != "" {
		want = answer == a.array(text)
	}
	a.p.Demand(want, "%s was answered %.200s, not with the error %q", name, answer, text)
}

// begins asks to join, and returns the nonce.
func (a *peer) begins(address string, key *starclient.Identity) string {
	answer := a.ask(starclient.EventJoin, address, key.PublicKey())
	a.p.Demand(noncing.MatchString(answer), "ss-join was answered %.200s, not with a nonce", answer)
	return strings.TrimSuffix(strings.TrimPrefix(answer, `[null,"`), `"]`)
}

// signs is the answer to a challenge.
func (a *peer) signs(nonce string, key *starclient.Identity) string {
	if a.done() {
		return ""
	}
	signature, err := key.Sign(nonce)
	if err != nil {
		a.p.Fail("%w", err)
	}
	return signature
}

// joins registers an address, with or without a challenge, and returns who else is online.
func (a *peer) joins(address string) []string { return a.joinsAs(address, a.p.key) }

func (a *peer) joinsAs(address string, key *starclient.Identity) []string {
	data := ""
	if a.p.o.Challenge {
		data = a.signs(a.begins(address, key), key)
	}
	answer := a.ask(starclient.EventJoin, address, data)
	a.p.Demand(joined.MatchString(answer), "ss-join was answered %.200s, not [null,null,[…]]", answer)
	a.address = address
	var parts []json.RawMessage
	var others []string
	if a.p.Err == nil && json.Unmarshal([]byte(answer), &parts) == nil {
		_ = json.Unmarshal(parts[2], &others)
	}
	return others
}

// Events of streams, as frames.
func accept(id string) string { return `42["socket.io-pull-stream.accept.` + id + `"]` }
func ends(id string) string   { return `42["socket.io-pull-stream.error.` + id + `",true]` }
func chunk(id string) string {
	return `451-["socket.io-pull-stream.queue.` + id + `",{"_placeholder":true,"num":0}]`
}

// incoming hears that somebody dials, and returns the ack id that is wanted.
func (a *peer) incoming(dial, from string) string {
	text := a.wantsLike(shape(`^42[0-9]+\["ss-incomming",`))
	id, rest, _ := strings.Cut(strings.TrimPrefix(text, "42"), "[")
	a.p.Demand("["+rest == a.array(starclient.EventIncoming, dial, from), "%s came, not the dial %s from %s", text, dial, from)
	return id
}

// dials connects a to b, who takes it, and both read.
func (a *peer) dials(b *peer, dial string) {
	id := a.emit(starclient.EventDial, a.address, b.address, dial)
	a.wants(accept(dial + ".dialer"))
	ack := b.incoming(dial, a.address)
	b.say(accept(dial + ".dialer"))
	b.say("43" + ack + "[]")
	b.wants(accept(dial + ".listener"))
	answer := a.answer(id)
	a.p.Demand(answer == "[]" || answer == "[null]", "ss-dial was answered %.200s", answer)
	a.say(accept(dial + ".listener"))
}

// sends sends a chunk that b hears.
func (a *peer) sends(b *peer, id string, data []byte) {
	a.packet(chunk(id)[1:], data)
	b.wants(chunk(id))
	b.wantsBinary(data)
}
