package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// authority signs the certificates of one test.
type authority struct {
	dir, file string // file holds its own certificate
	cert      *x509.Certificate
	key       *ecdsa.PrivateKey
	serial    int64
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{dir: t.TempDir(), serial: 1}
	a.file = filepath.Join(a.dir, "authority.pem")
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	write(t, a.file, "CERTIFICATE", der)
	return a
}

func write(t *testing.T, file, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// issue puts a fresh certificate for 127.0.0.1, and its key, in place of those of before, and
// returns its serial number.
func (a *authority) issue(t *testing.T) (serial string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a.serial++
	template := &x509.Certificate{
		SerialNumber: big.NewInt(a.serial), Subject: pkix.Name{CommonName: "relay"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, a.certFile(), "CERTIFICATE", der)
	write(t, a.keyFile(), "PRIVATE KEY", pkcs8)
	return template.SerialNumber.String()
}

func (a *authority) certFile() string { return filepath.Join(a.dir, "relay.pem") }
func (a *authority) keyFile() string  { return filepath.Join(a.dir, "relay.key") }

func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// startTLSNode starts a node with the authority's certificate.
func startTLSNode(t *testing.T, a *authority) *node {
	t.Helper()
	return startNode(t, "--relay-tls-certificate", a.certFile(), "--relay-tls-key", a.keyFile())
}

// served is the serial number of the certificate that a new connection gets.
func (n *node) served(t *testing.T, a *authority) string {
	t.Helper()
	c, err := tls.Dial("tcp", n.relay, &tls.Config{RootCAs: a.pool()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

func TestTLS(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	a.issue(t)
	n := startTLSNode(t, a)
	trust := []string{"SSL_CERT_FILE=" + a.file}

	reader := launch(t, nil, trust, "sub", "lobby", "--count", "1", "--url", "wss://"+n.relay)
	eventually(t, "the subscription", func() bool { return strings.Contains(reader.err.String(), "subscribed") })
	writer := launch(t, nil, trust, "pub", "lobby", "sealed", "--url", "https://"+n.relay)
	if code := writer.wait(); code != 0 {
		t.Errorf("pub: %d %s", code, writer.err.String())
	}
	if code := reader.wait(); code != 0 || reader.out.String() != "sealed\n" {
		t.Errorf("sub: %d %q %s", code, reader.out.String(), reader.err.String())
	}
	doctor := launch(t, nil, trust, "health", "wss://"+n.relay)
	if code := doctor.wait(); code != 0 {
		t.Errorf("health: %d %s", code, doctor.err.String())
	}

	// Each advice is taken above.
	parley(t, "sub", "lobby", "--url", "wss://"+n.relay).expect(t, 1, "set SSL_CERT_FILE to its file in the environment")
	parley(t, "sub", "lobby", "--url", "ws://"+n.relay).expect(t, 1, "write wss:// or https://")
	parley(t, "health", "https://"+n.relay).expect(t, 3, "set SSL_CERT_FILE to its file in the environment")
	plain := startNode(t)
	parley(t, "sub", "lobby", "--url", "wss://"+plain.relay).expect(t, 1, "write ws:// or http://")
	parley(t, "health", "https://"+plain.relay).expect(t, 3, "write ws:// or http://")
}

// TestCertificateIsReplaced renews the certificate under a running node, and
// then breaks it.
func TestCertificateIsReplaced(t *testing.T) {
	t.Parallel()
	const most = 2 * time.Second // until a new certificate is served
	a := newAuthority(t)
	first := a.issue(t)
	n := startTLSNode(t, a)
	if got := n.served(t, a); got != first {
		t.Fatalf("serial %s, want %s", got, first)
	}
	second := a.issue(t)
	within(t, most, "the replacement", func() {
		eventually(t, "the new certificate", func() bool { return n.served(t, a) == second })
	})
	eventually(t, "the log to tell", func() bool { return strings.Contains(n.err.String(), "certificate replaced") })

	if err := os.WriteFile(a.certFile(), []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the log to complain", func() bool {
		if got := n.served(t, a); got != second {
			t.Fatalf("serial %s while the files are broken, want %s", got, second)
		}
		return strings.Contains(n.err.String(), "the old one stays")
	})
	if err := os.Remove(a.certFile()); err != nil {
		t.Fatal(err)
	}
	if got := n.served(t, a); got != second {
		t.Errorf("serial %s without a file, want %s", got, second)
	}
	third := a.issue(t) // what the complaint asks for
	eventually(t, "the repaired certificate", func() bool { return n.served(t, a) == third })
}

// TestReloaderComplainsOnce looks at broken files again and again.
func TestReloaderComplainsOnce(t *testing.T) {
	a := newAuthority(t)
	a.issue(t)
	synctest.Test(t, func(t *testing.T) {
		var log transcript
		r, err := newReloader(a.certFile(), a.keyFile(), slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		before, _ := r.get(nil)
		if err := os.WriteFile(a.certFile(), []byte("broken"), 0o600); err != nil {
			t.Fatal(err)
		}
		for range 5 {
			time.Sleep(recheck) // of the bubble's time
			if now, err := r.get(nil); err != nil || now != before {
				t.Fatalf("the old certificate is gone: %v", err)
			}
		}
		if got := strings.Count(log.String(), "the old one stays"); got != 1 {
			t.Errorf("%d complaints:\n%s", got, log.String())
		}
	})
}
