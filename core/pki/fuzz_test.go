package pki

import (
	"crypto/x509"
	"errors"
	"fmt"
	"testing"
)

// FuzzIdentify: no certificate that parses, however odd, is more than a refusal
// unless it is the one on record.
func FuzzIdentify(f *testing.F) {
	a := newAuthority(f, at(today))
	good := parse(f, issue(f, a, "GG_Switch").CertPEM)
	i := identities(f, a, nil, Device{Thing: "GG_Switch"})
	f.Add(good.Raw)
	f.Add(a.root.Raw)
	f.Add(foreign(f, "GG_Switch", today, today).Leaf.Raw)
	for n := 0; n < len(good.Raw); n += 7 { // one byte changed, all along
		odd := append([]byte(nil), good.Raw...)
		odd[n] ^= 0x15
		f.Add(odd)
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return
		}
		thing, err := i.Identify([]*x509.Certificate{cert})
		i.Used(thing, cert)
		var r *Refusal
		if string(der) == string(good.Raw) {
			if thing != "GG_Switch" {
				t.Errorf("the good one is %q, %v", thing, err)
			}
		} else if !errors.As(err, &r) || thing != "" {
			t.Errorf("a changed one is %q, %v", thing, err)
		}
	})
}

func manyDevices(b *testing.B, a *Authority) []Device {
	devices := make([]Device, 1000)
	for n := range devices {
		devices[n].Thing = fmt.Sprintf("thing-%d", n)
		issue(b, a, devices[n].Thing)
	}
	return devices
}

// BenchmarkLoad1000 is what 1,000 devices add to the start; to stay well under
// 100 ms.
func BenchmarkLoad1000(b *testing.B) {
	a := newAuthority(b, at(today))
	devices := manyDevices(b, a)
	i := identities(b, a, nil)
	for b.Loop() {
		if err := i.Load(devices); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkIdentify(b *testing.B) {
	a := newAuthority(b, at(today))
	certs := []*x509.Certificate{parse(b, issue(b, a, "GG_Switch").CertPEM)}
	i := identities(b, a, nil, Device{Thing: "GG_Switch"})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := i.Identify(certs); err != nil {
			b.Fatal(err)
		}
	}
}
