package main

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
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
	err  error  // why it cannot be read; next is about that, then
}

const groupCA = "the group CA"

// certificateEnds reads the certificates in files that end: those that the gateway
// makes for itself it replaces at two thirds of their life, and its devices' have
// no end.
func certificateEnds(c *configs.Config) (ends []certificateEnd) {
	add := func(what, file, next, again string) {
		cert, err := readCertificate(file)
		if err != nil {
			ends = append(ends, certificateEnd{what: what, next: again, err: err})
			return
		}
		ends = append(ends, certificateEnd{what: what, end: cert.NotAfter, next: next})
	}
	add(groupCA, filepath.Join(c.PKI.Dir, "root-ca.pem"), "a group CA of your own is replaced together with the certificates of all devices", asRoot)
	if c.Cloud == nil {
		return ends
	}
	add("the certificate of the core for the cloud", c.Cloud.Certificate,
		"make another in AWS IoT beside this one, put it and its key in the place of "+c.Cloud.Certificate+
			" and restart greengate; when `greengate status` shows the cloud connected, deactivate the old one there", coreNext(c))
	if c.Cloud.CA != "" { // empty: the roots of the system, which it keeps up to date
		const roots = "get the present one from https://www.amazontrust.com/repository/"
		add("the root certificate of the cloud", c.Cloud.CA, roots, roots)
	}
	return ends
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
	more <-chan struct{} // another foreign device has connected
	now  func() (now time.Time, believed bool)
	log  *slog.Logger

	told map[string]int64 // the last of alarmDays that the log has seen; Run's
}

func (g *gateway) newExpiry() *expiry {
	return &expiry{
		ends: func() []certificateEnd {
			c := g.current().config
			// What cannot be read is a fault of who needs it.
			ends := slices.DeleteFunc(certificateEnds(c), func(e certificateEnd) bool { return e.err != nil })
			for _, f := range g.identities.Foreign() {
				ends = append(ends, certificateEnd{what: "the certificate of " + f.Thing, end: f.End,
					next: "give the device another, and write its fingerprint in " + g.begun.File})
			}
			return ends
		},
		more: g.identities.Came(),
		now: func() (time.Time, bool) {
			now, _, believed := g.authority.Time()
			return now, believed
		},
		log: g.log.With("component", "pki"), told: map[string]int64{},
	}
}

// Run looks every hour, and when a foreign device has come, until ctx ends.
func (e *expiry) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		e.look()
		select {
		case <-tick.C:
		case <-e.more:
		case <-ctx.Done():
			return nil
		}
	}
}

// look logs each alarm once.
func (e *expiry) look() {
	now, believed := e.now()
	if !believed {
		return
	}
	for _, c := range e.ends() {
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
	for _, c := range e.ends() { // read anew: somebody may have replaced one just now
		if c.end.Sub(now) <= alarmFrom {
			s.Faults = append(s.Faults, client.Fault{Component: "pki", Message: alarm(c, now), NextStep: c.next})
		}
	}
}
