package cloudtest

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// CA returns the CA's certificate, PEM.
func (c *Cloud) CA() []byte { return c.ca.PEM() }

// Issue makes a key and a certificate for a thing, both PEM. The thing may
// connect from now on; there is no registry to add it to.
func (c *Cloud) Issue(thing string) (cert, key []byte, err error) { return c.ca.Issue(thing) }

// IssueBetween is Issue of a certificate that begins and ends.
func (c *Cloud) IssueBetween(thing string, begin, end time.Time) (cert, key []byte, err error) {
	return c.ca.IssueBetween(thing, begin, end)
}

// Files are the paths of a thing's credential, all PEM, as in the `cloud`
// section of a group file.
type Files struct{ Certificate, Key, CA string }

// Files issues a certificate for a thing and writes the FilesIn dir.
func (c *Cloud) Files(dir, thing string) (Files, error) {
	f := FilesIn(dir, thing)
	return f, c.WriteFiles(f, thing)
}

// WriteFiles issues a certificate for a thing and writes it to the files.
func (c *Cloud) WriteFiles(f Files, thing string) error { return c.ca.WriteFiles(f, thing) }

// WriteFiles issues a certificate for a thing and writes it to the files.
func (a *Authority) WriteFiles(f Files, thing string) error {
	cert, key, err := a.Issue(thing)
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(f.Key, key, 0o600),
		os.WriteFile(f.Certificate, cert, 0o644),
		os.WriteFile(f.CA, a.PEM(), 0o644))
}

// FilesIn names the files of a thing's credential in a folder: THING.cert.pem,
// THING.private.key and cloud-ca.pem.
func FilesIn(dir, thing string) Files {
	return Files{
		Certificate: filepath.Join(dir, thing+".cert.pem"),
		Key:         filepath.Join(dir, thing+".private.key"),
		CA:          filepath.Join(dir, "cloud-ca.pem"),
	}
}

// ClientTLS issues a certificate for a thing and returns the settings of a
// client that uses it, with SNI and without ALPN.
func (c *Cloud) ClientTLS(thing string) (*tls.Config, error) {
	cert, key, err := c.Issue(thing)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AddCert(c.ca.cert)
	return &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: roots, ServerName: c.o.Name}, nil
}

// serverTLS is what a client of MQTT, or of the data plane, meets.
func (c *Cloud) serverTLS(dataPlane bool) (*tls.Config, error) {
	if c.server.Load() == nil { // the first of the two listeners
		if err := c.Renew(begins, never); err != nil {
			return nil, err
		}
	}
	clients := x509.NewCertPool()
	clients.AddCert(c.ca.cert)
	protocols := []string{alpnMQTT, alpnHTTP}
	if dataPlane {
		protocols = []string{alpnHTTP, "http/1.1"}
	}
	return &tls.Config{
		GetCertificate:         func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.server.Load(), nil },
		ClientAuth:             tls.RequireAndVerifyClientCert,
		ClientCAs:              clients,
		NextProtos:             protocols,
		MinVersion:             tls.VersionTLS12,
		SessionTicketsDisabled: true, // aws-iot.md 2.3
		GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
			switch {
			case h.ServerName == "" && c.o.RequireSNI:
				return nil, c.refused("no-sni", "a client without SNI")
			case h.ServerName != "" && h.ServerName != c.o.Name:
				return nil, c.refused("wrong-sni", fmt.Sprintf("SNI asks for %q, this is %q", h.ServerName, c.o.Name))
			case !dataPlane && c.o.RequireALPN && len(h.SupportedProtos) == 0:
				return nil, c.refused("no-alpn", "a client without ALPN on a listener like port 443")
			}
			return nil, nil
		},
		VerifyConnection: func(s tls.ConnectionState) error {
			thing := thingOf(&s)
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.revoked[thing] {
				return c.violate("", "revoked", fmt.Sprintf("the certificate of %q is revoked", thing))
			}
			return nil
		},
	}, nil
}

// Renew has the endpoint show another certificate, which begins and ends.
func (c *Cloud) Renew(begin, end time.Time) error {
	cert, err := c.ca.server(c.o.Name, begin, end)
	if err == nil {
		c.server.Store(&cert)
	}
	return err
}

func (c *Cloud) refused(rule, detail string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.violate("", rule, detail)
}

// thingOf is the thing whose certificate it is.
func thingOf(s *tls.ConnectionState) string { return s.PeerCertificates[0].Subject.CommonName }

// Revoke revokes all certificates of a thing, those to come too, and ends its
// connections. Restore takes it back.
func (c *Cloud) Revoke(thing string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.revoked[thing] = true
	for _, s := range c.sessions {
		if s.conn != nil && s.conn.thing == thing {
			s.conn.disconnect(codeNotAuthorized, "FORBIDDEN_ACCESS", "the certificate was revoked")
		}
	}
	c.touch()
}

// Restore takes Revoke back.
func (c *Cloud) Restore(thing string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.revoked, thing)
}
