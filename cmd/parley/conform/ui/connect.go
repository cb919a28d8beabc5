package ui

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"strings"

	"parley/cmd/parley/conform/suite"
	"parley/cmd/parley/talk"
)

// connecting is who gets in.
func connecting(o *Options) []suite.Case {
	_, port, _ := net.SplitHostPort(o.Address)
	return []suite.Case{
		scene(o, "wire/the answer names the subprotocol", func(p *play) {
			a, h := p.enters(knock{header: offer()})
			p.Demand(a.done() || h.Get("Sec-Websocket-Protocol") == talk.Subprotocol, "it names %q", h.Values("Sec-Websocket-Protocol"))
			a.fence()
		}),
		scene(o, "wire/the subprotocol may be one of several", func(p *play) {
			for _, offers := range [][]string{{"other, " + talk.Subprotocol + ",third"}, {"other", talk.Subprotocol}} {
				a, h := p.enters(knock{header: http.Header{"Sec-Websocket-Protocol": offers}})
				p.Demand(a.done() || h.Get("Sec-Websocket-Protocol") == talk.Subprotocol, "it names %q", h.Values("Sec-Websocket-Protocol"))
				a.fence()
			}
		}),
		scene(o, "wire/any path will do", func(p *play) {
			a, _ := p.enters(knock{path: "/any/path?and=query", header: offer()})
			a.fence()
		}),
		scene(o, "wire/this machine's names are taken as Host", func(p *play) {
			for _, host := range []string{"localhost", "127.0.0.1", "127.1.2.3", "[::1]"} {
				a, _ := p.enters(knock{host: host + ":" + port, header: offer()})
				a.fence()
			}
		}),
		scene(o, "rules/nothing is compressed", func(p *play) {
			a, h := p.enters(knock{header: offer("Sec-Websocket-Extensions", "permessage-deflate; client_max_window_bits")})
			p.Demand(a.done() || len(h.Values("Sec-Websocket-Extensions")) == 0, "it chose %q", h.Values("Sec-Websocket-Extensions"))
			a.fence()
		}),
	}
}

// refusing is who does not get in.
func refusing(o *Options) []suite.Case {
	_, port, _ := net.SplitHostPort(o.Address)
	hosts := func(name string, hosts ...string) suite.Case {
		return scene(o, name, func(p *play) {
			for _, host := range hosts {
				p.keptOut(http.StatusForbidden, "Host "+host, knock{host: host, header: offer()})
			}
		})
	}
	origins := func(name string, origins ...string) suite.Case {
		return scene(o, name, func(p *play) {
			for _, origin := range origins {
				p.keptOut(http.StatusForbidden, "Origin "+origin, knock{header: offer("Origin", origin)})
			}
		})
	}
	return []suite.Case{
		scene(o, "wire/without the subprotocol nobody gets in", func(p *play) {
			p.keptOut(http.StatusBadRequest, "no subprotocol", knock{})
			for _, other := range []string{"MASQNode-UI", strings.ToLower(talk.Subprotocol), talk.Subprotocol + "x", "chat"} {
				p.keptOut(http.StatusBadRequest, other, knock{header: http.Header{"Sec-Websocket-Protocol": {other}}})
			}
		}),
		hosts("rules/other Hosts are refused", "evil.example", "evil.example:"+port, "127.0.0.1.evil.example:"+port, "localhost.evil.example:"+port, "192.0.2.1:"+port),
		hosts("rules/a Host with another port is refused", "127.0.0.1:1", "localhost:1"),
		origins("rules/web pages are refused", "http://evil.example", "https://127.0.0.1.evil.example", "http://evil.example:"+port),
		origins("rules/files and pages without an origin are refused, unless ui-origins lists them", "file://", "null"),
		scene(o, "rules/who is refused is told why", func(p *play) {
			body := p.keptOut(http.StatusForbidden, "Origin http://evil.example", knock{header: offer("Origin", "http://evil.example")})
			var in struct {
				OK           *bool
				Reason, Help string
			}
			err := json.Unmarshal(bytes.TrimSpace(body), &in)
			p.Demand(p.Err != nil || err == nil && in.OK != nil && !*in.OK && in.Reason != "" && in.Help != "", "the refusal says %.200s", body)
		}),
	}
}
