package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"parley/cmd/parley/config"
	"parley/cmd/parley/show"
	"parley/gateways/ws"
)

const (
	// frameLimit is the largest frame that is taken from a server, in bytes: a
	// node can be told to pass on messages of 64 MiB (max-frame).
	frameLimit = 65 << 20
	// dialTimeout ends a handshake that leads nowhere.
	dialTimeout = 10 * time.Second
	// busyTries is how often a subscribe is tried again when the node has too
	// many passwords to check. It answers so once a second and no faster.
	busyTries = 10
)

// session is a connection to a relay, as the verbs use it; a *ws.Client is one.
type session interface {
	Say([]byte) error
	Hear() ([]byte, error)
	Close() error
}

// order is a frame to the relay. Source: gateways/relay/PROTOCOL.md, Commands.
type order struct {
	Command string `json:"command"`
	Data    any    `json:"data"`
	Nonce   int    `json:"nonce"`
}

// subscribeData names the channel twice: servers of this wire know it by the one
// key or by the other.
type subscribeData struct {
	Topic    string `json:"topic"`
	Channel  string `json:"channel"`
	Password string `json:"password,omitempty"`
	Drop     string `json:"drop,omitempty"`
}

type sendData struct {
	Channel string `json:"channel"`
	Message string `json:"message"`
}

// Types of frames from the relay.
const (
	typeResponse = "response"
	typeError    = "error"
	typeMessage  = "message"
	typeDropped  = "dropped"
)

// answer is a frame from the relay.
type answer struct {
	Type string `json:"type"`
	Data struct {
		OK      bool           `json:"ok"`
		Reason  string         `json:"reason"`
		Channel string         `json:"channel"`
		Message jsontext.Value `json:"message"`
		Count   uint64         `json:"count"`
	} `json:"data"`
	Nonce jsontext.Value `json:"nonce"`
}

// number is the nonce of the command that is answered; 0: of none of ours.
func (a *answer) number() int {
	n, err := strconv.Atoi(string(a.Nonce))
	if err != nil {
		return 0
	}
	return n
}

// hear returns the next frame.
func hear(s session) (*answer, error) {
	b, err := s.Hear()
	if err != nil {
		return nil, err
	}
	var a answer
	if err := json.Unmarshal(b, &a); err != nil {
		return nil, fmt.Errorf("a frame that is none of a relay came: %w; does --url name a relay's /connect?", err)
	}
	return &a, nil
}

// say sends a command.
func say(s session, c order) error {
	b, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("a channel or password is not UTF-8: %w", err)
	}
	return s.Say(b)
}

// defaultAddress is where a node listens that was told nothing else.
func defaultAddress() string {
	of := map[string]string{}
	for _, o := range config.Table() {
		of[o.Name] = o.Default
	}
	return net.JoinHostPort(of["relay-address"], of["clandestine-port"])
}

// address understands what people write for a relay: with or without scheme
// and path, as a WebSocket or as a web address. schemes are what it becomes,
// without and with TLS.
func address(text, path string, schemes [2]string) (string, error) {
	bad := func(why string) error {
		return &usageError{fmt.Errorf("%q %s; write it as %s://%s%s", text, why, schemes[0], defaultAddress(), path)}
	}
	full := text
	if !strings.Contains(full, "://") {
		full = schemes[0] + "://" + full
	}
	u, err := url.Parse(full)
	switch {
	case err != nil:
		return "", bad("is no address")
	case u.Host == "" || u.Hostname() == "":
		return "", bad("names no host")
	case u.User != nil:
		return "", bad("carries a user name or password, which this wire has no place for")
	}
	switch u.Scheme {
	case "ws", "http":
		u.Scheme = schemes[0]
	case "wss", "https":
		u.Scheme = schemes[1]
	default:
		return "", bad("has a scheme that is none of ws, wss, http, https")
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = path
	}
	u.Fragment = ""
	return u.String(), nil
}

// dial connects to a relay.
func dial(ctx context.Context, at string) (session, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	c, err := ws.Dial(ctx, at, frameLimit)
	if err != nil {
		return nil, reachError(err, at)
	}
	return c, nil
}

