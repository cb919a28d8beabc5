package main

import (
	"crypto/tls"
	"fmt"
	"log/slog"

	"parley/cmd/parley/config"
)

// serverTLS loads the relay's certificate; nil: plain.
func serverTLS(c *config.Node, log *slog.Logger) (*tls.Config, error) {
	if c.RelayTLSCertificate == "" {
		return nil, nil
	}
	r, err := newReloader(c.RelayTLSCertificate, c.RelayTLSKey, log)
	if err != nil {
		return nil, fmt.Errorf("node: %w", err)
	}
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"http/1.1"}, // a WebSocket takes the connection over
		GetCertificate: r.get,
	}, nil
}
