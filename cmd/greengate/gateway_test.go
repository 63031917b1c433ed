package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"greengate/core/admin/client"
)

const testGroup = `version: 1
group: home
core: c_Core
broker: {listen: ["127.0.0.1:0"]}
discovery: {listen: ["127.0.0.1:0"], announce: false}
admin: {listen: ""}
devices: []
subscriptions:
  - {from: switch, topic: light/on, to: lamp}
`

// house is a gateway that runs in this process, with its site in a folder.
type house struct {
	t       *testing.T
	dir     string
	gateway *gateway
	control *client.Client
}

// newHouse makes a site with the devices switch and lamp by the commands that a
// person would use, and runs its gateway until the test ends. What more says is
// appended to the group file, whose last lines are the rows.
func newHouse(t *testing.T, more ...string) *house {
	h := &house{t: t, dir: t.TempDir()}
	h.must("init", h.dir, "--core", "c_Core", "--key", "p-256")
	// The rows come after their devices: until then the file would be wrong.
	bare, _, _ := strings.Cut(testGroup, "subscriptions:")
	h.write(bare)
	h.must("device", "add", "switch", "--out", h.dir)
	h.must("device", "add", "lamp", "--out", h.dir)
	text, err := os.ReadFile(h.file())
	if err != nil {
		t.Fatal(err)
	}
	_, rows, _ := strings.Cut(testGroup, "devices: []\n")
	h.write(string(text) + rows + strings.Join(more, ""))
	h.run()
	return h
}

func (h *house) file() string { return filepath.Join(h.dir, groupFile) }

func (h *house) write(text string) {
	h.t.Helper()
	if err := os.WriteFile(h.file(), []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

// must runs a command that has to succeed.
func (h *house) must(args ...string) {
	h.t.Helper()
	var out bytes.Buffer
	a := &app{stdout: &out, stderr: &out}
	if code := a.main(h.t.Context(), append(args, "--config", h.file())); code != exitDone {
		h.t.Fatalf("greengate %s: exit code %d\n%s", strings.Join(args, " "), code, &out)
	}
}

func (h *house) run() {
	h.t.Helper()
	a := &app{config: h.file()}
	c, err := a.load()
	if err != nil {
		h.t.Fatal(err)
	}
	h.gateway, err = openGateway(h.t.Context(), c, slog.New(slog.DiscardHandler), new(slog.LevelVar))
	if err != nil {
		h.t.Fatal(err)
	}
	h.control = client.New(c.Socket())
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- h.gateway.Run(ctx) }()
	h.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			h.t.Errorf("the gateway ended with %v", err)
		}
		h.gateway.close()
	})
}

// until waits until the status is as wanted.
func (h *house) until(what string, ok func(*client.Status) bool) *client.Status {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	defer cancel()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	var last *client.Status
	for {
		if s, err := h.control.Status(ctx); err == nil {
			if last = s; ok(s) {
				return s
			}
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			h.t.Fatalf("%s did not come to pass; the status is %+v", what, last)
		}
	}
}

// thing is a device that speaks as much MQTT 3.1.1 as these tests need.
type thing struct {
	*tls.Conn
	t *testing.T
}

func (h *house) connect(name string) *thing {
	h.t.Helper()
	pair, err := tls.LoadX509KeyPair(filepath.Join(h.dir, name+".cert.pem"), filepath.Join(h.dir, name+".private.key"))
	if err != nil {
		h.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(h.gateway.authority.RootPEM())
	conn, err := tls.Dial("tcp", h.gateway.broker.Addrs()[0].String(), &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}})
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	d := &thing{conn, h.t}
	d.send(0x10, text("MQTT"), []byte{4, 2, 0, 60}, text(name))
	d.expect(0x20, []byte{0, 0})
	return d
}

// text is a string as MQTT writes it; all of these are short.
func text(s string) []byte { return append([]byte{0, byte(len(s))}, s...) }

func (d *thing) send(head byte, parts ...[]byte) {
	d.t.Helper()
	body := bytes.Join(parts, nil)
	if _, err := d.Write(append([]byte{head, byte(len(body))}, body...)); err != nil {
		d.t.Fatal(err)
	}
}

