package main_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"greengate/sync/cloud/cloudtest"
)

// Certificates that have ended, have not begun, and are replaced while messages pass.

const day = 24 * time.Hour

// streaming is a device that publishes number after number.
type streaming struct {
	end  context.CancelFunc
	last chan int
	news chan struct{}
}

// streams has a device publish numbers behind last.
func (d *device) streams(last int) *streaming {
	ctx, end := context.WithCancel(d.t.Context())
	st := &streaming{end: end, last: make(chan int, 1), news: make(chan struct{}, 1)}
	go func() { st.last <- d.stream(ctx, last, st.news) }()
	return st
}

// flows waits for three acknowledgements more.
func (st *streaming) flows(t *testing.T, when string) {
	t.Helper()
	for range 3 {
		await(t, "a message passes "+when, st.news)
	}
}

// stop ends it, and returns the last number that was acknowledged.
func (st *streaming) stop() int {
	st.end()
	return <-st.last
}

// heardAll waits until all numbers of a device up to last have come, each behind the one
// before; one may come again.
func (d *device) heardAll(thing string, last int) {
	d.t.Helper()
	for next := 1; next <= last; {
		p := d.next()
		n, ok := cloudtest.NumberOf(p.Payload)
		switch {
		case !ok || n.Publisher != thing || n.Seq > next:
			d.t.Fatalf("%s heard %s, want number %d of %s", d.thing, p.Payload, next, thing)
		case n.Seq == next:
			next++
		}
	}
}

// The certificates of devices and of the gateway: a foreign one counts while it is in
// force, if the clock can be believed; and those that the gateway issues are replaced
// while messages pass.
func TestFaultDeviceCertificates(t *testing.T) {
	t.Parallel()
	s := newSiteWith(t, []string{"--key", "p-256"}, "sensor", "display")
	now := time.Now()
	ended := foreignBetween(t, "anybody", now.Add(-2*day), now.Add(-day))
	coming := foreignBetween(t, "anybody", now.Add(day), now.Add(2*day))
	for thing, cert := range map[string]tls.Certificate{"ended": ended, "coming": coming} {
		s.adopt(thing, fmt.Sprintf("sha256:%x", sha256.Sum256(cert.Certificate[0])))
	}
	s.rows(row{From: "sensor", Topic: "sensors/#", To: "display"})
	g, clock := s.startAt(0)
	display, sensor := s.connect("display"), s.connect("sensor")
	display.subscribe("sensors/#")
	stream := sensor.streams(0)

	refused := func() {
		t.Helper()
		for thing, cert := range map[string]tls.Certificate{"ended": ended, "coming": coming} {
			if code := s.refusal(cert, thing); code != notAuthorized {
				t.Errorf("%s: CONNACK %#x, want %#x", thing, code, notAuthorized)
			}
			if code, body := s.discover(cert, thing); code != 401 {
				t.Errorf("%s: discovery answers %d %s, want 401", thing, code, body)
			}
		}
	}
	refused()
	for _, reason := range []string{"expired", "not-yet-valid"} {
		(&siege{gateway: g}).counted(reason, 1)
	}
	for when, off := range map[string]time.Duration{"20 years ahead": 20 * 365 * day, "1970": -time.Duration(now.Unix()) * time.Second} {
		clock.set(off)
		for thing, cert := range map[string]tls.Certificate{"ended": ended, "coming": coming} {
			if _, err := s.dial(cert, thing); err != nil {
				t.Errorf("at %s its fingerprint lets %s in, not %v", when, thing, err)
			}
		}
		if f := fmt.Sprint(g.faultsOf("pki")); !strings.Contains(f, "by fingerprint alone") {
			t.Errorf("at %s the faults are %s", when, f)
		}
	}
	clock.set(0)
	refused()
	stream.flows(t, "with the clock right again")

	// The gateway's own gets another name: who is connected stays, who comes sees it.
	s.set([]string{"127.0.0.1", "gateway.example"}, "discovery", "hosts")
	g.reload()
	eventually(t, "the certificate has the new name", func() bool {
		names := s.link(s.identity("sensor")).ConnectionState().PeerCertificates[0].DNSNames
		return slices.Contains(names, "gateway.example")
	})
	stream.flows(t, "after the server's certificate was replaced")
	select {
	case last := <-stream.last:
		t.Fatalf("the sensor was cut off at number %d", last)
	default:
	}

	// A device's is renewed, and it goes on where it was.
	fresh := filepath.Join(s.dir, "renewed")
	s.greengate("device", "renew", "sensor", "--out", fresh)
	stream.flows(t, "by the old certificate, while there is a new one")
	renewed, err := tls.LoadX509KeyPair(filepath.Join(fresh, "sensor.cert.pem"), filepath.Join(fresh, "sensor.private.key"))
	if err != nil {
		t.Fatal(err)
	}
	old := s.identity("sensor")
	sensor, err = s.dial(renewed, "sensor")
	if err != nil {
		t.Fatalf("the renewed certificate: %v", err)
	}
	stream = sensor.streams(<-stream.last)
	stream.flows(t, "by the renewed certificate")
	if code := s.refusal(old, "sensor"); code != notAuthorized {
		t.Errorf("the old certificate: CONNACK %#x, want %#x", code, notAuthorized)
	}
	stream.flows(t, "after the old certificate was refused")
	display.heardAll("sensor", stream.stop())
}

