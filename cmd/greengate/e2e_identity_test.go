package main_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"
	"gopkg.in/yaml.v3"
)

// Who is let in, as what, and who is not: at the broker and at discovery.

// foreign makes a certificate that says it is name and is signed by itself.
func foreign(t *testing.T, name string) tls.Certificate {
	t.Helper()
	return foreignBetween(t, name, time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
}

// foreignBetween is foreign for a certificate that begins and ends then.
func foreignBetween(t *testing.T, name string, begin, end time.Time) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: name},
		NotBefore: begin, NotAfter: end,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestForeignCertificateIsRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t, "sensor")
	g := s.start()
	forged := foreign(t, "sensor")
	if code := s.refusal(forged, "sensor"); code != notAuthorized {
		t.Errorf("MQTT 5: CONNACK %#x, want %#x", code, notAuthorized)
	}
	if first, body := exchange(t, s.link(forged), rawConnect(4, "sensor")); first != 0x20 || len(body) != 2 || body[1] != 5 {
		t.Errorf("MQTT 3.1.1: %#x %v, want CONNACK 5", first, body)
	}
	if code, body := s.discover(forged, "sensor"); code != 401 {
		t.Errorf("discovery: %d %s, want 401", code, body)
	}
	s.connect("sensor") // the true one

	// By its fingerprint it may come in, as the thing that the file says.
	sum := sha256.Sum256(forged.Certificate[0])
	s.adopt("guest", "sha256:"+hex.EncodeToString(sum[:]))
	g.reload()
	if d, err := s.dial(forged, "guest"); err != nil {
		t.Errorf("a certificate whose fingerprint is in the file: %v", err)
	} else {
		d.leave()
	}
	if code := s.refusal(forged, "sensor"); code < 0x80 {
		t.Errorf("it is also let in as the sensor: %#x", code)
	}
	if code, body := s.discover(forged, "guest"); code != 200 {
		t.Errorf("discovery: %d %s, want 200", code, body)
	}
}

// adopt writes a device with a foreign certificate into the group file.
func (s *site) adopt(thing, fingerprint string) {
	s.t.Helper()
	text, err := os.ReadFile(s.file)
	if err != nil {
		s.t.Fatal(err)
	}
	var file struct{ Devices []map[string]any }
	if err := yaml.Unmarshal(text, &file); err != nil {
		s.t.Fatal(err)
	}
	s.set(append(file.Devices, map[string]any{"thing": thing, "certificate": fingerprint}), "devices")
}

func TestNoCertificateNoConnection(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.start()
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		config := s.tls(tls.Certificate{})
		config.Certificates, config.MinVersion, config.MaxVersion = nil, version, version
		conn, err := tls.Dial("tcp", s.broker, config)
		if err != nil {
			continue // TLS 1.2 tells at once
		}
		_ = conn.SetDeadline(time.Now().Add(patience))
		_, _ = conn.Write(rawConnect(4, "sensor"))
		if _, err := conn.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "certificate") {
			t.Errorf("%s: %v, want the alert that a certificate is missing", tls.VersionName(version), err)
		}
		_ = conn.Close()
	}
}

func TestClientIDMustBeTheThing(t *testing.T) {
	t.Parallel()
	s := newSite(t, "sensor", "display")
	s.start()
	sensor := s.identity("sensor")
	for _, id := range []string{"display", "Sensor", "sensor2", ""} {
		if code := s.refusal(sensor, id); code != 0x85 && code != notAuthorized {
			t.Errorf("MQTT 5, client id %q: CONNACK %#x, want 0x85 or 0x87", id, code)
		}
		if first, body := exchange(t, s.link(sensor), rawConnect(4, id)); first != 0x20 || len(body) != 2 || body[1] != 2 && body[1] != 5 {
			t.Errorf("MQTT 3.1.1, client id %q: %#x %v, want CONNACK 2 or 5", id, first, body)
		}
	}
}

func TestDeviceIsAddedWhileRunning(t *testing.T) {
	t.Parallel()
	s := newSite(t, "sensor")
	s.rows(row{From: "sensor", Topic: "room/#", To: "label:screen"})
	g := s.start()
	sensor := s.connect("sensor")
	s.add("display", "--label", "screen")
	display := s.connect("display")
	display.subscribe("#")
	sensor.publish("room/x", "for the new one")
	display.hears("room/x", "for the new one")
	if !g.connected("display") {
		t.Error("status does not show the new device connected")
	}
	if text, err := os.ReadFile(s.file); err != nil || !strings.Contains(string(text), "#") {
		t.Errorf("device add lost the comments of the file: %v\n%s", err, text)
	}
	s.fails(1, "device", "add", "display", "--out", t.TempDir())
	if list := s.greengate("device", "list"); !strings.Contains(list, "sensor") || !strings.Contains(list, "display") {
		t.Errorf("device list prints %q", list)
	}
}

func TestRemovedDeviceIsCutOffAtOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t, "sensor", "display", "bystander")
	s.rows(row{From: "sensor", Topic: "room/#", To: "display"})
	g := s.start()
	sensor, display := s.connect("sensor"), s.connect("display")
	display.subscribe("#")
	bystander := s.connect("bystander")

	if stderr := s.fails(1, "device", "remove", "sensor"); !strings.Contains(stderr, "room/#") {
		t.Errorf("device remove says %q, want the rows that name the thing", stderr)
	}
	sensor.publish("room/x", "still here")
	display.hears("room/x", "still here")

	old := s.identity("sensor")
	s.greengate("device", "remove", "sensor", "--rows")
	sensor.cutOff()
	if code := s.refusal(old, "sensor"); code != notAuthorized {
		t.Errorf("the removed device connects again: CONNACK %#x, want %#x", code, notAuthorized)
	}
	if code, body := s.discover(old, "sensor"); code != 401 {
		t.Errorf("the removed device at discovery: %d %s, want 401", code, body)
	}
	if code := bystander.publish("room/x", "x"); code != notAuthorized {
		t.Errorf("the bystander's connection: %#x", code)
	}

	// A new certificate for the same name does not bring the old one back.
	if err := os.RemoveAll(s.folder("sensor")); err != nil {
		t.Fatal(err)
	}
	s.add("sensor")
	if code := s.refusal(old, "sensor"); code != notAuthorized {
		t.Errorf("the old certificate after remove and add: CONNACK %#x, want %#x", code, notAuthorized)
	}
	s.connect("sensor")
	eventually(t, "status shows the sensor", func() bool { return g.connected("sensor") })
}

func TestRenewedCertificateReplacesTheOldOneOnceUsed(t *testing.T) {
	t.Parallel()
	s := newSite(t, "sensor")
	s.start()
	old := s.identity("sensor")
	fresh := filepath.Join(s.dir, "renewed")
	s.greengate("device", "renew", "sensor", "--out", fresh)
	if d, err := s.dial(old, "sensor"); err != nil {
		t.Fatalf("the old certificate before the new one was used: %v", err)
	} else {
		d.leave()
	}
	renewed, err := tls.LoadX509KeyPair(filepath.Join(fresh, "sensor.cert.pem"), filepath.Join(fresh, "sensor.private.key"))
	if err != nil {
		t.Fatal(err)
	}
	d, err := s.dial(renewed, "sensor")
	if err != nil {
		t.Fatalf("the renewed certificate: %v", err)
	}
	// Used is what has been accepted and works.
	if code := d.publish("x", "x"); code != notAuthorized {
		t.Errorf("the renewed connection: %#x", code)
	}
	if code := s.refusal(old, "sensor"); code != notAuthorized {
		t.Errorf("the old certificate after the new one was used: CONNACK %#x, want %#x", code, notAuthorized)
	}
	if code := d.publish("x", "x"); code != notAuthorized {
		t.Errorf("the old certificate touched the renewed connection: %#x", code)
	}
}

func TestTakeOver(t *testing.T) {
	t.Parallel()
	s := newSite(t, "sensor", "display")
	s.rows(row{From: "sensor", Topic: "room/#", To: "display"})
	g := s.start()
	sensor := s.connect("sensor")
	hour := uint32(3600)
	keep := func(c *paho.Connect) {
		c.CleanStart = false
		c.Properties = &paho.ConnectProperties{SessionExpiryInterval: &hour}
	}
	first := s.connect("display", keep)
	first.subscribe("room/#")
	sensor.publish("room/1", "for the first")
	first.hears("room/1", "for the first")
	for range 3 {
		second := s.connect("display", keep)
		if code := first.cutOff(); code != 0x8e {
			t.Errorf("the first connection ends with %#x, want 0x8E, session taken over", code)
		}
		if !second.connack.SessionPresent {
			t.Error("the second connection does not find the session")
		}
		sensor.publish("room/2", "for the second")
		second.hears("room/2", "for the second")
		first = second
	}
	if !g.connected("display") {
		t.Error("status shows the display as not connected after the take-over")
	}
}
