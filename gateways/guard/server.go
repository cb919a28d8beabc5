package guard

import (
	"crypto/tls"
	"log/slog"
	"net/http"
	"time"
)

// Time-outs and sizes of Server where ServerOptions say nothing.
const (
	// HeaderTimeout ends a TLS handshake, and then a request header, that takes longer.
	HeaderTimeout = 5 * time.Second
	// RequestTimeout bounds header and body together, and by that how long a
	// handler may run before its context ends.
	RequestTimeout = 10 * time.Second
	// ResponseTimeout bounds handler and answer together.
	ResponseTimeout = 60 * time.Second
	// IdleTimeout ends a kept-alive connection without a further request. Short,
	// because such a connection is no longer half open.
	IdleTimeout = 30 * time.Second
	// HeaderBytes is the longest request header that is taken, request line included.
	HeaderBytes = 8 << 10
)

// bufferSlop is what net/http reads beyond MaxHeaderBytes before it answers 431.
const bufferSlop = 4 << 10

// ServerOptions change the defaults of Server. A duration of 0 means the default
// above, a negative one no time-out. None of them holds for a connection after
// its hijacking.
type ServerOptions struct {
	Door        *Door        // its ConnState is hooked in; nil = none
	Log         *slog.Logger // what net/http complains of, at debug level; nil = nowhere
	Header      time.Duration
	Request     time.Duration // with long polls or profiles: longer than they last, or negative
	Response    time.Duration // the same
	Idle        time.Duration
	HeaderBytes int // longest header; at least 4 KiB, the read buffer of net/http; 0 = 8 KiB
}

// Server returns an http.Server that a stranger cannot hold open or fill: every
// phase before a hijacking has an end, headers are bounded, HTTP/2 is off (also
// in TLS negotiation), and every request, OPTIONS * too, goes to h.
func Server(h http.Handler, o ServerOptions) *http.Server {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.HeaderBytes == 0 {
		o.HeaderBytes = HeaderBytes
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	s := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: orDefault(o.Header, HeaderTimeout),
		ReadTimeout:       orDefault(o.Request, RequestTimeout),
		WriteTimeout:      orDefault(o.Response, ResponseTimeout),
		IdleTimeout:       orDefault(o.Idle, IdleTimeout),
		MaxHeaderBytes:    max(o.HeaderBytes-bufferSlop, 1),
		Protocols:         protocols,
		TLSNextProto:      map[string]func(*http.Server, *tls.Conn, http.Handler){},
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),

		DisableGeneralOptionsHandler: true,
	}
	if o.Door != nil {
		s.ConnState = o.Door.ConnState
	}
	return s
}

func orDefault(d, byDefault time.Duration) time.Duration {
	if d == 0 {
		return byDefault
	}
	return d
}
