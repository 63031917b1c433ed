package pki

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestIdentify(t *testing.T) {
	a := newAuthority(t, at(today))
	other := newAuthority(t, at(today)) // the same name of the CA, another key
	pinned := foreign(t, "whatever", today.AddDate(-1, 0, 0), today.AddDate(1, 0, 0)).Leaf
	both := foreign(t, "old", today.AddDate(-1, 0, 0), today.AddDate(1, 0, 0)).Leaf
	sw, gone, bothIssued := issue(t, a, "GG_Switch"), issue(t, a, "GG_Gone"), issue(t, a, "GG_Both")
	if _, err := a.Withdraw("GG_Gone"); err != nil {
		t.Fatal(err)
	}
	again := issue(t, a, "GG_Gone")
	i := identities(t, a, nil,
		Device{Thing: "GG_Switch"}, Device{Thing: "GG_Gone"},
		Device{Thing: "GG_Pinned", Fingerprint: "SHA256:" + strings.ToUpper(Fingerprint(pinned))},
		Device{Thing: "GG_Both", Fingerprint: Fingerprint(both)})

	wantThing(t, i, parse(t, sw.CertPEM), "GG_Switch")
	wantThing(t, i, parse(t, sw.CertPEM), "GG_Switch") // the second time without a look at the file
	wantThing(t, i, pinned, "GG_Pinned")
	wantThing(t, i, both, "GG_Both")
	wantThing(t, i, parse(t, bothIssued.CertPEM), "GG_Both")
	wantThing(t, i, parse(t, again.CertPEM), "GG_Gone")

	// Of the foreign ones the ends are known now.
	if list := i.Foreign(); len(list) != 2 || list[0].Thing != "GG_Both" || list[1].Thing != "GG_Pinned" || !list[1].End.Equal(pinned.NotAfter) {
		t.Errorf("the foreign certificates are %+v", list)
	}

	wantRefusal(t, i, nil, NoCertificate)
	wantRefusal(t, i, parse(t, gone.CertPEM), NotOnRecord)
	wantRefusal(t, i, parse(t, issue(t, a, "GG_Stranger").CertPEM), UnknownThing)
	wantRefusal(t, i, parse(t, issue(t, other, "GG_Switch").CertPEM), UnknownIssuer)
	wantRefusal(t, i, parse(t, a.RootPEM()), UnknownThing)
	wantRefusal(t, i, &x509.Certificate{}, UnknownIssuer)
	if _, err := i.Identify(nil); err == nil || !strings.Contains(err.Error(), NoCertificate) {
		t.Errorf("Identify(nil) = %v", err)
	}
	// What is refused can be admitted by what the refusal says.
	stranger := foreign(t, strings.Repeat("x", 5000)+"\n", today, today).Leaf
	r := wantRefusal(t, i, stranger, UnknownIssuer)
	if !strings.Contains(r.Detail, "sha256:"+Fingerprint(stranger)) || len(r.Detail) > 600 || strings.Contains(r.Detail, "\n") {
		t.Errorf("detail of %d bytes: %q", len(r.Detail), r.Detail)
	}
}

// TestRecordMustHoldWhatItSays: a file name alone admits nobody.
func TestRecordMustHoldWhatItSays(t *testing.T) {
	a := newAuthority(t, at(today))
	enter := func(thing string, f string, text []byte) {
		t.Helper()
		dir := filepath.Join(a.dir, "issued", thing)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, f+".pem"), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	damaged := issue(t, a, "GG_Damaged")
	enter("GG_Damaged", damaged.Fingerprint, nil)
	swapped := issue(t, a, "GG_Swapped")
	enter("GG_Swapped", swapped.Fingerprint, damaged.CertPEM)
	moved := issue(t, a, "GG_Moved")
	enter("GG_Thief", moved.Fingerprint, moved.CertPEM)
	planted := foreign(t, "GG_Planted", today, today).Leaf
	enter("GG_Planted", Fingerprint(planted), encodeCertificate(planted.Raw))

	i := identities(t, a, nil, Device{Thing: "GG_Damaged"}, Device{Thing: "GG_Swapped"}, Device{Thing: "GG_Thief"}, Device{Thing: "GG_Planted"})
	if r := wantRefusal(t, i, parse(t, damaged.CertPEM), NotOnRecord); !strings.Contains(r.Detail, "device renew GG_Damaged") {
		t.Errorf("detail %q does not say what to do", r.Detail)
	}
	wantRefusal(t, i, parse(t, swapped.CertPEM), NotOnRecord)
	wantRefusal(t, i, parse(t, moved.CertPEM), NotOnRecord)
	wantRefusal(t, i, planted, UnknownIssuer)

	// Once it is mended it counts, without a reload.
	enter("GG_Damaged", damaged.Fingerprint, damaged.CertPEM)
	wantThing(t, i, parse(t, damaged.CertPEM), "GG_Damaged")
}