// coreCertificate puts another certificate of the core in its place.
func (s *cloudSite) coreCertificate(begin, end time.Time) {
	s.t.Helper()
	cert, key, err := s.cloud.IssueBetween("e2e_Core", begin, end)
	if err != nil {
		s.t.Fatal(err)
	}
	files := cloudtest.FilesIn(filepath.Join(s.dir, "pki"), "e2e_Core")
	for name, text := range map[string][]byte{files.Certificate: cert, files.Key: key} {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
}

// away waits until the link is away for a reason that the faults tell.
func (g *gateway) away(reason string) {
	g.t.Helper()
	var f []fault
	eventually(g.t, "a fault of the cloud tells of "+reason, func() bool {
		f = g.faultsOf("cloud")
		return !g.status().Cloud.Connected && strings.Contains(fmt.Sprint(f), reason)
	}, &f)
}

// The certificates of the link to the cloud, the core's and the cloud's own: while one is
// not in force all waits and the status says which and why; a better one is taken up
// without a restart, under traffic, and nothing is lost.
func TestFaultCloudCertificates(t *testing.T) {
	t.Parallel()
	s := quickCloudSite(t, "thermo")
	s.rows(toCloud)
	now := time.Now()
	s.coreCertificate(now.Add(-2*day), now.Add(-day))
	g := s.start()
	thermo := s.connect("thermo")
	stream := thermo.streams(0)
	g.away("certificate")
	if f := fmt.Sprint(g.status().Faults); !strings.Contains(f, "the certificate of the core for the cloud ended on "+now.Add(-day).UTC().Format(time.DateOnly)) {
		t.Errorf("the faults do not tell that it has ended: %s", f)
	}
	s.coreCertificate(now.Add(day), now.Add(2*day))
	g.reload()
	g.away("certificate")
	if f := fmt.Sprint(g.status().Faults); !strings.Contains(f, "the certificate of the core for the cloud ends on "+now.Add(2*day).UTC().Format(time.DateOnly)) {
		t.Errorf("the faults do not tell of the new one: %s", f)
	}
	s.coreCertificate(now.Add(-day), now.Add(365*day))
	g.reload()
	eventually(t, "the link is back", func() bool { return g.status().Cloud.Connected })

	// Another one, while messages pass: the connection stays, the next one uses it.
	stream.flows(t, "to the cloud")
	s.coreCertificate(now.Add(-day), now.Add(400*day))
	stream.flows(t, "after the core's certificate was replaced")
	s.cloud.Cut("e2e_Core", true)
	stream.flows(t, "after a cut")
	eventually(t, "the link is back with the new certificate", func() bool { return g.status().Cloud.Connected })

	for _, c := range []struct {
		begin, end time.Time
		why        string
	}{
		{now.Add(-2 * day), now.Add(-day), "expired"}, {now.Add(day), now.Add(2 * day), "not yet valid"},
	} {
		if err := s.cloud.Renew(c.begin, c.end); err != nil {
			t.Fatal(err)
		}
		s.cloud.Cut("e2e_Core", true)
		g.reload()
		g.away(c.why)
		stream.flows(t, "while the cloud's certificate is "+c.why)
	}
	if err := s.cloud.Renew(now.Add(-day), now.Add(365*day)); err != nil {
		t.Fatal(err)
	}
	g.reload()
	last := stream.stop() + 1
	thermo.measure(last, last) // which was on its way, maybe
	s.arrived(map[string]int{"thermo": last})
	eventually(t, "no fault is left", func() bool { return len(g.faultsOf("cloud")) == 0 })
}
