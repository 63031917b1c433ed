package pki

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Device is a thing that may be a client.
type Device struct {
	Thing string
	// Fingerprint admits one certificate that the group CA did not issue, in
	// any form that ParseFingerprint reads; "" admits none. Certificates of the
	// group CA count either way.
	Fingerprint string
}

// Identities tells things by their certificates. A certificate names a thing if
// the group CA signed it, it is on record and its common name is a device; or
// if its fingerprint stands with a device. That the client owns the private key
// is proven by TLS.
type Identities struct {
	authority *Authority
	log       *slog.Logger
	now       atomic.Pointer[snapshot]
	change    sync.Mutex  // one new snapshot at a time
	unjudged  atomic.Bool // it was logged that the clock is not believed
	foreign   sync.Map    // fingerprint to time.Time: the end of pinned certificates that came
	came      chan struct{}
}

// snapshot is who is known. Nothing in it changes but known.proven.
type snapshot struct {
	things map[string]struct{}
	pinned map[fingerprint]string // to thing
	issued map[fingerprint]*known
}

// known is a certificate on record.
type known struct {
	thing string
	older []fingerprint // of the same thing; leave when this one is used
	// proven is set once the signature, the name and the file were checked; the
	// fingerprint is over the whole certificate, so they stay as they are.
	proven atomic.Bool
}

// Identities reads the record of the devices, see Load.
func (a *Authority) Identities(devices []Device, log *slog.Logger) (*Identities, error) {
	i := &Identities{authority: a, log: orDiscard(log), came: make(chan struct{}, 1)}
	if err := i.Load(devices); err != nil {
		return nil, err
	}
	return i, nil
}

// Load reads the record anew and from then on knows these devices and no
// others. After an error everything stays as it was. Errors: a name that is no
// thing name, a fingerprint that is none or stands with two things, a record
// that cannot be read.
func (i *Identities) Load(devices []Device) error {
	return i.LoadWith(devices, func() error { return nil })
}

// LoadWith is Load of a part of something larger: also does the rest of it, when nothing
// of the record stands against it any more. After an error of its own, which is returned,
// everything stays as it was, too.
func (i *Identities) LoadWith(devices []Device, also func() error) error {
	i.change.Lock()
	defer i.change.Unlock()
	s := &snapshot{
		things: make(map[string]struct{}, len(devices)),
		pinned: make(map[fingerprint]string),
		issued: make(map[fingerprint]*known, len(devices)),
	}
	for _, d := range devices {
		if err := i.read(s, d); err != nil {
			return fmt.Errorf("read the certificates of %s: %w", clip(d.Thing), err)
		}
	}
	if err := also(); err != nil {
		return err
	}
	i.now.Store(s)
	return nil
}

// read takes one device into s.
func (i *Identities) read(s *snapshot, d Device) error {
	if err := checkThing(d.Thing); err != nil {
		return err
	}
	s.things[d.Thing] = struct{}{}
	if d.Fingerprint != "" {
		f, err := parseFingerprint(d.Fingerprint)
		if err != nil {
			return err
		}
		if other, taken := s.pinned[f]; taken && other != d.Thing {
			return fmt.Errorf("the fingerprint %s is also that of %s", f, other)
		}
		s.pinned[f] = d.Thing
	}
	prints, err := i.authority.listed(d.Thing)
	if err != nil {
		return err
	}
	if len(prints) == 1 { // nearly always: nothing to open
		s.issued[prints[0]] = &known{thing: d.Thing}
		return nil
	}
	var older []fingerprint
	entries := i.authority.readAll(d.Thing, prints)
	if damaged := len(prints) - len(entries); damaged > 0 {
		i.log.Warn("Skipped damaged files of the certificate record", "thing", d.Thing, "files", damaged)
	}
	for _, e := range entries {
		s.issued[e.print] = &known{thing: d.Thing, older: older}
		older = append(older[:len(older):len(older)], e.print)
	}
	return nil
}

// Identify returns the thing that the client with these certificates is, as
// TLS delivers them: its own first. The error is always a *Refusal.
func (i *Identities) Identify(certs []*x509.Certificate) (thing string, err error) {
	if len(certs) == 0 || certs[0] == nil {
		return "", refuse(NoCertificate, "the client showed no certificate")
	}
	cert, s := certs[0], i.now.Load()
	f := fingerprint(sha256.Sum256(cert.Raw))
	if thing, ok := s.pinned[f]; ok {
		if _, seen := i.foreign.Load(f); !seen {
			i.foreign.Store(f, cert.NotAfter)
			select {
			case i.came <- struct{}{}:
			default: // whoever waits looks at all of them
			}
		}
		if r := i.judgeTime(thing, cert); r != nil {
			return "", r
		}
		return thing, nil
	}
	if k := s.issued[f]; k != nil {
		if r := i.prove(k, f, cert); r != nil {
			return "", r
		}
		return k.thing, nil
	}
	return "", i.stranger(s, f, cert)
}

