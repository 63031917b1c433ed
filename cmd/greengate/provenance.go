package main

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"sync"

	"greengate/core/message"
	"greengate/core/pki"
	"greengate/localshadow"
)

// operator is who comes by the control socket.
var operator = localshadow.Source{Kind: "operator"}

// connections are the identities as the broker asks them. They remember with which
// certificate each thing is connected: the journal of a shadow names it.
type connections struct {
	*pki.Identities
	certificates sync.Map // by thing, the SHA-256 fingerprint in hex
}

// Used is that of pki. A thing has one connection, so its latest certificate is the
// one that its messages come under.
func (c *connections) Used(thing string, cert *x509.Certificate) {
	if cert != nil {
		sum := sha256.Sum256(cert.Raw)
		c.certificates.Store(thing, hex.EncodeToString(sum[:]))
	}
	c.Identities.Used(thing, cert)
}

// source is how the journal of a shadow names the sender of a message.
func (c *connections) source(e message.Endpoint) localshadow.Source {
	s := localshadow.Source{Kind: e.Kind.String(), Name: e.Name}
	if e.Kind == message.Device {
		if f, ok := c.certificates.Load(e.Name); ok {
			s.Detail = f.(string)
		}
	}
	return s
}
