package main

import (
	"cmp"
	"errors"
	"io/fs"
	"strings"
	"time"

	"greengate/configs"
	"greengate/core/pki"
	"greengate/core/token"
)

// checkCertificates looks at the keys, the certificates and their ends.
func (d *doctor) checkCertificates() {
	broken := d.checkAuthority()
	record, err := pki.OpenRecord(d.config.PKI.Dir, pki.Clock{})
	if err != nil {
		d.wrong("certificates", "build the program anew", "%v", err)
		return
	}
	d.checkRecord(record)
	now, _, believed := record.Time()
	for _, e := range certificateEnds(d.config) {
		switch {
		case e.err != nil && e.what == groupCA && broken: // told
		case errors.Is(e.err, fs.ErrPermission):
			d.note("certificates", asRoot, "%s: %v", e.what, e.err)
		case e.err != nil:
			d.wrong("certificates", e.next, "%s: %v", e.what, e.err)
		case !believed:
			d.note("certificates", "", "%s ends on %s; the clock is not believed", e.what, e.end.Format(time.DateOnly))
		case e.end.Sub(now) <= alarmFrom:
			d.wrong("certificates", e.next, "%s", alarm(e, now))
		default:
			d.well("certificates", "%s ends on %s", e.what, e.end.Format(time.DateOnly))
		}
	}
	if c := d.config.Cloud; c != nil {
		d.checkCore()
	}
}

// asRoot is what to do when somebody may not see all.
const asRoot = "run doctor as root"

// checkAuthority tells what is wrong with the keys of the group.
func (d *doctor) checkAuthority() (broken bool) {
	_, err := pki.Open(d.config.PKI.Dir, pki.Clock{})
	var fault *pki.Fault
	switch {
	case err == nil:
	case errors.Is(err, fs.ErrPermission):
		d.note("certificates", asRoot, "the private keys of the group are not for this user to read, and were not looked at")
	case errors.As(err, &fault):
		d.wrong("certificates", fault.Hint, "%s", fault.Problem)
	default:
		d.wrong("certificates", "journalctl -u greengate tells more", "%v", err)
	}
	return err != nil
}

// checkRecord looks for devices that nobody can connect as.
func (d *doctor) checkRecord(record *pki.Record) {
	var without []string
	for _, device := range d.config.Devices {
		if device.Fingerprint() != "" {
			continue // another CA's, which is known by the group file
		}
		issued, err := record.Issued(device.Thing)
		switch {
		case errors.Is(err, fs.ErrPermission):
			d.note("certificates", asRoot, "the record of certificates is not for this user to read")
			return
		case err != nil:
			d.wrong("certificates", "look at the disk: `dmesg`", "%v", err)
			return
		case len(issued) == 0:
			without = append(without, device.Thing)
		}
	}
	switch n := len(without); {
	case n == 0:
	case n == len(d.config.Devices):
		d.wrong("certificates", "`greengate restore BACKUP --to DIR` has the record in DIR/pki/issued; without a backup `greengate device renew THING` makes a certificate for each, to be copied to it",
			"no device can connect: none of %d has a certificate on record", n)
	default:
		d.note("certificates", "`greengate device add THING` makes one, and `greengate restore` has those of a backup",
			"%s cannot connect without a certificate: %s", counted(int64(n), "device"), firstOf(without))
	}
}

// firstOf names the first few.
func firstOf(names []string) string {
	const few = 5
	if more := len(names) - few; more > 0 {
		return strings.Join(names[:few], ", ") + ", and " + counted(int64(more), "other")
	}
	return strings.Join(names, ", ")
}

// checkCore looks at the certificate of the core together with its key.
func (d *doctor) checkCore() {
	if _, err := readCertificate(d.config.Cloud.Certificate); err != nil {
		return // told with its end
	}
	pair, err := corePair(d.ctx, d.config)
	var inToken *token.Error
	switch {
	case err == nil:
		d.pair = pair
	case errors.Is(err, fs.ErrPermission):
		d.note("certificates", asRoot, "certificate and key of the core: %v", err)
	case errors.As(err, &inToken):
		d.wrong("certificates", cmp.Or(inToken.Hint, coreNext(d.config)), "certificate and key of the core: %s", inToken.Problem)
	default:
		d.wrong("certificates", coreNext(d.config), "certificate and key of the core: %v", err)
	}
}

// coreNext is what to do about a certificate or key of the core that cannot be used.
func coreNext(c *configs.Config) string {
	return "get certificate and key of the core together from AWS IoT, and put them in the place of " + c.Cloud.Certificate + " and " + c.Cloud.Key
}
