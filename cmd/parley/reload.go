package main

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"
)

// reloader hands out a certificate, and looks once a second, when asked for
// one, whether its files have changed: a renewed certificate is served without
// a restart. One that cannot be loaded leaves the old one in place.
type reloader struct {
	cert, key string // fixed, as all of this block
	log       *slog.Logger
	current   atomic.Pointer[loaded]
}

type loaded struct {
	cert    *tls.Certificate
	stamp   string // of both files
	refused string // stamp of files that could not be loaded; they were complained of
	checked time.Time
}

// recheck is the pause between two looks at the files.
const recheck = time.Second

func newReloader(cert, key string, log *slog.Logger) (*reloader, error) {
	r := &reloader{cert: cert, key: key, log: log}
	l, err := r.load()
	if err != nil {
		return nil, err
	}
	r.current.Store(l)
	return r, nil
}

func (r *reloader) load() (*loaded, error) {
	stamp := r.stamp()
	c, err := tls.LoadX509KeyPair(r.cert, r.key)
	if err != nil {
		return nil, fmt.Errorf("certificate %q with key %q: %w", r.cert, r.key, err)
	}
	return &loaded{cert: &c, stamp: stamp, checked: time.Now()}, nil
}

// stamp tells one state of the files from another.
func (r *reloader) stamp() (s string) {
	for _, f := range []string{r.cert, r.key} {
		if i, err := os.Stat(f); err == nil {
			s += fmt.Sprintf("%d %d %o;", i.ModTime().UnixNano(), i.Size(), i.Mode())
		}
	}
	return s
}

// get implements tls.Config.GetCertificate.
func (r *reloader) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	now, old := time.Now(), r.current.Load()
	if now.Sub(old.checked) < recheck {
		return old.cert, nil
	}
	fresh := *old
	fresh.checked = now
	if !r.current.CompareAndSwap(old, &fresh) {
		return old.cert, nil // another connection looks
	}
	if stamp := r.stamp(); stamp != old.stamp && stamp != old.refused {
		r.current.Store(r.replace(&fresh, stamp))
	}
	return r.current.Load().cert, nil
}

// replace loads files that have changed.
func (r *reloader) replace(old *loaded, stamp string) *loaded {
	l, err := r.load()
	if err == nil {
		r.log.Info("certificate replaced", slog.String("file", r.cert), slog.Time("valid_until", l.cert.Leaf.NotAfter))
		return l
	}
	r.log.Error("new certificate not taken, the old one stays; put a pair that fits into relay-tls-certificate and relay-tls-key", slog.Any("error", err))
	next := *old
	next.refused = stamp
	return &next
}