// prove checks what the name of a record file could only claim.
func (i *Identities) prove(k *known, f fingerprint, cert *x509.Certificate) *Refusal {
	if k.proven.Load() {
		return nil
	}
	if err := cert.CheckSignatureFrom(i.authority.root); err != nil {
		return refuse(UnknownIssuer, "a file of the record names the certificate %s, but the group CA did not sign it: %v", f, err)
	}
	if cn := cert.Subject.CommonName; cn != k.thing {
		return refuse(NotOnRecord, "the certificate %s of %s lies in the record of %s", f, clip(cn), k.thing)
	}
	if _, err := i.authority.read(k.thing, f); err != nil {
		return refuse(NotOnRecord, "the record of %s cannot be read: %v (make a new certificate: `greengate device renew %s`)", k.thing, err, k.thing)
	}
	k.proven.Store(true)
	return nil
}

// stranger says why a certificate that is neither pinned nor on record is
// refused. That the issuer has the CA's name says nothing; the signature does.
func (i *Identities) stranger(s *snapshot, f fingerprint, cert *x509.Certificate) *Refusal {
	root, cn := i.authority.root, cert.Subject.CommonName
	if !bytes.Equal(cert.RawIssuer, root.RawSubject) || cert.CheckSignatureFrom(root) != nil {
		return refuse(UnknownIssuer, "the group CA did not sign the certificate of %s, issued by %s (to admit it, give its device `certificate: sha256:%s`)",
			clip(cn), clip(cert.Issuer.String()), f)
	}
	if _, ok := s.things[cn]; !ok {
		return refuse(UnknownThing, "the certificate %s names %s, which is no device of the group file", f, clip(cn))
	}
	return refuse(NotOnRecord, "the certificate %s of %s was withdrawn or replaced", f, cn)
}

// judgeTime judges the validity of a pinned certificate, if the clock can be
// believed; see Clock.
func (i *Identities) judgeTime(thing string, cert *x509.Certificate) *Refusal {
	now, fault := i.authority.time.judge()
	switch {
	case fault != "":
		if i.unjudged.CompareAndSwap(false, true) {
			i.log.Warn("Admitted a foreign certificate without a look at its dates", "thing", thing, "err", fault)
		}
		return nil
	case now.After(cert.NotAfter):
		return refuse(Expired, "the certificate of %s ended at %s", thing, cert.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(cert.NotBefore):
		return refuse(NotYetValid, "the certificate of %s begins at %s", thing, cert.NotBefore.UTC().Format(time.RFC3339))
	}
	return nil
}

// Used says that the client thing has got through with cert: its CONNECT or its
// discovery was answered. Certificates of the thing that are older than cert
// leave the record now. Call it for every client; it costs a hash when there is
// nothing to do.
func (i *Identities) Used(thing string, cert *x509.Certificate) {
	if cert == nil {
		return
	}
	f := fingerprint(sha256.Sum256(cert.Raw))
	if k := i.now.Load().issued[f]; k == nil || k.thing != thing || len(k.older) == 0 {
		return
	}
	i.change.Lock()
	defer i.change.Unlock()
	s := i.now.Load()
	k := s.issued[f] // again: a Load or another Used may have come first
	if k == nil || k.thing != thing || len(k.older) == 0 {
		return
	}
	if err := i.authority.strike(thing, k.older); err != nil {
		// They still count, here and after a restart, and the next Used tries again.
		i.log.Error("Replaced certificates could not be taken off the record", "thing", thing, "err", err)
		return
	}
	i.now.Store(s.without(k, f))
	i.log.Info("Took replaced certificates off the record", "thing", thing, "count", len(k.older), "used", f.String())
}

// without returns s without what is older than k, whose fingerprint is f.
func (s *snapshot) without(k *known, f fingerprint) *snapshot {
	next := &snapshot{things: s.things, pinned: s.pinned, issued: maps.Clone(s.issued)}
	for _, o := range k.older {
		delete(next.issued, o)
	}
	next.issued[f] = &known{thing: k.thing}
	return next
}

// Foreign is a certificate that somebody else issued, and will have to renew.
type Foreign struct {
	Thing string
	End   time.Time
}

// Foreign returns the foreign certificates of devices that have come since the
// start: of the others only the fingerprint is known.
func (i *Identities) Foreign() (list []Foreign) {
	for f, thing := range i.now.Load().pinned {
		if end, seen := i.foreign.Load(f); seen {
			list = append(list, Foreign{thing, end.(time.Time)})
		}
	}
	slices.SortFunc(list, func(a, b Foreign) int { return strings.Compare(a.Thing, b.Thing) })
	return list
}

// Came receives after there is more in Foreign. It is for one receiver.
func (i *Identities) Came() <-chan struct{} { return i.came }

// Faults returns what a person should know: that the clock is not believed and
// the dates of foreign certificates are therefore not judged. Empty is well.
func (i *Identities) Faults() []string {
	if len(i.now.Load().pinned) == 0 {
		return nil
	}
	if _, fault := i.authority.time.judge(); fault != "" {
		return []string{fault + ": foreign certificates are admitted by fingerprint alone, their dates are not judged"}
	}
	return nil
}

func orDiscard(log *slog.Logger) *slog.Logger {
	if log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return log.With("component", "pki")
}
