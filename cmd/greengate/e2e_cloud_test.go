package main_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"greengate/sync/cloud/cloudtest"
)

// Telemetry and commands between a site and the stand-in for AWS IoT Core.

// cloudSite is a site whose core is a thing of a cloud in a box.
type cloudSite struct {
	*site
	cloud *cloudtest.Cloud
}

// newCloudSite makes a cloud and a site that is connected to it. AWS's rates
// are off, so that the tests need no minutes.
func newCloudSite(t *testing.T, things ...string) *cloudSite {
	t.Helper()
	return newSite(t, things...).withCloud()
}

// quickCloudSite is newCloudSite with keys that are made at once.
func quickCloudSite(t *testing.T, things ...string) *cloudSite {
	t.Helper()
	return newSiteWith(t, []string{"--key", "p-256"}, things...).withCloud()
}

// withCloud makes the cloud for a site.
func (of *site) withCloud(options ...func(*cloudtest.Options)) *cloudSite {
	t := of.t
	t.Helper()
	o := cloudtest.Options{Limits: cloudtest.Limits{PublishRate: -1, ConnectRate: -1, Throughput: -1}}
	for _, option := range options {
		option(&o)
	}
	c := cloudtest.Start(t, o)
	s := &cloudSite{of, c}
	files, err := c.Files(filepath.Join(s.dir, "pki"), "e2e_Core")
	if err != nil {
		t.Fatal(err)
	}
	s.linkBy(files)
	return s
}

// linkBy has the gateway come to the cloud with these files.
func (s *cloudSite) linkBy(files cloudtest.Files) {
	s.t.Helper()
	s.set(map[string]any{
		"endpoint": s.cloud.Name(), "port": s.cloud.Port(), "certificate": files.Certificate, "key": files.Key, "ca": files.CA,
		"rate": map[string]any{"messages": 100000, "bytes": "100MiB"},
	}, "cloud")
}

// arrived waits until all numbers of the publishers are in the cloud, and
// checks that none is lost and none out of order.
func (s *cloudSite) arrived(sent map[string]int) cloudtest.Verdict {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*patience)
	defer cancel()
	err := s.cloud.Wait(ctx, func(c *cloudtest.Cloud) bool { return len(c.Count(sent).Lost) == 0 })
	v := s.cloud.Count(sent)
	if err != nil || !v.OK() {
		s.t.Fatalf("in the cloud: %v (%v)", v, err)
	}
	return v
}

// measure publishes the numbers from to to of a device.
func (d *device) measure(from, to int) {
	d.t.Helper()
	for i := from; i <= to; i++ {
		payload := cloudtest.Number{Publisher: d.thing, Seq: i}.Payload()
		if code := d.publish("sensors/"+d.thing+"/n", string(payload)); code >= 0x80 {
			d.t.Fatalf("number %d of %s: %#x", i, d.thing, code)
		}
	}
}

var toCloud = row{From: "device:*", Topic: "sensors/${from}/#", To: "cloud"}

// What was acknowledged reaches the cloud, in order, through a pulled plug, lost
// and withheld acknowledgements, and the death of the gateway in the middle.
func TestTelemetrySurvives(t *testing.T) {
	t.Parallel()
	s := newCloudSite(t, "thermo", "hygro")
	s.rows(toCloud)
	g := s.start()
	thermo, hygro := s.connect("thermo"), s.connect("hygro")
	thermo.measure(1, 50)
	hygro.measure(1, 50)
	s.arrived(map[string]int{"thermo": 50, "hygro": 50})
	eventually(t, "the spool is empty", func() bool { return g.status().Spool.Messages == 0 })

	s.cloud.Change(func(f *cloudtest.Faults) { f.PubackWithheld = true })
	thermo.measure(51, 80)
	s.cloud.Change(func(f *cloudtest.Faults) { f.PubackWithheld, f.PubackLost = false, 5 })
	hygro.measure(51, 80)
	s.cloud.Cut("e2e_Core", true)
	s.cloud.Change(func(f *cloudtest.Faults) { f.Refuse = true })
	thermo.measure(81, 150)
	hygro.measure(81, 150)
	if n := g.status().Spool.Messages; n < 140 {
		t.Errorf("%d messages wait, want 140 at least", n)
	}
	g.die()

	g = s.start()
	if st := g.status(); st.Cloud.Connected || st.Spool.Messages < 140 || st.Ledger.Waiting < 140 {
		t.Errorf("after the start: %+v", st)
	}
	thermo = s.connect("thermo")
	thermo.measure(151, 170)
	s.cloud.Heal()
	v := s.arrived(map[string]int{"thermo": 170, "hygro": 150})
	t.Log(v)
	eventually(t, "the spool is empty", func() bool {
		st := g.status()
		return st.Spool.Messages == 0 && st.Cloud.Connected && st.Ledger.Waiting == 0
	})
	if w := s.cloud.Violations(); len(w) > 0 {
		t.Errorf("the gateway broke limits of the cloud: %v", w)
	}
}

// A message that the cloud can never take stops nothing.
func TestQuarantine(t *testing.T) {
	t.Parallel()
	s := newCloudSite(t, "thermo")
	s.rows(toCloud)
	s.cloud.SetPolicy("e2e_Core", cloudtest.Policy{DenyPublish: []string{"sensors/thermo/secret"}})
	g := s.start()
	thermo := s.connect("thermo")
	thermo.publish("sensors/thermo/"+strings.Repeat("x/", 8)+"deep", "too deep")
	thermo.publish("sensors/thermo/secret", "not allowed")
	thermo.publish("sensors/thermo/large", strings.Repeat("x", 129<<10))
	thermo.measure(1, 20)
	s.arrived(map[string]int{"thermo": 20})
	eventually(t, "three are in quarantine", func() bool { return g.status().Spool.Quarantined == 3 })
	if f := g.status().Faults; !strings.Contains(fmt.Sprint(f), "quarantine") {
		t.Errorf("faults %v", f)
	}
}

// What the cloud sends goes through the gate.
func TestFromTheCloud(t *testing.T) {
	t.Parallel()
	s := newCloudSite(t, "pump", "other")
	s.rows(row{From: "cloud", Topic: "cmd/${to}/#", To: "device:*"})
	g := s.start()
	pump, other := s.connect("pump"), s.connect("other")
	pump.subscribe("#")
	other.subscribe("#")
	eventually(t, "the cloud is there", func() bool { return g.status().Cloud.Connected })
	many := &cloudtest.Properties{User: make([][2]string, 4000)} // small for the cloud, and not for us
	if err := s.cloud.PublishProperties("cmd/pump/many", nil, 1, false, many); err != nil {
		t.Fatal(err)
	}
	for _, topic := range []string{"cmd/pump/on", "cmd/nobody/on", "elsewhere"} {
		if err := s.cloud.Publish(topic, []byte("now"), 1, false); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.cloud.Publish("cmd/other/on", []byte("last"), 1, false); err != nil {
		t.Fatal(err)
	}
	pump.hears("cmd/pump/on", "now")
	other.hears("cmd/other/on", "last")
	s.says("status", `^refused +.*user-properties 1`)
	g.balanced()
}
