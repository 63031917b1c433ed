package pki

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// serverLife is how long a server certificate is made for.
	serverLife = 10 * 365 * 24 * time.Hour
	// watchEvery is how often the addresses are looked at: a device that got
	// told a new address is refused by it for no longer than this.
	watchEvery = 10 * time.Second
)

// ServerCertificate is the certificate of this gateway, signed by the group CA.
// It is made again when the machine gets an address or a name that is not in
// it, or when its end is near. Handshakes from then on get the new one; what is
// connected stays connected.
type ServerCertificate struct {
	authority *Authority
	log       *slog.Logger
	host      host
	current   atomic.Pointer[tls.Certificate] // with Leaf

	change sync.Mutex // protects what follows
	names  []string
	bad    []string // names that were logged as no legal names
	onDisk bool     // the present certificate is in server.pem
	fault  string
}

// ServerCertificate takes up server.pem if that is still good for all names and
// addresses, or else makes a new one. Names are host names or addresses besides
// those that the machine itself says; what is no legal name is logged and left
// out. That server.pem cannot be written is logged and a fault, not an error.
func (a *Authority) ServerCertificate(names []string, log *slog.Logger) (*ServerCertificate, error) {
	return a.serverCertificate(names, log, thisHost)
}

func (a *Authority) serverCertificate(names []string, log *slog.Logger, h host) (*ServerCertificate, error) {
	s := &ServerCertificate{authority: a, log: orDiscard(log), host: h, names: slices.Clone(names)}
	path := filepath.Join(a.dir, serverCertFile)
	leaf, err := loadCertificate(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		s.log.Warn("Did not take up the server certificate", "err", err)
	case !sameKey(a.serverKey, leaf.PublicKey) || leaf.CheckSignatureFrom(a.root) != nil:
		s.log.Warn("Did not take up the server certificate", "err", path+" belongs to another key or another CA")
	default:
		s.current.Store(s.pair(leaf))
		s.onDisk = true
	}
	if err := s.refresh(); err != nil {
		return nil, err
	}
	return s, nil
}

// pair joins a certificate with the key. Only the leaf is sent: who trusts the
// CA has it.
func (s *ServerCertificate) pair(leaf *x509.Certificate) *tls.Certificate {
	return &tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: s.authority.serverKey, Leaf: leaf}
}

// TLSConfig returns a configuration for a listener; it is the caller's.
//
// Every client is asked for a certificate, since AWS's C runtime breaks off if
// it is not (greengrass-v1.md, HTTP traps 2), and none is judged in TLS: a
// foreign one gets its answer from the protocol above, through Identify. There
// is no ALPN: without it every offer is accepted. Session tickets are on; a
// resumed session still has its PeerCertificates.
func (s *ServerCertificate) TLSConfig() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		ClientAuth: tls.RequireAnyClientCert,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return s.current.Load(), nil
		},
	}
}

// Run watches addresses, names and the end of the certificate, and keeps the
// clock's mark, until ctx is done. It returns nil: what goes wrong is logged,
// a fault, and tried again.
func (s *ServerCertificate) Run(ctx context.Context) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	markFailed := false
	for {
		if err := s.authority.time.keepMark(); err == nil {
			markFailed = false
		} else if !markFailed {
			markFailed = true
			s.log.Error("Kept no clock mark", "err", err)
		}
		if err := s.refresh(); err != nil {
			s.log.Error("Made no new server certificate", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// SetNames replaces the names that were handed in, at a reload of the group
// file. An error leaves the certificate as it was; Run tries again.
func (s *ServerCertificate) SetNames(names []string) error {
	s.change.Lock()
	s.names = slices.Clone(names)
	s.change.Unlock()
	return s.refresh()
}

// Covers returns the names and addresses in the certificate.
func (s *ServerCertificate) Covers() []string { return namesOf(s.current.Load().Leaf).strings() }

// Expires returns the end of the certificate.
func (s *ServerCertificate) Expires() time.Time { return s.current.Load().Leaf.NotAfter }

// Faults returns what a person should know about. Empty is well.
func (s *ServerCertificate) Faults() []string {
	s.change.Lock()
	defer s.change.Unlock()
	if s.fault == "" {
		return nil
	}
	return []string{s.fault}
}

// refresh makes a new certificate if the present one will not do.
func (s *ServerCertificate) refresh() error {
	s.change.Lock()
	defer s.change.Unlock()
	want, bad, addrErr := s.host.wanted(s.names)
	if !slices.Equal(bad, s.bad) {
		s.bad = bad
		if len(bad) > 0 {
			s.log.Warn("Left illegal host names out of the server certificate", "names", bad)
		}
	}
	why, end := s.outdated(want)
	if why != "" {
		leaf, err := s.issue(want, end)
		if err != nil {
			return fmt.Errorf("make the server certificate: %w", err)
		}
		s.current.Store(s.pair(leaf))
		s.onDisk = false
		s.log.Info("Made a new server certificate", "reason", why, "names", namesOf(leaf).strings(), "until", leaf.NotAfter.Format(time.DateOnly))
	}
	s.setFault(s.save(), addrErr)
	return nil
}

// save writes the present certificate, if need be. One that cannot be kept
// still serves until the next start.
func (s *ServerCertificate) save() error {
	if s.onDisk {
		return nil
	}
	err := writeFile(filepath.Join(s.authority.dir, serverCertFile), encodeCertificate(s.current.Load().Leaf.Raw), 0o644)
	s.onDisk = err == nil
	return err
}

// setFault logs a fault when it comes, not each time it is still there.
func (s *ServerCertificate) setFault(saveErr, addrErr error) {
	fault := ""
	switch {
	case saveErr != nil:
		fault = "the server certificate is not on disk: " + saveErr.Error()
	case addrErr != nil:
		fault = "the server certificate may lack an address: " + addrErr.Error()
	}
	if fault != s.fault && fault != "" {
		s.log.Error("The server certificate has a fault", "err", fault)
	}
	s.fault = fault
}

// outdated returns why a new certificate is needed, "" if it is not, and the
// end that a new one would get.
func (s *ServerCertificate) outdated(want altNames) (why string, end time.Time) {
	now := s.authority.time.latest()
	end = now.Add(serverLife).UTC().Truncate(time.Second)
	if end.After(forever) {
		end = forever
	}
	have := s.current.Load()
	if have == nil {
		return "there is none", end
	}
	if lacks := namesOf(have.Leaf).lacks(want); len(lacks) > 0 {
		return "new: " + strings.Join(lacks, ", "), end
	}
	// The second condition is for a clock at the end of days.
	if now.After(have.Leaf.NotAfter.Add(-serverLife/3)) && end.After(have.Leaf.NotAfter) {
		return "its end is near", end
	}
	return "", end
}

// issue makes a certificate for want and, as far as there is room, for the
// addresses of the present one.
func (s *ServerCertificate) issue(want altNames, end time.Time) (*x509.Certificate, error) {
	if have := s.current.Load(); have != nil {
		want = want.with(namesOf(have.Leaf))
		if have.Leaf.NotAfter.After(end) {
			end = have.Leaf.NotAfter // a clock that went back must not shorten it
		}
	}
	algorithm, err := algorithmOf(s.authority.serverKey)
	if err != nil {
		return nil, err
	}
	der, err := s.authority.sign(&x509.Certificate{
		Subject:     pkix.Name{CommonName: "greengate", Organization: []string{"greengate"}},
		DNSNames:    want.dns,
		IPAddresses: want.netIPs(),
		KeyUsage:    algorithm.keyUsage(),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, s.authority.serverKey.Public(), end)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}