// reachError says what to do about a server that was not reached: nobody there
// is one exit code, somebody who refuses another.
func reachError(err error, at string) error {
	var (
		untrusted *tls.CertificateVerificationError
		noTLS     tls.RecordHeaderError
		network   net.Error
		refused   *ws.Refused
	)
	text := show.Clip(err.Error(), maxLogValue)
	switch {
	case errors.As(err, &untrusted):
		return fmt.Errorf("%s; to trust a certificate of your own, set SSL_CERT_FILE to its file in the environment", text)
	case errors.As(err, &noTLS), strings.Contains(text, "HTTP response to HTTPS client"):
		return fmt.Errorf("%s; the server speaks without TLS: write ws:// or http://", text)
	case strings.Contains(text, "HTTPS server"):
		return fmt.Errorf("%s; write wss:// or https://", text)
	case errors.As(err, &refused):
		return turnedAway(refused)
	case errors.As(err, &network), errors.Is(err, context.DeadlineExceeded), errors.Is(err, syscall.ECONNRESET):
		return &nothingError{fmt.Errorf("%s; %s", text, startAdvice(at))}
	}
	return errors.New(text)
}

// turnedAway shows what a relay's door says: its help names the option to set.
func turnedAway(r *ws.Refused) error {
	var body struct {
		Help string `json:"help"`
	}
	said := string(r.Body)
	if json.Unmarshal(r.Body, &body) == nil && body.Help != "" {
		said = body.Help
	}
	return fmt.Errorf("%q answered %s: %s", r.URL, show.Clip(r.Status, maxLogValue), show.Clip(said, maxLogValue))
}

// startAdvice is how to have a node at an address, where one command does it.
func startAdvice(at string) string {
	u, err := url.Parse(at)
	if err == nil && slices.Contains([]string{"ws", "http"}, u.Scheme) && slices.Contains([]string{"127.0.0.1", "localhost"}, u.Hostname()) {
		if u.Host == defaultAddress() {
			return "start a node with: parley node"
		}
		if port, err := strconv.Atoi(u.Port()); err == nil && port > 1024 { // the lowest that a node takes
			return "start a node with: parley node --clandestine-port " + u.Port()
		}
	}
	return "is the node running, and the address right?"
}

// advice is what to do about the reason of a refusal. Source:
// gateways/relay/PROTOCOL.md, Commands and Errors.
var advice = map[string]string{
	"invalid password":       "give the channel's own with --ask-password or --password-file FILE, or take another channel",
	"channel limit reached":  "subscribe to fewer channels, or have the node's max-channels-per-client or max-channels raised",
	"busy":                   "the node has too many passwords to check: try again later",
	"invalid channel":        "a name is 1 to 256 bytes of text without control characters",
	"channel does not exist": "the subscription ended meanwhile: start again",
	"channel lost":           "the channel was closed under its subscribers: start again",
}

// refusal is an error for what the relay refused.
func refusal(channel, reason string) error {
	text := show.Clip(reason, maxLogValue)
	if channel != "" {
		text = fmt.Sprintf("channel %q: %s", channel, text)
	}
	if what := advice[reason]; what != "" {
		text += "; " + what
	}
	return errors.New(text)
}

// goodbyes are what close codes mean, and what to do. Source: RFC 6455, 7.4.1,
// and gateways/relay/PROTOCOL.md, Close codes.
var goodbyes = map[int]string{
	1000: "the server ended the conversation",
	1001: "the node stops: start again when it is back",
	1002: "the server did not understand a frame: does --url name a relay?",
	1006: "the connection broke without a goodbye: is the node still running?",
	1007: "the server found text that is not UTF-8",
	1008: "the node's rules forbid it: wait a little, and do less of what the reason says",
	1009: "a message was larger than the node's max-frame",
	1011: "an error in the node: its log tells more",
	1013: "the node is overloaded: try again later",
}

// slowConsumer is the reason of a 1013 that is about this side.
const slowConsumer = "slow consumer"

const slowAdvice = "messages came faster than they were taken here: read them faster, or agree to lose the oldest with sub --drop oldest"

// endError explains the end of a connection.
func endError(err error) error {
	var c *ws.Closed
	if !errors.As(err, &c) {
		return errors.New(show.Clip(err.Error(), maxLogValue))
	}
	text := fmt.Sprintf("closed by the server: %d", c.Code)
	if c.Code == abnormal { // no code of the server's: it never said anything
		text = "connection lost"
	} else if c.Reason != "" {
		text += " " + show.Clip(c.Reason, maxLogValue)
	}
	what := goodbyes[c.Code]
	if c.Reason == slowConsumer {
		what = slowAdvice
	}
	if what != "" {
		text += "; " + what
	}
	return errors.New(text)
}

// abnormal is the code that stands for a missing goodbye.
const abnormal = 1006

// interruptible returns a context that Ctrl-C or SIGTERM ends. A second one
// ends the process, whatever it is doing.
func interruptible(parent context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(parent, os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}
