//go:build linux

package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"parley/cmd/parley/bench/field"
	"parley/cmd/parley/bench/limit"
	"parley/cmd/parley/bench/report"
	"parley/cmd/parley/bench/wire"
	"parley/testkit/leaks"
)

// TestMain also plays the binary that the bench starts: here bench is the root command.
func TestMain(m *testing.M) {
	word := ""
	if len(os.Args) > 1 {
		word = os.Args[1]
	}
	switch word {
	case "limit", "limit-ui":
		if Command().Execute() != nil {
			os.Exit(1)
		}
		return
	case "daemon":
		serveAsDaemon()
		return
	case wordNode:
		serveAsNode()
		return
	}
	leaks.Main(m)
}

// bench runs `bench relay` against a URL and returns its report. Nothing here depends on how long it takes: phases end
// with a number of messages unless the flags say otherwise, and giving up takes as long as patience.
func bench(t *testing.T, url string, flags ...string) (*report.Report, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var out bytes.Buffer
	c := Command()
	c.SetOut(&out)
	c.SetArgs(append([]string{
		"relay", "--json", "--url", url, "--warmup", "5ms", "--duration", "100ms", "--settle", "10ms", "--give-up", patience.String(),
	}, flags...))
	err := c.ExecuteContext(ctx)
	if out.Len() == 0 {
		return nil, err
	}
	r := &report.Report{}
	d := json.NewDecoder(&out)
	d.DisallowUnknownFields()
	if bad := d.Decode(r); bad != nil {
		t.Fatalf("report: %v", bad)
	}
	return r, err
}