func (d *thing) expect(head byte, body []byte) {
	d.t.Helper()
	got := make([]byte, 2+len(body))
	if _, err := io.ReadFull(d, got); err != nil {
		d.t.Fatal(err)
	}
	if want := append([]byte{head, byte(len(body))}, body...); !bytes.Equal(got, want) {
		d.t.Fatalf("got % x, want % x", got, want)
	}
}

func TestMessagePassesTheGateAndIsCounted(t *testing.T) {
	h := newHouse(t)
	lamp, sw := h.connect("lamp"), h.connect("switch")
	lamp.send(0x82, []byte{0, 1}, text("light/#"), []byte{0})
	lamp.expect(0x90, []byte{0, 1, 0})

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var seen []client.Event
	err := h.control.Watch(ctx, "light/+", func() {
		sw.send(0x30, text("light/on"), []byte("yes"))
		sw.send(0x30, text("light/off"), []byte("no"))
		sw.send(0x30, text("door"), nil)
	}, func(e client.Event) {
		if seen = append(seen, e); len(seen) == 2 {
			cancel()
		}
	})
	if err != nil || len(seen) != 2 {
		t.Fatalf("watched %+v, %v", seen, err)
	}
	lamp.expect(0x30, append(text("light/on"), "yes"...))
	if e := seen[0]; e.Verdict != "delivered" || e.From != "switch" || e.To != "lamp" || e.Topic != "light/on" || e.Bytes != 3 {
		t.Errorf("watched %+v", e)
	}
	if e := seen[1]; e.Verdict != "refused" || e.From != "switch" || e.To != "" || e.Reason != "no-row" {
		t.Errorf("watched %+v", e)
	}
	s := h.until("the count of all messages", func(s *client.Status) bool { return s.Ledger.Accepted == 3 })
	if want := (client.Ledger{Accepted: 3, Delivered: 1, Refused: 2}); s.Ledger != want {
		t.Errorf("the ledger is %+v, want %+v", s.Ledger, want)
	}
	if len(s.Routes) != 1 || s.Routes[0].Delivered != 1 || !strings.Contains(s.Routes[0].Text, "light/on") || s.Routes[0].Line == 0 {
		t.Errorf("the routes are %+v", s.Routes)
	}
	if len(s.Refusals) != 1 || s.Refusals[0] != (client.Reason{Reason: "no-row", Count: 2}) {
		t.Errorf("the refusals are %+v", s.Refusals)
	}
	for _, d := range s.Devices {
		if !d.Connected || d.Since == nil || d.Protocol != "MQTT 3.1.1" || !strings.HasPrefix(d.Address, "127.0.0.1:") {
			t.Errorf("the device is %+v", d)
		}
	}
}

func TestRemovedDeviceIsCutAtOnce(t *testing.T) {
	h := newHouse(t)
	lamp, sw := h.connect("lamp"), h.connect("switch")
	h.must("device", "remove", "lamp", "--rows")
	_, err := lamp.Read(make([]byte, 1))
	if !errors.Is(err, io.EOF) && !strings.Contains(err.Error(), "reset") {
		t.Errorf("reading on the connection of a removed device gives %v, want its end", err)
	}
	sw.send(0xC0) // PINGREQ
	sw.expect(0xD0, nil)
	s := h.until("the table without the device", func(s *client.Status) bool { return s.Config.Generation == 2 })
	if len(s.Devices) != 1 || s.Devices[0].Thing != "switch" || s.Config.Rows != 0 {
		t.Errorf("the status is %+v", s)
	}
}

