package main

import (
	"crypto/tls"
	"fmt"
	"os"
	"sync/atomic"
	"time"
)

// reloader hands out a certificate, and looks once a second, when asked for
// one, whether its files have changed: a renewed certificate is served without
// a restart. One that cannot be loaded leaves the old one in place.
type reloader struct {
	cert, key string
	current   atomic.Pointer[loaded]
}

type loaded struct {
	cert    *tls.Certificate
	stamp   string // of both files
	checked time.Time
}

// recheck is the pause between two looks at the files.
const recheck = time.Second

func newReloader(cert, key string) (*reloader, error) {
	r := &reloader{cert: cert, key: key}
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
	return &loaded{&c, stamp, time.Now()}, nil
}

// stamp tells one state of the files from another.
func (r *reloader) stamp() (s string) {
	for _, f := range []string{r.cert, r.key} {
		if i, err := os.Stat(f); err == nil {
			s += fmt.Sprintf("%d %d;", i.ModTime().UnixNano(), i.Size())
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
	fresh := &loaded{old.cert, old.stamp, now}
	if r.stamp() != old.stamp {
		if l, err := r.load(); err == nil {
			fresh = l
		}
	}
	r.current.CompareAndSwap(old, fresh)
	return fresh.cert, nil
}
