package pki

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Credential is what a device gets. KeyPEM exists only here: the gateway does
// not keep the private keys of devices.
type Credential struct {
	CertPEM     []byte
	KeyPEM      []byte
	Fingerprint string // SHA-256 of the certificate's DER, 64 hex digits
}

// Issued is one certificate on record.
type Issued struct {
	Fingerprint string    // SHA-256 of the certificate's DER, 64 hex digits
	At          time.Time // when it was issued, as the clock was then
	Serial      string    // hex digits
}

// Record is what the folder of a group CA says without its private keys, which it takes
// no right to read.
type Record struct {
	dir  string
	time *timekeeper
}

// OpenRecord returns the record in dir.
func OpenRecord(dir string, c Clock) (*Record, error) {
	keeper, err := newTimekeeper(filepath.Join(dir, clockFile), c)
	if err != nil {
		return nil, err
	}
	return &Record{dir, keeper}, nil
}

// Time returns what the machine's clock says, the time before which it cannot
// be, and whether the clock is plausible; see Clock.
func (r *Record) Time() (now, floor time.Time, plausible bool) {
	now, fault := r.time.judge()
	return now, r.time.floor(), fault == ""
}

// maxOnRecord bounds the certificates of one thing: a renewal leaves the older
// one on record until the new one is used, and some never are.
const maxOnRecord = 16

