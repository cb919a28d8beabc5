package vault

import (
	"fmt"
	"io"
	"log/slog"
	"sync"

	"golang.org/x/sys/unix"
)

// Secret holds bytes outside the heap: on pages that are not swapped and not in
// a core dump, as far as the system lets us, and that are wiped by Close.
// However it is printed, it shows nothing. A nil Secret is closed.
type Secret struct {
	mu sync.Mutex // guards page
	// page returns the mapped page and the bytes in use; nil: closed. It is a
	// function because fmt looks into fields that are not exported, methods or not.
	page func() (all, used []byte)
}

// masked is what a Secret looks like. Even its length is nobody's business.
const masked = "••••••••"

// NewSecret moves bytes into a Secret: b is wiped. It fails when the system has
// no memory.
func NewSecret(b []byte) (*Secret, error) {
	defer clear(b)
	size := unix.Getpagesize()
	for size < len(b) {
		size += unix.Getpagesize()
	}
	page, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, fmt.Errorf("vault: no memory for a secret: %w", err)
	}
	_ = unix.Mlock(page) // there may be a limit, of 64 KiB or none at all
	exclude(page)
	n := copy(page, b)
	return &Secret{page: func() (all, used []byte) { return page, page[:n:n] }}, nil
}

// Open shows the bytes to f, which must not keep them. A closed Secret shows
// nil; that of an empty text is not nil.
func (s *Secret) Open(f func(b []byte)) {
	if s == nil {
		f(nil)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.page == nil {
		f(nil)
		return
	}
	_, used := s.page()
	f(used)
}

// Close wipes the bytes and gives the memory back. More than once is harmless.
func (s *Secret) Close() {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.page == nil {
		return
	}
	all, _ := s.page()
	clear(all)
	_ = unix.Munlock(all)
	_ = unix.Munmap(all)
	s.page = nil
}

// String implements fmt.Stringer.
func (*Secret) String() string { return masked }

// GoString implements fmt.GoStringer.
func (*Secret) GoString() string { return masked }

// Format implements fmt.Formatter: for every verb.
func (*Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, masked) }

// LogValue implements slog.LogValuer.
func (*Secret) LogValue() slog.Value { return slog.StringValue(masked) }

// MarshalText implements encoding.TextMarshaler.
func (*Secret) MarshalText() ([]byte, error) { return []byte(masked), nil }

// MarshalJSON implements json.Marshaler.
func (*Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + masked + `"`), nil }
