package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"greengate/core/admin/client"
)

// endsSoon makes a certificate that ends in five days, and its key, as NAME.cert.pem and
// NAME.private.key, and returns its fingerprint.
func (h *house) endsSoon(name string) string {
	h.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		h.t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(0, 0, 5).Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		h.t.Fatal(err)
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		h.t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{
		name + ".cert.pem": {Type: "CERTIFICATE", Bytes: der}, name + ".private.key": {Type: "EC PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(filepath.Join(h.dir, file), pem.EncodeToMemory(block), 0o600); err != nil {
			h.t.Fatal(err)
		}
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// newForeignHouse is a gateway with a page and a cloud that it does not reach. The
// certificates of the core and of the device `foreign` end in five days.
func newForeignHouse(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, dir: t.TempDir()}
	h.must("init", h.dir, "--core", "c_Core", "--key", "p-256")
	h.endsSoon("core")
	head, _, _ := strings.Cut(testGroup, "devices:")
	h.write(strings.Replace(head, `listen: ""`, `listen: "127.0.0.1:0"`, 1) + `devices:
  - {thing: foreign, certificate: "sha256:` + h.endsSoon("foreign") + `"}
cloud:
  endpoint: example.invalid
  certificate: core.cert.pem
  key: core.private.key
  ca: pki/root-ca.pem
`)
	h.run()
	return h
}

// about are the faults that say what.
func about(s *client.Status, what string) (list []client.Fault) {
	for _, f := range s.Faults {
		if strings.Contains(f.Message, what) {
			list = append(list, f)
		}
	}
	return list
}

// The end of the core's certificate is one fault; that of a foreign device is known as soon
// as the device has come; /readyz tells of what the status tells; and each says what to do.
func TestFaultsOfASite(t *testing.T) {
	h := newForeignHouse(t)
	s := h.until("the cloud is tried", func(s *client.Status) bool { return len(about(s, "not connected to the cloud")) == 1 })
	if ends := about(s, "certificate"); len(ends) != 1 || !strings.HasPrefix(ends[0].Message, "the certificate of the core for the cloud ends on") {
		t.Errorf("the ends of certificates are %+v", ends)
	}
	h.connect("foreign")
	s = h.until("the end of a foreign certificate is told", func(s *client.Status) bool {
		return len(about(s, "the certificate of foreign ends on")) == 1
	})
	for _, f := range s.Faults {
		if f.NextStep == "" {
			t.Errorf("nobody knows what to do about %+v", f)
		}
	}
	told := 0
	for _, f := range h.diagnose() {
		if strings.Contains(f.Message, "the certificate of the core for the cloud ends on") {
			told++
		}
	}
	if told != 1 {
		t.Errorf("doctor tells %d times of the end of the core's certificate", told)
	}
	answer, err := http.Get("http://" + h.gateway.page.Addr().String() + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK || !strings.Contains(string(text), `"name":"faults","ok":false`) {
		t.Errorf("/readyz says %s %s, %v", answer.Status, text, err)
	}
}

// diagnose runs doctor, and returns the things that are wrong. Each has a next step.
func (h *house) diagnose() (wrongs []finding) {
	h.t.Helper()
	_, said, complaint := h.command("", "doctor", "--json")
	var d diagnosis
	if err := json.Unmarshal([]byte(said), &d); err != nil {
		h.t.Fatalf("%v: %s%s", err, said, complaint)
	}
	for _, f := range d.Findings {
		if f.State == wrong {
			wrongs = append(wrongs, f)
			if f.Next == "" {
				h.t.Errorf("nobody knows what to do about %+v", f)
			}
		}
	}
	return wrongs
}

// What is gone of the keys and certificates is told once, with what brings it back.
func TestDoctorOfLostFiles(t *testing.T) {
	h := newHouse(t)
	if found := h.diagnose(); len(found) > 0 {
		t.Fatalf("all is well, and it says %+v", found)
	}
	spoil := func(name string, do func(path string) error) {
		t.Helper()
		if err := do(filepath.Join(h.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	says := func(message, next string) {
		t.Helper()
		found := h.diagnose()
		if len(found) != 1 || !strings.Contains(found[0].Message, message) || !strings.Contains(found[0].Next, next) {
			t.Errorf("got %+v, want %s, next %s", found, message, next)
		}
	}
	spoil("pki/issued", os.RemoveAll)
	says("no device can connect: none of 2 has a certificate on record", "greengate restore")
	h.must("device", "renew", "lamp", "--out", t.TempDir())
	if found := h.diagnose(); len(found) > 0 {
		t.Errorf("with one device that can connect: %+v", found)
	}
	spoil("pki/root-ca.key", os.Remove)
	says("root-ca.key is missing", "greengate restore")
	spoil("pki/root-ca.pem", func(path string) error { return os.WriteFile(path, []byte("garbage"), 0o644) })
	found := h.diagnose() // and the ports, whose certificate nobody can judge any more
	if len(found) != 3 || !strings.Contains(found[2].Message, "root-ca.pem: no PEM certificate in it") {
		t.Errorf("without the certificate of the CA: %+v", found)
	}
}

// A daemon that does not run: what its next start would meet.
func TestDoctorBeforeTheStart(t *testing.T) {
	h := newHouse(t)
	taken := h.gateway.broker.Addrs()[0].String()
	other := &house{t: t, dir: t.TempDir()}
	other.must("init", other.dir, "--core", "c_Core", "--key", "p-256")
	head, _, _ := strings.Cut(testGroup, "devices:")
	head = strings.Replace(head, `admin: {listen: ""}`, `admin: {listen: "`+taken+`"}`, 1)
	other.write(head + `cloud: {endpoint: example.invalid, certificate: core.cert.pem, key: core.private.key, ca: pki/root-ca.pem}` + "\n")
	var found []string
	for _, f := range other.diagnose() {
		found = append(found, f.Message+" | "+f.Next)
	}
	text := strings.Join(found, "\n")
	for _, want := range []string{
		taken + " is in use by another program | `ss -ltnp` tells who has it: stop that, or write another address in admin.listen",
		"the certificate of the core for the cloud: open " + filepath.Join(other.dir, "core.cert.pem") + ": no such file or directory | get certificate and key of the core together from AWS IoT",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not say %s, but\n%s", want, text)
		}
	}
	code, _, complaint := other.command("", "run")
	if code != exitFailed || !strings.Contains(complaint, other.file()+":6:17: admin.listen: ") || !strings.Contains(complaint, "(`ss -ltnp` tells who has it") {
		t.Errorf("run: exit code %d, %s", code, complaint)
	}

	data := filepath.Join(other.dir, "data")
	if err := os.RemoveAll(data); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(data, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	found = nil
	for _, f := range other.diagnose() {
		found = append(found, f.Message)
	}
	if text := strings.Join(found, "\n"); !strings.Contains(text, data+" is no folder") {
		t.Errorf("a file in place of the data: %s", text)
	}
}

// Doctor looks at a listener's certificate and goes: nobody is turned away for it.
func TestALookAtACertificateIsNoRefusal(t *testing.T) {
	h := newHouse(t)
	addr := h.gateway.broker.Addrs()[0].String()
	roots := x509.NewCertPool()
	if err := showCertificate(t.Context(), addr, roots); err == nil {
		t.Error("a certificate of a CA that is not known is taken") // and told, with an alert
	}
	h.until("that is counted", func(s *client.Status) bool { return len(s.Refusals) == 1 && s.Refusals[0].Count == 1 })
	roots.AppendCertsFromPEM(h.gateway.authority.RootPEM())
	for range 20 { // the first ones are long over when the last one is
		if err := showCertificate(t.Context(), addr, roots); err != nil {
			t.Error(err)
		}
	}
	if s := h.until("the daemon answers", func(*client.Status) bool { return true }); len(s.Refusals) != 1 || s.Refusals[0].Count != 1 {
		t.Errorf("the refusals are %+v", s.Refusals)
	}
}
