package main

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"greengate/configs"
	"greengate/core/admin/client"
)

// alarmFrom is how long before its end a certificate is a fault. The log says so at
// each of alarmDays.
const alarmFrom = 30 * 24 * time.Hour

var alarmDays = []int64{30, 7, 1, 0}

// certificateEnd is when a certificate ends that somebody has to replace.
type certificateEnd struct {
	what string
	end  time.Time
	next string // what a person does about it
}

// certificateEnds reads the certificates in files that end: those that the gateway
// makes for itself it replaces at two thirds of their life, and its devices' have
// no end. The error tells of those that cannot be read; the others are returned.
func certificateEnds(c *configs.Config) (ends []certificateEnd, err error) {
	add := func(what, file, next string) {
		cert, bad := readCertificate(file)
		if bad != nil {
			err = errors.Join(err, fmt.Errorf("read %s: %w", what, bad))
			return
		}
		ends = append(ends, certificateEnd{what, cert.NotAfter, next})
	}
	add("the group CA", filepath.Join(c.PKI.Dir, "root-ca.pem"), "a group CA of your own is replaced together with the certificates of all devices")
	if c.Cloud != nil {
		add("the certificate of the core for the cloud", c.Cloud.Certificate,
			"make another in AWS IoT beside this one, put it and its key in the place of "+c.Cloud.Certificate+
				" and restart greengate; when `greengate status` shows the cloud connected, deactivate the old one there")
	}
	if c.Cloud != nil && c.Cloud.CA != "" { // empty: the roots of the system, which it keeps up to date
		add("the root certificate of the cloud", c.Cloud.CA, "get the present one from https://www.amazontrust.com/repository/")
	}
	return ends, err
}

// readCertificate reads the first certificate of a PEM file.
func readCertificate(file string) (*x509.Certificate, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, fmt.Errorf("%s is no certificate", file)
	}
	return x509.ParseCertificate(block.Bytes)
}

// days is how many whole days are left.
func days(left time.Duration) int64 { return int64(left / (24 * time.Hour)) }

// expiry watches the ends of the certificates that a person has to replace: those in
// files, and those of foreign devices, which are known once they have connected.
type expiry struct {
	ends func() []certificateEnd
	now  func() (now time.Time, believed bool)
	log  *slog.Logger

	mu    sync.Mutex
	known []certificateEnd // guarded by mu
	told  map[string]int64 // the last of alarmDays that the log has seen; Run's
}

func (g *gateway) newExpiry() *expiry {
	return &expiry{
		ends: func() []certificateEnd {
			c := g.current().config
			// What cannot be read is a fault of who needs it.
			ends, _ := certificateEnds(c)
			for _, f := range g.identities.Foreign() {
				ends = append(ends, certificateEnd{"the certificate of " + f.Thing, f.End,
					"give the device another, and write its fingerprint in " + g.begun.File})
			}
			return ends
		},
		now: func() (time.Time, bool) {
			now, _, believed := g.authority.Time()
			return now, believed
		},
		log: g.log.With("component", "pki"), told: map[string]int64{},
	}
}

// Run looks every hour until ctx ends.
func (e *expiry) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		e.look()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// look reads the ends, and logs each alarm once.
func (e *expiry) look() {
	ends := e.ends()
	e.mu.Lock()
	e.known = ends
	e.mu.Unlock()
	now, believed := e.now()
	if !believed {
		return
	}
	for _, c := range ends {
		key := c.what + c.end.String()
		step := int64(-1)
		for _, d := range alarmDays {
			if c.end.Sub(now) <= time.Duration(d)*24*time.Hour {
				step = d
			}
		}
		if last, told := e.told[key]; step < 0 || told && last == step {
			continue
		}
		e.told[key] = step
		e.log.Error(alarm(c, now), "next_step", c.next)
	}
}

// alarm says that a certificate ends.
func alarm(c certificateEnd, now time.Time) string {
	if left := c.end.Sub(now); left > 0 {
		return fmt.Sprintf("%s ends on %s, in %s", c.what, c.end.UTC().Format(time.DateOnly), counted(days(left), "day"))
	}
	return fmt.Sprintf("%s ended on %s", c.what, c.end.UTC().Format(time.DateOnly))
}

// report tells of the certificates whose end is near.
func (e *expiry) report(s *client.Status) {
	now, believed := e.now()
	if !believed {
		return // which is a fault of its own
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, c := range e.known {
		if c.end.Sub(now) <= alarmFrom {
			s.Faults = append(s.Faults, client.Fault{Component: "pki", Message: alarm(c, now), NextStep: c.next})
		}
	}
}
