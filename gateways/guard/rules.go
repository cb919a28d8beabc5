package guard

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// Rules say which requests a listener answers. The zero value asks for no
// particular Host and lets no browser in (any Origin is refused).
type Rules struct {
	// Hosts are further names and addresses under which the listener may be
	// reached: "relay.example" (no port, or that of the listener),
	// "relay.example:8443" (this port and no other), "192.0.2.1", "[2001:db8::1]".
	Hosts []string
	// LoopbackOnly demands a loopback name or address, or one of Hosts. Without
	// it and without Hosts, any Host will do.
	LoopbackOnly bool
	// Port is that of the listener; 0 = ports are not compared.
	Port int
	// Origins are the web pages that may connect, as browsers spell them:
	// "https://chat.example", "chrome-extension://<id>", "file://", "null".
	Origins []string
	// AnyOrigin lets every web page in: for a public relay.
	AnyOrigin bool
	// HostsOption and OriginsOption are the names of the settings behind Hosts
	// and Origins, for the advice in a Refusal; "" = there is none.
	HostsOption, OriginsOption string
}

// Check returns nil when the request may come in. Host and Origin are refused
// with 403.
func (r Rules) Check(req *http.Request) *Refusal {
	if r.LoopbackOnly || len(r.Hosts) > 0 {
		if refusal := r.checkHost(req); refusal != nil {
			return refusal
		}
	}
	return r.checkOrigin(req.Header["Origin"])
}

func (r Rules) checkHost(req *http.Request) *Refusal {
	if req.Host == "" {
		return r.refuseHost(ReasonHostMissing, req.Host, "")
	}
	host, ok := parseAuthority(req.Host)
	// In "GET http://user@host/ HTTP/1.1" net/http takes the Host from the URL.
	if !ok || (req.URL != nil && req.URL.User != nil) {
		return r.refuseHost(ReasonHostMalformed, req.Host, "")
	}
	portFits := host.port == 0 || r.Port == 0 || host.port == r.Port
	known := r.LoopbackOnly && host.loopback()
	if known && portFits {
		return nil
	}
	for _, entry := range r.Hosts {
		listed, ok := parseAuthority(entry)
		if !ok || !listed.sameHost(host) {
			continue
		}
		known = true
		if (listed.port == 0 && portFits) || (listed.port != 0 && listed.port == host.port) {
			return nil
		}
	}
	if known {
		return r.refuseHost(ReasonHostPort, req.Host, host.String())
	}
	if portFits {
		host.port = 0
	}
	return r.refuseHost(ReasonHostNotAllowed, req.Host, host.String())
}

// hostFaults says what is wrong with a Host, for each reason.
var hostFaults = map[string]string{
	ReasonHostMissing:    "is empty or missing.",
	ReasonHostMalformed:  "is not host[:port].",
	ReasonHostPort:       "is the right name with the wrong port.",
	ReasonHostNotAllowed: "is not a name of this listener; to answer would let in any web page by a name of its own (DNS rebinding).",
}

// refuseHost says what is wrong with the host and what to do: the address that
// works, and the line that would let value in.
func (r Rules) refuseHost(reason, host, value string) *Refusal {
	var room [textBytes]byte
	text := append(appendShown(append(room[:0], "Host "...), host), ' ')
	text = append(text, hostFaults[reason]...)
	if r.LoopbackOnly {
		text = append(text, " Use localhost, 127.0.0.1 or [::1]"...)
		if r.Port != 0 {
			text = strconv.AppendInt(append(text, ", port "...), int64(r.Port), 10)
		}
		text = append(text, '.')
	}
	text = appendAdvice(text, r.HostsOption, value)
	return &Refusal{Status: http.StatusForbidden, Reason: reason, Text: string(text)}
}

func (r Rules) checkOrigin(origins []string) *Refusal {
	if len(origins) == 0 {
		return nil
	}
	if len(origins) > 1 {
		return &Refusal{
			Status: http.StatusForbidden, Reason: ReasonOriginRepeated,
			Text: fmt.Sprintf("The request has %d Origin headers; send one, or none.", len(origins)),
		}
	}
	if r.AnyOrigin {
		return nil
	}
	origin := origins[0]
	for _, listed := range r.Origins {
		if listed == origin && origin != "" {
			return nil
		}
	}
	var room [textBytes]byte
	text := appendShown(append(room[:0], "Web pages of origin "...), origin)
	text = append(text, " may not connect; programs that send no Origin header may."...)
	text = appendAdvice(text, r.OriginsOption, origin)
	return &Refusal{Status: http.StatusForbidden, Reason: ReasonOriginNotAllowed, Text: string(text)}
}

// Validate reports the first entry of Hosts or Origins that could never match.
func (r Rules) Validate() error {
	for _, host := range r.Hosts {
		if _, ok := parseAuthority(host); !ok {
			return fmt.Errorf("guard: host %q: want a name, an IPv4 address or an IPv6 address in brackets, each with an optional port; no scheme, no path", host)
		}
	}
	for _, origin := range r.Origins {
		if err := validateOrigin(origin); err != nil {
			return err
		}
	}
	return nil
}

// validateOrigin accepts what a browser can send: null, or scheme://host[:port]
// in lower case without a path; file:// has no host.
func validateOrigin(origin string) error {
	if origin == "null" || origin == "file://" {
		return nil
	}
	u, err := url.Parse(origin)
	switch {
	case err != nil, u.Scheme == "", u.Host == "", u.Path != "", u.RawQuery != "", u.Fragment != "", u.User != nil, !listable(origin):
		return fmt.Errorf("guard: origin %q: want scheme://host[:port] without a path, file:// or null", origin)
	case strings.ToLower(origin) != origin:
		return fmt.Errorf("guard: origin %q: browsers send it in lower case: %q", origin, strings.ToLower(origin))
	case u.Scheme == "http" && u.Port() == "80", u.Scheme == "https" && u.Port() == "443":
		return fmt.Errorf("guard: origin %q: browsers leave the default port out: %q", origin, strings.TrimSuffix(origin, ":"+u.Port()))
	}
	return nil
}

// Subprotocol returns nil when want is among the subprotocols that the client
// offers, spelled exactly; else a Refusal with 400. gorilla's Upgrader does not
// refuse by itself: it answers 101 without a subprotocol.
func Subprotocol(req *http.Request, want string) *Refusal {
	offers := req.Header["Sec-Websocket-Protocol"]
	for _, line := range offers {
		for rest := line; rest != ""; {
			var offer string
			offer, rest, _ = strings.Cut(rest, ",")
			if strings.Trim(offer, " \t") == want {
				return nil
			}
		}
	}
	var room [textBytes]byte
	text := appendShown(append(room[:0], "The client must offer the subprotocol "...), want)
	text = append(text, " (header Sec-WebSocket-Protocol); it offered "...)
	text = appendShown(text, strings.Join(offers, ", "))
	return &Refusal{Status: http.StatusBadRequest, Reason: ReasonSubprotocol, Text: string(append(text, '.'))}
}
