package life_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/gateways/uiv2"
	"parley/gateways/ws"
)

// frame is one message to a user interface.
type frame struct {
	Opcode    string          `json:"opcode"`
	ContextID *uint64         `json:"contextId"`
	Payload   json.RawMessage `json:"payload"`
	Error     *struct {
		Code    uint64 `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
	text []byte // all of it
	end  error  // the connection's; nothing follows
}

// ui is one user interface.
type ui struct {
	t      testing.TB
	client *ws.Client
	frames chan frame
	others []frame           // that came while something else was waited for
	hook   func(text []byte) // called with all that comes; nil: nobody looks
	next   uint64
}

// queued is how many frames wait for a test to look at them.
const queued = 1024

// errSeen is the end of a connection that somebody has been told before.
var errSeen = errors.New("the connection has ended before")

// connect opens a user interface at a Daemon's or a Node's port.
func connect(t testing.TB, port uint16) *ui {
	t.Helper()
	u, err := dial(t, port, queued)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// dial is connect for who may not get in. queue is how many frames may wait.
func dial(t testing.TB, port uint16, queue int) (*ui, error) {
	c, err := ws.DialProtocol(t.Context(), fmt.Sprintf("ws://127.0.0.1:%d/", port), 1<<20, uiv2.Subprotocol)
	if err != nil {
		return nil, err
	}
	u := &ui{t: t, client: c, frames: make(chan frame, queue)}
	go func() {
		defer close(u.frames)
		for {
			b, err := c.Hear()
			if err != nil {
				u.frames <- frame{end: err}
				return
			}
			f := frame{text: b}
			if err := json.Unmarshal(b, &f); err != nil {
				f.end = errors.New("not JSON: " + string(b))
			}
			u.frames <- f
		}
	}()
	t.Cleanup(u.leave)
	return u, nil
}

// leave hangs up, and waits until nothing more comes.
func (u *ui) leave() {
	_ = u.client.Close()
	for range u.frames { //nolint:revive // the reader must be gone before the test is
	}
}

// hear takes the next frame.
func (u *ui) hear() frame {
	u.t.Helper()
	select {
	case f, ok := <-u.frames:
		if !ok {
			f.end = errSeen
		}
		if u.hook != nil {
			u.hook(f.text)
		}
		return f
	case <-time.After(patience):
		u.t.Fatal("heard nothing")
		return frame{}
	}
}

// send asks in a conversation of its own, and returns its number.
func (u *ui) send(opcode, payload string) uint64 {
	u.t.Helper()
	u.next++
	text := fmt.Sprintf(`{"opcode":%q,"contextId":%d,"payload":%s}`, opcode, u.next, payload)
	if err := u.client.Say([]byte(text)); err != nil {
		u.t.Fatal(err)
	}
	return u.next
}

// ask returns the answer to a request; a redirect is one. Broadcasts that come
// before are kept for await.
func (u *ui) ask(opcode, payload string) frame {
	u.t.Helper()
	f := u.answer(u.send(opcode, payload))
	if f.end != nil {
		u.t.Fatalf("%s: %v", opcode, f.end)
	}
	return f
}

// answer waits for what a request gets, or for the end of the connection.
func (u *ui) answer(context uint64) frame {
	u.t.Helper()
	return u.find(func(f *frame) bool {
		return f.end != nil || f.Opcode == "redirect" || f.ContextID != nil && *f.ContextID == context
	})
}

// await returns the next broadcast of an opcode. Others stay for later.
func (u *ui) await(opcode string) frame {
	u.t.Helper()
	f := u.find(func(f *frame) bool { return f.end != nil || f.Opcode == opcode && f.ContextID == nil })
	if f.end != nil {
		u.t.Fatalf("waiting for %s: %v", opcode, f.end)
	}
	return f
}

// find returns the first frame that is meant, and leaves those before for later.
func (u *ui) find(meant func(f *frame) bool) frame {
	u.t.Helper()
	for i, f := range u.others {
		if meant(&f) {
			u.others = slices.Delete(u.others, i, i+1)
			return f
		}
	}
	for {
		f := u.hear()
		if meant(&f) {
			return f
		}
		u.others = append(u.others, f)
	}
}

// unheard fails the test if a broadcast of an opcode came that nobody awaited.
func (u *ui) unheard(opcode string) {
	u.t.Helper()
	for _, f := range u.others {
		if f.Opcode == opcode {
			u.t.Errorf("%s once more: %s", opcode, f.Payload)
		}
	}
}

// crash is the payload of crashed.
type crash struct {
	PID       int             `json:"processId"`
	Reason    json.RawMessage `json:"crashReason"`
	ExitCode  *int            `json:"exitCode"`
	Signal    string          `json:"signal"` // blank: null
	Requested bool            `json:"requested"`
	LastLines []string        `json:"lastLines"`
}

// crashed waits for the next end of a Node, which must be that one.
func (u *ui) crashed(pid int) (c crash) {
	u.t.Helper()
	u.await("crashed").into(u.t, &c)
	if c.PID != pid {
		u.t.Errorf("process %d has ended, want %d: %+v", c.PID, pid, c)
	}
	return c
}

// ended waits for the end of the connection, and returns it.
func (u *ui) ended() error {
	u.t.Helper()
	for {
		if f := u.hear(); f.end != nil {
			return f.end
		}
	}
}

// want fails the test unless the payload holds each text.
func (f frame) want(t testing.TB, texts ...string) frame {
	t.Helper()
	if f.Error != nil {
		t.Fatalf("%s: error %d %s", f.Opcode, f.Error.Code, f.Error.Message)
	}
	for _, text := range texts {
		if !strings.Contains(string(f.Payload), text) {
			t.Fatalf("%s: %s\nis without %s", f.Opcode, f.Payload, text)
		}
	}
	return f
}

// refused fails the test unless it is an error of that code and text.
func (f frame) refused(t testing.TB, code uint64, text string) {
	t.Helper()
	if f.Error == nil || f.Error.Code != code || !strings.Contains(f.Error.Message, text) {
		t.Fatalf("%s: %+v %s, want error %d %s", f.Opcode, f.Error, f.Payload, code, text)
	}
}

// into decodes the payload.
func (f frame) into(t testing.TB, v any) {
	t.Helper()
	if err := json.Unmarshal(f.Payload, v); err != nil {
		t.Fatalf("%s: %v", f.Payload, err)
	}
}

// started is the answer to start.
type started struct {
	PID  int    `json:"newProcessId"`
	Port uint16 `json:"redirectUiPort"`
}

// launch starts the Node.
func (u *ui) launch() (s started) {
	u.t.Helper()
	u.ask("start", "{}").want(u.t).into(u.t, &s)
	return s
}

// settle prepares a Setup space for tests side by side: no port is taken twice.
func (u *ui) settle() {
	u.t.Helper()
	u.ask("setup", `{"values":[{"name":"clandestine-port","value":"0"},{"name":"metrics-address","value":"off"},{"name":"star-address","value":"off"},{"name":"enclave-address","value":"off"}]}`).want(u.t, `"clandestine-port","value":"0","status":"Set"`)
}
