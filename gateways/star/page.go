package star

import (
	"html"
	"net"
	"net/http"
	"net/netip"
)

// The page, around the address.
const (
	pageStart = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>WebSocketStar rendezvous</title>
<style>body{font:1rem/1.5 sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem}code{background:#eee;padding:.2em .4em;overflow-wrap:anywhere}</style>
<h1>WebSocketStar rendezvous</h1>
<p>libp2p clients that cannot listen themselves meet here. Make yours listen on this address:
<p><code>`
	pageEnd = `</code>
<p>Others find and dial it then under that address with <code>/ipfs/</code> and its id behind it.
</html>
`
	pagePolicy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

// page shows which address to use.
func (g *Gateway) page(w http.ResponseWriter, r *http.Request) {
	address := g.Address
	if address == "" {
		address = shown(r)
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")                                       // another name leads to another page
	_, _ = w.Write([]byte(pageStart + html.EscapeString(address) + pageEnd)) // fails only when the client is gone
}

// shown is the multiaddr of what the browser asked for: it got here by that.
func shown(r *http.Request) string {
	transport, port := "ws", "80"
	if r.TLS != nil {
		transport, port = "wss", "443"
	}
	host := r.Host
	if h, p, err := net.SplitHostPort(r.Host); err == nil && p != "" {
		host, port = h, p
	} else if n := len(host); n > 1 && host[0] == '[' && host[n-1] == ']' {
		host = host[1 : n-1]
	}
	family := "dns4"
	if ip, err := netip.ParseAddr(host); err == nil {
		family = "ip4"
		if ip.Is6() {
			family = "ip6"
		}
	}
	return "/" + family + "/" + host + "/tcp/" + port + "/" + transport + starProtocol
}

// starProtocol ends the address of a rendezvous.
const starProtocol = "/p2p-websocket-star"