// Issue makes a key and a certificate for thing and puts the certificate on
// record; it is on disk, fsynced, when Issue returns. Certificates of the same
// thing that are on record stay there until the new one has been used, see
// Identities.Used; a seventeenth is an error. A running Identities takes it up at
// its next Load.
func (a *Authority) Issue(thing string) (*Credential, error) {
	if err := checkThing(thing); err != nil {
		return nil, fmt.Errorf("issue a certificate: %w", err)
	}
	key, err := a.algorithm.newKey()
	if err != nil {
		return nil, fmt.Errorf("issue a certificate to %s: %w", thing, err)
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return nil, fmt.Errorf("issue a certificate to %s: %w", thing, err)
	}
	der, err := a.sign(&x509.Certificate{
		// A thing name may be longer than the 64 characters that RFC 5280 gives
		// a common name; no TLS library holds anybody to that.
		Subject:     pkix.Name{CommonName: thing},
		KeyUsage:    a.algorithm.keyUsage(),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, key.Public(), forever)
	if err != nil {
		return nil, fmt.Errorf("issue a certificate to %s: %w", thing, err)
	}
	if err := a.enter(thing, der); err != nil {
		return nil, fmt.Errorf("record the certificate of %s: %w", thing, err)
	}
	print := sha256.Sum256(der)
	return &Credential{CertPEM: encodeCertificate(der), KeyPEM: keyPEM, Fingerprint: hex.EncodeToString(print[:])}, nil
}

// Withdraw takes all certificates of thing off the record, durably, and returns
// how many there were. None is no error.
func (a *Authority) Withdraw(thing string) (n int, err error) {
	if err := checkThing(thing); err != nil {
		return 0, fmt.Errorf("withdraw certificates: %w", err)
	}
	a.change.Lock()
	defer a.change.Unlock()
	prints, err := a.listed(thing)
	if err != nil {
		return 0, fmt.Errorf("withdraw the certificates of %s: %w", thing, err)
	}
	if err := os.RemoveAll(a.recordDir(thing)); err != nil {
		return 0, fmt.Errorf("withdraw the certificates of %s: %w", thing, err)
	}
	if err := syncDir(filepath.Join(a.dir, issuedDir)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("withdraw the certificates of %s: %w", thing, err)
	}
	return len(prints), nil
}

// Issued returns the certificates of thing that are on record, the oldest
// first. A file that is damaged does not count and is not returned.
func (r *Record) Issued(thing string) ([]Issued, error) {
	if err := checkThing(thing); err != nil {
		return nil, fmt.Errorf("read the record: %w", err)
	}
	prints, err := r.listed(thing)
	if err != nil {
		return nil, fmt.Errorf("read the record of %s: %w", thing, err)
	}
	var issued []Issued
	for _, e := range r.readAll(thing, prints) {
		cert, err := x509.ParseCertificate(e.der)
		if err != nil {
			continue
		}
		issued = append(issued, Issued{Fingerprint: e.print.String(), At: e.at, Serial: fmt.Sprintf("%x", cert.SerialNumber)})
	}
	return issued, nil
}

// fingerprint is the SHA-256 of a certificate's DER; as hex it is also the AWS
// certificateId.
type fingerprint [sha256.Size]byte

func (f fingerprint) String() string { return hex.EncodeToString(f[:]) }

// entry is one file of the record. Above its PEM block stand three lines:
//
//	Thing: GG_Switch
//	Number: 2
//	Issued: 2026-11-25T17:25:00Z
//
// Number counts up within a thing. It, not a time, says which certificate is
// the newer one: a clock may have gone back in between.
type entry struct {
	print  fingerprint
	number int
	at     time.Time
	der    []byte
}

func (r *Record) recordDir(thing string) string { return filepath.Join(r.dir, issuedDir, thing) }

func (r *Record) recordPath(thing string, f fingerprint) string {
	return filepath.Join(r.recordDir(thing), f.String()+".pem")
}

// enter puts a new certificate on record.
func (a *Authority) enter(thing string, der []byte) error {
	a.change.Lock()
	defer a.change.Unlock()
	prints, err := a.listed(thing)
	if err != nil {
		return err
	}
	if len(prints) >= maxOnRecord {
		return fmt.Errorf("%d certificates are on record and none of the newer ones was ever used (connect once with one of them, which takes the older ones off, or take all off with `greengate device remove %s`)", len(prints), thing)
	}
	number := 1
	for _, e := range a.readAll(thing, prints) {
		number = max(number, e.number+1)
	}
	for _, dir := range []string{filepath.Join(a.dir, issuedDir), a.recordDir(thing)} {
		if err := makeDir(dir); err != nil {
			return err
		}
	}
	text := fmt.Sprintf("Thing: %s\nNumber: %d\nIssued: %s\n", thing, number, a.time.clock.now().UTC().Format(time.RFC3339))
	return writeFile(a.recordPath(thing, sha256.Sum256(der)), append([]byte(text), encodeCertificate(der)...), 0o644)
}

// strike takes certificates of thing off the record. One that is not there any
// more is no error.
func (a *Authority) strike(thing string, prints []fingerprint) error {
	a.change.Lock()
	defer a.change.Unlock()
	for _, f := range prints {
		if err := os.Remove(a.recordPath(thing, f)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := syncDir(a.recordDir(thing)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// listed returns what the names in a thing's folder say is on record. It opens
// no file, so that a thousand devices are read in no time; whoever lets a
// certificate count must also read its file.
func (r *Record) listed(thing string) ([]fingerprint, error) {
	dir, err := os.Open(r.recordDir(thing))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var prints []fingerprint
	for _, name := range names {
		digits, isPEM := strings.CutSuffix(name, ".pem")
		var f fingerprint
		if !isPEM || len(digits) != hex.EncodedLen(len(f)) || digits != strings.ToLower(digits) {
			continue
		}
		if _, err := hex.Decode(f[:], []byte(digits)); err == nil {
			prints = append(prints, f)
		}
	}
	return prints, nil
}

// read reads one file of the record. It is an error if the certificate in it is
// not the one that the file's name promises.
func (r *Record) read(thing string, f fingerprint) (entry, error) {
	path := r.recordPath(thing, f)
	data, err := os.ReadFile(path)
	if err != nil {
		return entry{}, err
	}
	block, _ := pem.Decode(data)
	if block == nil || sha256.Sum256(block.Bytes) != f {
		return entry{}, fmt.Errorf("%s does not hold the certificate that its name promises", path)
	}
	e := entry{print: f, der: block.Bytes}
	head, _, _ := bytes.Cut(data, []byte("-----BEGIN"))
	for line := range strings.Lines(string(head)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch key {
		case "Number":
			e.number, _ = strconv.Atoi(value) // damaged: the oldest
		case "Issued":
			e.at, _ = time.Parse(time.RFC3339, value)
		}
	}
	return e, nil
}

// readAll returns the sound ones of the files, the oldest first.
func (r *Record) readAll(thing string, prints []fingerprint) []entry {
	var entries []entry
	for _, f := range prints {
		if e, err := r.read(thing, f); err == nil {
			entries = append(entries, e)
		}
	}
	slices.SortFunc(entries, func(x, y entry) int { return cmp.Compare(x.number, y.number) })
	return entries
}
