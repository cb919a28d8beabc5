package foreign_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"parley/cmd/parley/starclient"
)

// startPublic starts the rendezvous server that others wrote.
func startPublic(ctx context.Context, t *testing.T, challenge string) *process {
	t.Helper()
	needPackages(t)
	return startReady(ctx, t, program(t, "node"), "--expose-gc", "rendezvous.mjs", challenge)
}

// TestStarClientOfOurs proves the client that the load generator and the conformance cases stand on: at the server that others
// wrote, and at a node.
func TestStarClientOfOurs(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), testLimit)
	defer cancel()
	for _, challenge := range []string{"off", "on"} {
		for name, start := range map[string]func() *process{
			"public server": func() *process { return startPublic(ctx, t, challenge) },
			"node":          func() *process { return startStar(ctx, t, challenge, "0") },
		} {
			t.Run(name+", challenge "+challenge, func(t *testing.T) {
				p := start()
				meet(ctx, t, p.star)
				p.terminate(t)
				p.expectExit(t)
			})
		}
	}
}

// meet lets two clients of ours join, hear of each other, and talk.
func meet(ctx context.Context, t *testing.T, server string) {
	t.Helper()
	rsa, err := starclient.NewRSA(2048)
	if err != nil {
		t.Fatal(err)
	}
	ed, err := starclient.NewEd25519()
	if err != nil {
		t.Fatal(err)
	}
	a, b := rsa.Address("127.0.0.1", 9090), ed.Address("127.0.0.1", 9090)
	heard := make(chan string, 16)
	anna := visit(ctx, t, server, starclient.Options{Peer: func(address string) { heard <- address }})
	if others, err := anna.Join(ctx, a, rsa); err != nil || others == nil || len(others) > 0 {
		t.Fatalf("foreign: joined %v, %v", others, err)
	}
	echoes := make(chan error, 1)
	ben := visit(ctx, t, server, starclient.Options{Incoming: func(from string, s *starclient.Stream) string {
		if from != a {
			return "not for " + from
		}
		go func() { echoes <- echo(ctx, s) }()
		return ""
	}})
	if others, err := ben.Join(ctx, b, ed); err != nil || len(others) != 1 || others[0] != a {
		t.Fatalf("foreign: joined %v, %v", others, err)
	}
	if got := <-heard; got != b {
		t.Fatalf("foreign: heard of %q", got)
	}
	s, err := anna.Dial(ctx, a, b)
	if err != nil {
		t.Fatal(err)
	}
	expectEcho(ctx, t, s)
	if err := <-echoes; err != nil {
		t.Error(err)
	}
	for to, want := range map[string]string{
		rsa.Address("127.0.0.1", 9091): "starclient: ss-dial: Peer not found",
		a:                              "starclient: ss-dial: nobody listens",
	} {
		if _, err := anna.Dial(ctx, a, to); err == nil || err.Error() != want {
			t.Errorf("foreign: dial %q: %v, want %s", to, err, want)
		}
	}
	if _, err := anna.Dial(ctx, b, a); err == nil || err.Error() != "starclient: ss-dial: Not authorized for this address" {
		t.Errorf("foreign: dialled from another's address: %v", err)
	}
}

func visit(ctx context.Context, t *testing.T, server string, o starclient.Options) *starclient.Client {
	t.Helper()
	c, err := starclient.Dial(ctx, server, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// echo sends back what comes, to the end.
func echo(ctx context.Context, s *starclient.Stream) error {
	for {
		chunk, err := s.Receive(ctx)
		if errors.Is(err, io.EOF) {
			return s.End()
		}
		if err != nil {
			return err
		}
		if err := s.Send(ctx, chunk); err != nil {
			return err
		}
	}
}

// expectEcho sends chunks of all sizes, and wants them back one by one.
func expectEcho(ctx context.Context, t *testing.T, s *starclient.Stream) {
	t.Helper()
	sizes := []int{1, 0, 100, 16 << 10, 300_000, 2}
	for i, size := range sizes {
		if err := s.Send(ctx, bytes.Repeat([]byte{byte(i)}, size)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.End(); err != nil {
		t.Fatal(err)
	}
	for i, size := range sizes {
		got, err := s.Receive(ctx)
		if err != nil {
			t.Fatalf("foreign: chunk %d: %v", i, err)
		}
		if !bytes.Equal(got, bytes.Repeat([]byte{byte(i)}, size)) {
			t.Fatalf("foreign: chunk %d of %d bytes came with %d", i, size, len(got))
		}
	}
	if got, err := s.Receive(ctx); !errors.Is(err, io.EOF) {
		t.Fatalf("foreign: %d bytes more, %v", len(got), err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
