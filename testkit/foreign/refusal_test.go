package foreign_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"parley/gateways/uiv2"
	"parley/gateways/ws"
)

// expectRefusals opens web pages that try to be user interfaces. Those of friends are let in once they are in the Setup space;
// strangers, and those that come in by a name of their own, are not.
func expectRefusals(ctx context.Context, t *testing.T, browser context.Context, friends, strangers string) {
	t.Helper()
	d, _ := startDaemon(ctx, t)

	friend := openPage(t, browser, friends+"/page.html", http.StatusOK)
	friend.expectRefused(t, d.ui)
	d.expectTurnedAway(ctx, t, "", "origin_not_allowed")
	owner := admit(ctx, t, d, friends)
	friend.expectAdmitted(t, d.ui)

	pid, node := owner.start(t)
	friend.expectAdmitted(t, node)
	stranger := openPage(t, browser, strangers+"/page.html", http.StatusOK)
	stranger.expectRefused(t, d.ui)
	stranger.expectRefused(t, node)
	byNode := fmt.Sprintf("node %d: ", pid)
	d.expectTurnedAway(ctx, t, byNode, "origin_not_allowed")

	for prefix, at := range map[string]string{"": d.ui, byNode: node} {
		_, port, err := net.SplitHostPort(at)
		if err != nil {
			t.Fatal(err)
		}
		// The page is one of the Daemon's own, as far as the browser knows: it may be opened by that name and talk to it.
		rebound := net.JoinHostPort(evil, port)
		openPage(t, browser, "http://"+rebound+"/", http.StatusForbidden).expectRefused(t, rebound)
		d.expectTurnedAway(ctx, t, prefix, "host_not_allowed")
	}
	owner.ask(t, "setup", `{"values":[]}`) // nobody has come to harm
	d.terminate(t)
	d.expectExit(t)
}

// expectTurnedAway waits until the door has logged and counted that somebody was turned away. Lines of the Node begin with prefix.
func (p *process) expectTurnedAway(ctx context.Context, t *testing.T, prefix, reason string) {
	t.Helper()
	p.expectLog(ctx, t, prefix+reason, func(line string) bool {
		mine := prefix != "" || !strings.HasPrefix(line, "node ")
		return mine && strings.HasPrefix(line, prefix) && strings.Contains(line, "turned away at the door reason="+reason+" times=")
	})
}

// page is a page in a tab of its own.
type page struct{ tab context.Context }

// openPage opens a page, which must come with a status.
func openPage(t *testing.T, browser context.Context, url string, status int64) page {
	t.Helper()
	tab, closeTab := chromedp.NewContext(browser)
	t.Cleanup(closeTab)
	response, err := chromedp.RunResponse(tab, chromedp.Navigate(url))
	if err != nil {
		t.Fatalf("foreign: open %q: %v", url, err)
	}
	if response.Status != status {
		t.Fatalf("foreign: %q came with status %d, want %d", url, response.Status, status)
	}
	return page{tab}
}

// attempt opens a WebSocket to a user interface's gateway, asks something, and returns "answered" or "refused".
const attempt = `new Promise((resolve) => {
	const socket = new WebSocket("ws://%s/", "MASQNode-UIv2");
	socket.onopen = () => socket.send('{"opcode":"subscribe","contextId":1,"payload":{"opcodes":[]}}');
	socket.onmessage = (event) => JSON.parse(event.data).contextId === 1 && (resolve("answered"), socket.close());
	socket.onclose = () => resolve("refused");
})`

func (p page) attempt(t *testing.T, at, want string) {
	t.Helper()
	got, err := chromedp.Run(p.tab, chromedp.Evaluate[string](fmt.Sprintf(attempt, at), chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("foreign: the page: %v", err)
	}
	if got != want {
		t.Fatalf("foreign: %s has %s the page, want %s", at, got, want)
	}
}

func (p page) expectAdmitted(t *testing.T, at string) {
	t.Helper()
	p.attempt(t, at, "answered")
}

// expectRefused wants a 403, of which the browser tells nobody but its console.
func (p page) expectRefused(t *testing.T, at string) {
	t.Helper()
	console := chromedp.Console(p.tab)
	p.attempt(t, at, "refused")
	for message, err := range console {
		if err != nil {
			t.Fatalf("foreign: the page: %v", err)
		}
		if !strings.Contains(message.Text, "ws://"+at+"/") {
			continue
		}
		if !strings.Contains(message.Text, "Unexpected response code: 403") {
			t.Errorf("foreign: %s did not answer with 403: %s", at, message.Text)
		}
		return
	}
}

// owner is a user interface of the user that all of this runs as.
type owner struct {
	client *ws.Client
	at     uint64 // contextId of the last request
}

// admit lets pages of an origin in, through the Setup space, and makes sure that no port is taken twice.
func admit(ctx context.Context, t *testing.T, d *process, origin string) *owner {
	t.Helper()
	const frameMost = 1 << 20 // bytes
	client, err := ws.DialProtocol(ctx, "ws://"+d.ui+"/", frameMost, uiv2.Subprotocol)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	o := &owner{client: client}
	set := o.ask(t, "setup", fmt.Sprintf(`{"values":[{"name":"ui-origins","value":%q},{"name":"clandestine-port","value":"0"},{"name":"metrics-address","value":"off"},{"name":"star-address","value":"off"},{"name":"enclave-address","value":"off"}]}`, origin))
	if !strings.Contains(string(set), `"errors":[]`) {
		t.Fatalf("foreign: setup: %s", set)
	}
	return o
}

// start starts the Node, and returns where it serves user interfaces.
func (o *owner) start(t *testing.T) (pid int, at string) {
	t.Helper()
	var started struct {
		NewProcessID   int    `json:"newProcessId"`
		RedirectUIPort uint16 `json:"redirectUiPort"`
	}
	if err := json.Unmarshal(o.ask(t, "start", "{}"), &started); err != nil {
		t.Fatal(err)
	}
	return started.NewProcessID, fmt.Sprintf("127.0.0.1:%d", started.RedirectUIPort)
}

// ask returns the payload of the answer.
func (o *owner) ask(t *testing.T, opcode, payload string) json.RawMessage {
	t.Helper()
	o.at++
	if err := o.client.Say(fmt.Appendf(nil, `{"opcode":%q,"contextId":%d,"payload":%s}`, opcode, o.at, payload)); err != nil {
		t.Fatal(err)
	}
	for {
		frame, err := o.client.Hear()
		if err != nil {
			t.Fatalf("foreign: %s: %v", opcode, err)
		}
		var answer struct {
			ContextID uint64          `json:"contextId"`
			Payload   json.RawMessage `json:"payload"`
		}
		if err := json.Unmarshal(frame, &answer); err != nil {
			t.Fatalf("foreign: %s: %v", frame, err)
		}
		if answer.ContextID != o.at {
			continue
		}
		if answer.Payload == nil {
			t.Fatalf("foreign: %s", frame)
		}
		return answer.Payload
	}
}