func TestRenewal(t *testing.T) {
	a := newAuthority(t, at(today))
	devices := []Device{{Thing: "GG_Switch"}, {Thing: "GG_Other"}}
	other := parse(t, issue(t, a, "GG_Other").CertPEM)
	first := parse(t, issue(t, a, "GG_Switch").CertPEM)
	log := &journal{}
	i := identities(t, a, log.logger(), devices...)
	i.Used("GG_Switch", first)

	second := parse(t, issue(t, a, "GG_Switch").CertPEM)
	wantRefusal(t, i, second, NotOnRecord) // not loaded yet
	if err := i.Load(devices); err != nil {
		t.Fatal(err)
	}
	i.Used("GG_Switch", first) // the old one may be used as long as the new one was not
	i.Used("GG_Other", second) // a mistake of the caller takes nothing away
	i.Used("GG_Switch", nil)
	wantThing(t, i, first, "GG_Switch")
	wantThing(t, i, second, "GG_Switch")

	third := parse(t, issue(t, a, "GG_Switch").CertPEM)
	if err := i.Load(devices); err != nil {
		t.Fatal(err)
	}
	i.Used("GG_Switch", third)
	wantRefusal(t, i, first, NotOnRecord)
	wantRefusal(t, i, second, NotOnRecord)
	wantThing(t, i, third, "GG_Switch")
	wantThing(t, i, other, "GG_Other")
	if log.count("Took replaced certificates off the record") != 1 || log.count("thing=GG_Switch") != 1 {
		t.Errorf("log:\n%s", log.text.String())
	}
	// It holds after a restart.
	left, err := a.Issued("GG_Switch")
	if err != nil || len(left) != 1 || left[0].Fingerprint != Fingerprint(third) {
		t.Errorf("on record: %v, %v", left, err)
	}
	i = identities(t, reopen(t, a, at(today)), nil, devices...)
	wantRefusal(t, i, second, NotOnRecord)
	wantThing(t, i, third, "GG_Switch")
}

// TestRenewalInTheMiddle: of three the second is used: the first goes, the third
// still waits for its turn.
func TestRenewalInTheMiddle(t *testing.T) {
	a := newAuthority(t, at(today))
	var certs [3]*x509.Certificate
	for n := range certs {
		certs[n] = parse(t, issue(t, a, "GG_Switch").CertPEM)
	}
	i := identities(t, a, nil, Device{Thing: "GG_Switch"})
	i.Used("GG_Switch", certs[1])
	wantRefusal(t, i, certs[0], NotOnRecord)
	wantThing(t, i, certs[1], "GG_Switch")
	wantThing(t, i, certs[2], "GG_Switch")
	i.Used("GG_Switch", certs[2])
	wantRefusal(t, i, certs[1], NotOnRecord)
	wantThing(t, i, certs[2], "GG_Switch")
}

// TestStrikeFails: what cannot be removed still counts, and is told.
func TestStrikeFails(t *testing.T) {
	a := newAuthority(t, at(today))
	first := parse(t, issue(t, a, "GG_Switch").CertPEM)
	second := parse(t, issue(t, a, "GG_Switch").CertPEM)
	log := &journal{}
	i := identities(t, a, log.logger(), Device{Thing: "GG_Switch"})
	path := filepath.Join(a.dir, "issued", "GG_Switch", Fingerprint(first)+".pem")
	if err := os.Rename(path, path+"x"); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(path, "in the way"), 0o755); err != nil {
		t.Fatal(err)
	}
	i.Used("GG_Switch", second)
	if log.count("level=ERROR") != 1 {
		t.Errorf("log:\n%s", log.text.String())
	}
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
	i.Used("GG_Switch", second)
	wantRefusal(t, i, first, NotOnRecord)
}

func TestLoad(t *testing.T) {
	a := newAuthority(t, at(today))
	sw := parse(t, issue(t, a, "GG_Switch").CertPEM)
	f := strings.Repeat("ab", 32)
	i := identities(t, a, nil, Device{Thing: "GG_Switch"})
	for name, devices := range map[string][]Device{
		"NoFingerprint": {{Thing: "GG_Switch", Fingerprint: "abc"}},
		"TakenTwice":    {{Thing: "GG_A", Fingerprint: f}, {Thing: "GG_B", Fingerprint: "sha256:" + f}},
		"NoThing":       {{Thing: "a/b"}},
	} {
		if err := i.Load(devices); err == nil {
			t.Errorf("%s: Load took it", name)
		}
		wantThing(t, i, sw, "GG_Switch") // what was, stays
	}
	if err := i.Load(nil); err != nil {
		t.Fatal(err)
	}
	wantRefusal(t, i, sw, UnknownThing)
}

func TestParseFingerprint(t *testing.T) {
	want := strings.Repeat("0a", 32)
	for _, s := range []string{want, "sha256:" + want, strings.ToUpper(want), strings.TrimSuffix(strings.Repeat("0A:", 32), ":")} {
		if got, err := ParseFingerprint(s); got != want || err != nil {
			t.Errorf("ParseFingerprint(%q) = %q, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "sha256:", want[2:], want + "00", strings.Repeat("zz", 32)} {
		if got, err := ParseFingerprint(s); err == nil {
			t.Errorf("ParseFingerprint(%q) = %q", s, got)
		}
	}
}

// TestConcurrent is for the race detector: clients come while the record changes.
func TestConcurrent(t *testing.T) {
	a := newAuthority(t, at(today))
	devices := []Device{{Thing: "GG_Switch"}}
	newest := issue(t, a, "GG_Switch")
	i := identities(t, a, nil, devices...)
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for range 4 {
		cert := parse(t, newest.CertPEM)
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					_, _ = i.Identify([]*x509.Certificate{cert})
					i.Used("GG_Switch", cert)
				}
			}
		})
	}
	for range 20 {
		newest = issue(t, a, "GG_Switch")
		if err := i.Load(devices); err != nil {
			t.Error(err)
		}
		i.Used("GG_Switch", parse(t, newest.CertPEM))
	}
	close(stop)
	clients.Wait()
	wantThing(t, i, parse(t, newest.CertPEM), "GG_Switch")
	if left, err := a.Issued("GG_Switch"); err != nil || len(left) != 1 {
		t.Errorf("on record: %d, %v; want 1", len(left), err)
	}
}