func mustBench(t *testing.T, url string, flags ...string) *report.Report {
	t.Helper()
	r, err := bench(t, url, flags...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func self() string { return fmt.Sprint(os.Getpid()) }

func TestFanout(t *testing.T) {
	for _, odd := range []bool{false, true} {
		url := serve(t, &server{odd: odd})
		for _, c := range []struct {
			flags                []string
			messages, deliveries uint64
		}{
			{[]string{"--messages", "50"}, 50, 50 * 20},
			{[]string{"--messages", "64", "--inflight", "16", "--size", "5000"}, 64, 64 * 20},
			// Each of four publishers sends a quarter, and hears the other three.
			{[]string{"--messages", "40", "--publishers", "4", "--inflight", "3"}, 40, 40 * (20 + 3)},
			{[]string{"--messages", "50", "--readers", "3", "--read-pause", "10us"}, 50, 50 * 20},
			{[]string{"--messages", "50", "--subscribe-key", "both", "--source", "127.0.0.2,127.0.0.3"}, 50, 50 * 20},
		} {
			r := mustBench(t, url, append([]string{"--subscribers", "20", "--pid", self()}, c.flags...)...)
			x := r.Runs[0]
			if x.Messages != c.messages || x.Deliveries != c.deliveries || x.Latency.Count != c.deliveries || x.Responses["ok"] != c.messages {
				t.Errorf("odd %t %v: %d messages, %d deliveries, %d times, answers %v", odd, c.flags, x.Messages, x.Deliveries, x.Latency.Count, x.Responses)
			}
			if x.Faults != (report.Faults{}) || len(x.Closes) != 0 || x.Memory.Start <= 0 || x.Server == nil || x.Latency.Max <= 0 {
				t.Errorf("odd %t %v: %+v", odd, c.flags, x)
			}
		}
	}
}

func TestDurationEndsARun(t *testing.T) {
	x := mustBench(t, serve(t, &server{}), "--subscribers", "5", "--duration", "50ms").Runs[0]
	if x.Messages == 0 || x.Deliveries != 5*x.Messages {
		t.Fatalf("%d messages, %d deliveries", x.Messages, x.Deliveries)
	}
}

func TestChannels(t *testing.T) {
	url := serve(t, &server{})
	for _, inflight := range []string{"1", "7"} {
		x := mustBench(t, url, "--scenario", "channels", "--channels", "13", "--per-channel", "3", "--publishers", "4",
			"--messages", "200", "--inflight", inflight, "--no-ack=false").Runs[0]
		if x.Messages != 200 || x.Deliveries != 600 || x.Faults != (report.Faults{}) {
			t.Fatalf("inflight %s: %d messages, %d deliveries, %+v", inflight, x.Messages, x.Deliveries, x.Faults)
		}
	}
}

// TestNoAck: a server that answers all the same confuses nothing.
func TestNoAck(t *testing.T) {
	x := mustBench(t, serve(t, &server{}), "--subscribers", "3", "--messages", "30", "--no-ack").Runs[0]
	if x.Deliveries != 90 || x.Faults != (report.Faults{}) {
		t.Fatalf("%d deliveries, %+v", x.Deliveries, x.Faults)
	}
}

// TestFaultsAreFound: each broken promise is counted exactly, and fails the run.
func TestFaultsAreFound(t *testing.T) {
	// Subscribers 0 to 3 and publisher 4, bursts of 10, 100 messages: subscriber 1 is treated badly at every seventh of
	// ten, which is 10 times.
	hit := func(to *peer, s stamped) bool { return to.number == 1 && s.stamp.Seq%10 == 6 }
	const hits = 10
	for _, c := range []struct {
		name   string
		mangle func(*peer, stamped) [][]byte
		want   report.Faults
		says   string
	}{
		{"lost", func(to *peer, s stamped) [][]byte {
			if hit(to, s) {
				return nil
			}
			return [][]byte{s.frame}
		}, report.Faults{Lost: hits, Gaps: hits}, "10 deliveries lost"},
		{"duplicated", func(to *peer, s stamped) [][]byte {
			if hit(to, s) {
				return [][]byte{s.frame, s.frame}
			}
			return [][]byte{s.frame}
		}, report.Faults{Duplicates: hits}, "10 deliveries made twice"},
		{"reordered", func(to *peer, s stamped) [][]byte {
			if hit(to, s) {
				to.held = [][]byte{s.frame}
				return nil
			}
			out := append([][]byte{s.frame}, to.held...)
			to.held = nil
			return out
		}, report.Faults{Gaps: hits, Reordered: hits}, "10 deliveries out of order"},
		{"misrouted", func(to *peer, s stamped) [][]byte {
			if hit(to, s) {
				wrong := s.stamp
				wrong.Channel++
				other := fmt.Appendf(nil, `{"type":"message","data":{"message":"%s","channel":"x"}}`, wrong.AppendText(nil, 60))
				return [][]byte{s.frame, wire.AppendServer(nil, wire.OpText, other)}
			}
			return [][]byte{s.frame}
		}, report.Faults{Misrouted: hits}, "10 deliveries to who had not subscribed"},
		{"strange", func(to *peer, s stamped) [][]byte {
			if hit(to, s) {
				return [][]byte{s.frame, wire.AppendServer(nil, wire.OpText, []byte(`{"type":"advertisement"}`))}
			}
			return [][]byte{s.frame}
		}, report.Faults{Stray: hits}, "10 frames that the wire does not know"},
	} {
		t.Run(c.name, func(t *testing.T) {
			flags := []string{"--subscribers", "4", "--messages", "100", "--inflight", "10", "--warmup", "0", "--connect-parallel", "1"}
			r, err := bench(t, serve(t, &server{mangle: c.mangle}), flags...)
			if code(err) != exitFailed || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("error %v, want %q", err, c.says)
			}
			if r.Runs[0].Faults != c.want || r.Runs[0].Deliveries != uint64(400-c.want.Lost) {
				t.Fatalf("%d deliveries, %+v, want %+v", r.Runs[0].Deliveries, r.Runs[0].Faults, c.want)
			}
			if _, err := bench(t, serve(t, &server{mangle: c.mangle}), append(flags, "--allow-loss")...); err != nil {
				t.Fatalf("allowed: %v", err)
			}
		})
	}
}

// code is the exit code that main would end with.
func code(err error) int {
	if c, ok := err.(interface{ ExitCode() int }); ok {
		return c.ExitCode()
	}
	return 0
}

func TestEchoIsFound(t *testing.T) {
	s := &server{}
	s.reply = func(p *peer, command string) bool {
		if command == "send" {
			text := wire.Stamp{Publisher: 0, Channel: 0, Seq: 0, Nanos: 1}.AppendText(nil, 60)
			p.say(fmt.Sprintf(`{"type":"message","data":{"message":"%s","channel":"x"}}`, text))
		}
		return false
	}
	r, err := bench(t, serve(t, s), "--subscribers", "2", "--messages", "10", "--warmup", "0")
	if code(err) != exitFailed || r.Runs[0].Faults != (report.Faults{Echoes: 10}) {
		t.Fatalf("%v", err)
	}
}

// TestTrailingLoss: when the last message of all is lost there is nothing that shows a gap, so the run is given up.
func TestTrailingLoss(t *testing.T) {
	s := &server{mangle: func(to *peer, s stamped) [][]byte {
		if to.number == 1 && s.stamp.Seq >= 9 {
			return nil
		}
		return [][]byte{s.frame}
	}}
	r, err := bench(t, serve(t, s), "--subscribers", "3", "--messages", "10", "--warmup", "0", "--give-up", "200ms", "--connect-parallel", "1")
	if code(err) != exitFailed || !r.Runs[0].Faults.Stalled || r.Runs[0].Faults.Lost < 1 {
		t.Fatalf("%v", err)
	}
	// With losses allowed it goes on past such a place: here each burst ends with one.
	odd := func(to *peer, s stamped) [][]byte {
		if to.number == 1 && s.stamp.Seq%2 == 1 {
			return nil
		}
		return [][]byte{s.frame}
	}
	r, err = bench(t, serve(t, &server{mangle: odd}), "--subscribers", "3", "--messages", "6", "--inflight", "2", "--warmup", "0",
		"--give-up", "100ms", "--connect-parallel", "1", "--allow-loss")
	if err != nil || r.Runs[0].Messages != 6 || r.Runs[0].Faults.Lost < 3 {
		t.Fatalf("%v %+v", err, r.Runs)
	}
	if _, err := bench(t, serve(t, &server{mangle: odd}), "--subscribers", "3", "--warmup", "1s", "--inflight", "2", "--give-up", "100ms", "--connect-parallel", "1"); code(err) != exitFailed || !strings.Contains(err.Error(), "warm-up") {
		t.Fatalf("lost in the warm-up: %v", err)
	}
}

// TestRefusedMessagesAreNotLost: they are counted by their reason instead.
func TestRefusedMessagesAreNotLost(t *testing.T) {
	s := &server{refuse: func(nonce int) string {
		if nonce%10 == 3 {
			return "slow down"
		}
		return ""
	}}
	r, err := bench(t, serve(t, s), "--subscribers", "3", "--messages", "30", "--inflight", "10", "--warmup", "0")
	if code(err) != exitFailed || !strings.Contains(err.Error(), `3 commands refused: "slow down"`) {
		t.Fatalf("%v", err)
	}
	if x := r.Runs[0]; x.Faults.Lost != 0 || x.Responses["slow down"] != 3 || x.Deliveries != 27*3 {
		t.Fatalf("%+v", x)
	}
}

// TestClosesAreFound: a subscriber that is closed in the middle loses what it has not got; the rest goes on.
func TestClosesAreFound(t *testing.T) {
	s := &server{}
	s.mangle = func(to *peer, s stamped) [][]byte {
		if to.number == 1 && s.stamp.Seq == 5 {
			to.end(1001)
			return nil
		}
		return [][]byte{s.frame}
	}
	r, err := bench(t, serve(t, s), "--subscribers", "3", "--messages", "50", "--inflight", "10", "--warmup", "0", "--connect-parallel", "1")
	if code(err) != exitFailed || r.Runs[0].Closes["subscriber"][1001] != 1 || r.Runs[0].Messages != 50 || r.Runs[0].Faults.Lost < 1 {
		t.Fatalf("%v", err)
	}
	// A publisher's end is the end.
	s = &server{reply: func(p *peer, command string) bool {
		if command == "send" {
			p.end(1011)
		}
		return command == "send"
	}}
	if _, err := bench(t, serve(t, s), "--subscribers", "3", "--warmup", "0"); code(err) != exitFailed || !errors.Is(err, field.ErrPublisherGone) {
		t.Fatalf("%v", err)
	}
}

func TestRate(t *testing.T) {
	url := serve(t, &server{})
	x := mustBench(t, url, "--scenario", "rate", "--subscribers", "5", "--rate", "500", "--duration", "200ms").Runs[0]
	if x.Messages != 100 || x.Deliveries != 500 || x.Late.Count != 100 || x.Faults != (report.Faults{}) {
		t.Fatalf("%d messages, %d deliveries, %+v", x.Messages, x.Deliveries, x.Faults)
	}
	// A server that never delivers.
	mute := serve(t, &server{mangle: func(*peer, stamped) [][]byte { return nil }})
	r, err := bench(t, mute, "--scenario", "rate", "--subscribers", "2", "--rate", "100", "--duration", "50ms", "--warmup", "0", "--give-up", "100ms")
	if code(err) != exitFailed || r.Runs[0].Faults.Lost != 10 || !r.Runs[0].Faults.Stalled {
		t.Fatalf("%v", err)
	}
}

func TestSlow(t *testing.T) {
	// Peers by number: 0 to 3 and publisher 4 without; 5 to 8, publisher 9, and 10 and 11 that stop reading with.
	const sleeper, cut = 10, 50
	url := serve(t, &server{mangle: func(to *peer, s stamped) [][]byte {
		if to.number >= sleeper && s.stamp.Seq == cut {
			to.end(1013)
		}
		return [][]byte{s.frame}
	}})
	r := mustBench(t, url, "--scenario", "slow", "--subscribers", "6", "--stalled", "2", "--rate", "500", "--size", "10000",
		"--duration", "600ms", "--stall", "500ms", "--settle", patience.String(), "--warmup", "0", "--pid", self())
	if len(r.Runs) != 2 || r.Runs[0].Phase != phaseWithout || r.Runs[1].Phase != phaseWith {
		t.Fatalf("%+v", r.Runs)
	}
	for _, x := range r.Runs {
		if x.Messages != 300 || x.Deliveries != 300*4 || x.Faults != (report.Faults{}) {
			t.Errorf("%s: %d messages, %d deliveries, %+v", x.Phase, x.Messages, x.Deliveries, x.Faults)
		}
	}
	if c := r.Runs[1].Closes; len(c) != 1 || len(c["stalled"]) != 1 || c["stalled"][1013] != 2 {
		t.Errorf("closes %v", c)
	}
	if len(r.Runs[0].Closes) != 0 {
		t.Errorf("closes without stalled ones %v", r.Runs[0].Closes)
	}
}

func TestIdle(t *testing.T) {
	url := serve(t, &server{odd: true})
	for _, probe := range []string{"list", "subscribe"} {
		x := mustBench(t, url, "--scenario", "idle", "--clients", "50", "--idle-channels", "7", "--probe", probe, "--pid", self()).Runs[0]
		if x.Idle.Clients != 50 || x.Idle.Missing != 0 || x.Connect.Count != 50 || x.Subscribe.Count != 50 || x.Answer.Count != 50 || x.Idle.AllAnswered <= 0 {
			t.Fatalf("%s: %+v", probe, x)
		}
	}
	// One client is not answered.
	n := 0
	mute := &server{}
	mute.reply = func(_ *peer, command string) bool {
		mute.mu.Lock()
		defer mute.mu.Unlock()
		if command == "list" {
			n++
		}
		return n == 1
	}
	r, err := bench(t, serve(t, mute), "--scenario", "idle", "--clients", "5", "--give-up", "200ms")
	if code(err) != exitFailed || r.Runs[0].Idle.Missing < 1 {
		t.Fatalf("%v", err)
	}
}

func TestStorm(t *testing.T) {
	r := mustBench(t, serve(t, &server{}), "--scenario", "storm", "--subscribers", "5", "--guessers", "10", "--redial", "1ms",
		"--guess-pause", "100us", "--rounds", "2", "--duration", "300ms", "--warmup", "50ms")
	if len(r.Runs) != 4 {
		t.Fatalf("%d runs", len(r.Runs))
	}
	for i, phase := range []string{phaseWithout, phaseWith, phaseWithout, phaseWith} {
		x := r.Runs[i]
		if x.Phase != phase || x.Deliveries == 0 || (x.Storm != nil) != (phase == phaseWith) {
			t.Fatalf("run %d: %+v", i, x)
		}
		if s := x.Storm; s != nil && (s.Guesses == 0 || s.Answers["invalid password"] != s.Guesses || s.Closes[1008] == 0) {
			t.Fatalf("run %d: %+v", i, s)
		}
	}
	if len(r.Medians) != 2 || len(r.Ratios) == 0 {
		t.Fatalf("%+v %+v", r.Medians, r.Ratios)
	}
}

// TestStormFindsAnOpenDoor: the bare server takes any password.
func TestStormFindsAnOpenDoor(t *testing.T) {
	s, err := limit.Listen("127.0.0.1:0", limit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	_, err = bench(t, "ws://"+s.Address()+"/connect", "--scenario", "storm", "--subscribers", "2", "--guessers", "2", "--rounds", "1")
	if code(err) != exitFailed || !strings.Contains(err.Error(), "wrong passwords accepted") {
		t.Fatalf("%v", err)
	}
}

func TestFlood(t *testing.T) {
	url := serve(t, &server{backlog: 64 << 10})
	for _, c := range []struct {
		read, settle string
		closed       uint64
	}{{"0", patience.String(), 3}, {"100000000", "10ms", 0}} {
		x := mustBench(t, url, "--scenario", "flood", "--subscribers", "3", "--size", "20000", "--read-rate", c.read, "--pid", self(),
			"--duration", "500ms", "--settle", c.settle).Runs[0]
		if x.Flood.Sent == 0 || x.Flood.AcceptedPerSecond <= 0 || len(x.Memory.Samples) < 2 {
			t.Errorf("read %s: %+v", c.read, x)
		}
		if c.closed > 0 && x.Closes["stalled"][1013] != c.closed {
			t.Errorf("read %s: closes %v", c.read, x.Closes)
		}
	}
}

func TestAgainstLimit(t *testing.T) {
	url := serve(t, &server{})
	r := mustBench(t, url, "--subscribers", "10", "--messages", "100", "--inflight", "4", "--pid", self(), "--against-limit", "--repeat", "2")
	var order []string
	for _, x := range r.Runs {
		order = append(order, fmt.Sprint(x.Target, x.Round))
		if x.Deliveries != 1000 || x.Server == nil {
			t.Errorf("%+v", x)
		}
	}
	if got := strings.Join(order, " "); got != "server1 limit1 limit-join1 server2 limit2 limit-join2" {
		t.Errorf("order %s", got)
	}
	if len(r.Medians) != 3 {
		t.Errorf("medians %+v", r.Medians)
	}
}

func TestExitCodes(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := "ws://" + l.Addr().String()
	_ = l.Close()
	for _, c := range []struct {
		flags []string
		code  int
		says  string
	}{
		{nil, exitUnreachable, "is the server running"},
		{[]string{"--scenario", "idle", "--clients", "3"}, exitUnreachable, "is the server running"},
		{[]string{"--url", "wss://x"}, exitUsage, "only ws://"},
		{[]string{"--scenario", "tea"}, exitUsage, "unknown scenario"},
		{[]string{"--size", "10"}, exitUsage, "--size is 10"},
		{[]string{"--rate", "0"}, exitUsage, "--rate"},
		{[]string{"--scenario", "slow", "--stalled", "100"}, exitUsage, "leaves none"},
		{[]string{"--scenario", "channels", "--channels", "3"}, exitUsage, "each needs one"},
		{[]string{"--subscribe-key", "name"}, exitUsage, "--subscribe-key"},
		{[]string{"--probe", "x"}, exitUsage, "--probe"},
		{[]string{"--source", "x"}, exitUsage, "source address"},
		{[]string{"--against-limit"}, exitUsage, "--pid"},
		{[]string{"--against-limit", "--scenario", "idle"}, exitUsage, "compares"},
		{[]string{"--pid", "999999999"}, exitUsage, "999999999"},
	} {
		if _, err := bench(t, dead, c.flags...); code(err) != c.code || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v: exit %d, %v; want %d, %q", c.flags, code(err), err, c.code, c.says)
		}
	}
	refusing := serve(t, &server{reply: func(p *peer, _ string) bool {
		p.say(`{"type":"response","data":{"ok":false,"reason":"channel limit reached"},"nonce":""}`)
		return true
	}})
	for _, scenario := range []string{"fanout", "idle", "flood", "storm"} {
		if _, err := bench(t, refusing, "--scenario", scenario, "--subscribers", "2", "--clients", "2"); code(err) != exitFailed || !strings.Contains(err.Error(), "channel limit reached") {
			t.Errorf("%s: %v", scenario, err)
		}
	}
}

func TestInterrupt(t *testing.T) {
	url := serve(t, &server{})
	for _, scenario := range report.Scenarios {
		ctx, cancel := context.WithCancel(t.Context())
		c := Command()
		c.SetOut(&bytes.Buffer{})
		c.SetArgs([]string{
			"relay", "--url", url, "--scenario", scenario, "--duration", "1h", "--settle", "1h", "--clients", "2",
			"--subscribers", "2", "--stalled", "1", "--guessers", "2", "--channels", "50", "--per-channel", "1", "--rate", "10", "--warmup", "0",
		})
		done := make(chan error, 1)
		go func() { done <- c.ExecuteContext(ctx) }()
		cancel()
		if err := <-done; code(err) != exitFailed || !strings.Contains(err.Error(), "interrupted") {
			t.Errorf("%s: %v", scenario, err)
		}
	}
}