// A record that cannot be changed, say on a read-only file system, keeps nobody connected.
func TestRemovedDeviceIsCutWhateverBecomesOfItsRecord(t *testing.T) {
	h := newHouse(t)
	lamp := h.connect("lamp")
	record := filepath.Join(h.dir, "pki", "issued", "lamp")
	if err := errors.Join(os.RemoveAll(record), os.WriteFile(record, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	code, said, complaint := h.command("", "device", "remove", "lamp", "--rows")
	if code != exitFailed || !strings.Contains(complaint, "withdraw the certificates of lamp: ") || !strings.Contains(complaint, "not a directory (they open nothing any more") {
		t.Errorf("exit code %d, %s", code, complaint)
	}
	if !strings.Contains(said, "removed lamp, 0 certificates withdrawn\nremoved from line ") || !strings.Contains(said, "the running daemon has taken it up") {
		t.Errorf("it says %s", said)
	}
	if _, err := lamp.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("reading on the connection of the removed device gives %v, want its end", err)
	}
}

func TestReloadObeysAtOnce(t *testing.T) {
	h := newHouse(t)
	lamp, sw := h.connect("lamp"), h.connect("switch")
	lamp.send(0x82, []byte{0, 1}, text("#"), []byte{0})
	lamp.expect(0x90, []byte{0, 1, 0})
	file, err := os.ReadFile(h.file())
	if err != nil {
		t.Fatal(err)
	}
	h.write(strings.Replace(string(file), "light/on", "light/off", 1))
	if r, err := h.control.Reload(t.Context()); err != nil || r.Generation != 2 {
		t.Fatalf("got %+v, %v", r, err)
	}
	sw.send(0x30, text("light/on"))
	sw.send(0x30, text("light/off"))
	lamp.expect(0x30, text("light/off"))

	h.write("version: 1\ngruop: home\n")
	var refusal *client.Refusal
	if _, err := h.control.Reload(t.Context()); !errors.As(err, &refusal) || !strings.Contains(refusal.Message, "group.yaml:2:1") {
		t.Errorf("a broken file gave %v, want its faults", err)
	}
	sw.send(0x30, text("light/off"))
	lamp.expect(0x30, text("light/off"))
}

// A reload that fails changes nothing, whoever it was that could not take the file up: here
// a function, after the record of certificates.
func TestFailedReloadChangesNobodysRights(t *testing.T) {
	h := newHouse(t)
	before := h.gateway.identities.Admitted()
	file, err := os.ReadFile(h.file())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(h.dir, "data", "functions", "logs", "f.log"), 0o700); err != nil { // where its log should be
		t.Fatal(err)
	}
	text := strings.Replace(string(file), "  - thing: lamp\n", "", 1)
	h.write(strings.Replace(text, "to: lamp", "to: switch", 1) + "functions:\n  - {name: f, command: [/bin/true]}\n")
	if r, err := h.control.Reload(t.Context()); err == nil {
		t.Fatalf("the file was taken up: %+v", r)
	}
	if now := h.gateway.identities.Admitted(); len(now) != len(before) {
		t.Errorf("admitted are %v, before the reload %v", now, before)
	}
	if g := h.gateway.current().generation; g != 1 {
		t.Errorf("generation %d is in force", g)
	}
}

func TestConcurrentAddsLoseNothing(t *testing.T) {
	h := newHouse(t)
	var all sync.WaitGroup
	for i := range 8 {
		name := fmt.Sprintf("sensor%d", i)
		all.Go(func() {
			var out bytes.Buffer
			a := &app{stdout: &out, stderr: &out}
			if code := a.main(t.Context(), []string{"device", "add", name, "--config", h.file(), "--out", h.dir}); code != exitDone {
				t.Errorf("add %s: exit code %d\n%s", name, code, &out)
			}
		})
	}
	all.Wait()
	s := h.until("the table with all devices", func(s *client.Status) bool { return s.Config.Generation == 9 })
	if len(s.Devices) != 10 {
		t.Errorf("%d devices are known, want 10: %+v", len(s.Devices), s.Devices)
	}
	h.connect("sensor7")
}

// Wherever it fails, a device is not half there.
func TestAddThatCannotWriteTheFileChangesNothing(t *testing.T) {
	h := newHouse(t)
	a := &app{stdout: io.Discard, stderr: io.Discard, config: h.file()}
	s, release, err := a.openSite(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	// A folder that is not there stands for a disk that is full.
	if _, err := s.admit(filepath.Join(h.dir, "gone", groupFile), "fan", filepath.Join(h.dir, "keys"), nil); err == nil {
		t.Fatal("the device was added")
	}
	if _, err := os.Stat(filepath.Join(h.dir, "keys")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder of the credential was left behind (%v)", err)
	}
	if issued, err := s.authority.Issued("fan"); err != nil || len(issued) != 0 {
		t.Errorf("on record: %v, %v", issued, err)
	}
}
