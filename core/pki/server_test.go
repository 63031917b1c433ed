package pki

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// fakeHost is a machine with this name and these addresses (CIDR).
func fakeHost(name string, cidrs ...string) host {
	return host{
		name:      func() (string, error) { return name, nil },
		addresses: func() ([]net.Addr, error) { return parseAddrs(cidrs), nil },
	}
}

func parseAddrs(cidrs []string) []net.Addr {
	var addrs []net.Addr
	for _, cidr := range cidrs {
		ip, network, err := net.ParseCIDR(cidr)
		if err != nil {
			panic(err)
		}
		addrs = append(addrs, &net.IPNet{IP: ip, Mask: network.Mask})
	}
	return addrs
}

// wire is a machine whose addresses change.
type wire struct {
	mu    sync.Mutex
	cidrs []string
}

func (w *wire) plug(cidrs ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cidrs = cidrs
}

func (w *wire) host() host {
	return host{
		name: func() (string, error) { return "pi", nil },
		addresses: func() ([]net.Addr, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			return parseAddrs(w.cidrs), nil
		},
	}
}

func newServer(t testing.TB, a *Authority, h host, log *journal, names ...string) *ServerCertificate {
	t.Helper()
	if log == nil {
		log = &journal{}
	}
	s, err := a.serverCertificate(names, log.logger(), h)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *ServerCertificate) serial() string { return s.current.Load().Leaf.SerialNumber.String() }

func TestServerCertificateNames(t *testing.T) {
	a, log := newAuthority(t, at(today)), &journal{}
	s := newServer(t, a, fakeHost("Pi.lan.home", "192.168.1.7/24", "fe80::1/64", "2001:db8::7/64"), log,
		"Gateway.example.", "my_host", "10.9.8.7", "::ffff:10.9.8.7", "[2001:db8::9]", "fe80::1%eth0", "bad name", "", "-x", "a..b", "ä", "*.x", strings.Repeat("a", 64))
	want := []string{
		"gateway.example", "my_host", "pi.lan.home", "pi", "pi.local", "localhost",
		"10.9.8.7", "2001:db8::9", "fe80::1", "127.0.0.1", "::1", "192.168.1.7", "2001:db8::7",
	}
	if got := s.Covers(); !slices.Equal(got, want) {
		t.Errorf("Covers = %v\nwant %v", got, want)
	}
	if log.count("bad name") != 1 {
		t.Errorf("the illegal names were not told:\n%s", log.text.String())
	}
	leaf := s.current.Load().Leaf
	for _, name := range []string{"pi.local", "192.168.1.7", "::1"} {
		if err := leaf.VerifyHostname(name); err != nil {
			t.Error(err)
		}
	}
}

func TestServerCertificateIsTakenUp(t *testing.T) {
	a := newAuthority(t, at(today))
	h := fakeHost("pi", "192.168.1.7/24")
	first := newServer(t, a, h, nil, "gateway")
	for _, clock := range []Clock{at(today), at(time.Unix(9, 0)), at(today.AddDate(2, 0, 0))} {
		if again := newServer(t, reopen(t, a, clock), h, nil, "gateway"); again.serial() != first.serial() {
			t.Error("made anew although it was good")
		}
	}
	if less := newServer(t, a, h, nil); less.serial() != first.serial() {
		t.Error("made anew although it has all names and one more")
	}
	if more := newServer(t, a, h, nil, "gateway", "other"); more.serial() == first.serial() {
		t.Error("taken up although a name is missing")
	}

	path := filepath.Join(a.dir, "server.pem")
	stranger := newServer(t, newAuthority(t, at(today)), h, nil, "gateway")
	leaf := *first.current.Load().Leaf
	otherKey, err := a.sign(&leaf, stranger.authority.serverKey.Public(), leaf.NotAfter)
	if err != nil {
		t.Fatal(err)
	}
	otherCA, err := stranger.authority.sign(&leaf, a.serverKey.Public(), leaf.NotAfter)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{
		"Damaged": []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), "Empty": nil,
		"OtherKey": encodeCertificate(otherKey), "OtherCA": encodeCertificate(otherCA),
	} {
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
		log := &journal{}
		s := newServer(t, a, h, log, "gateway")
		if err := s.current.Load().Leaf.CheckSignatureFrom(a.root); err != nil || !sameKey(a.serverKey, s.current.Load().Leaf.PublicKey) {
			t.Errorf("%s: %v", name, err)
		}
		if log.count("level=WARN") != 1 {
			t.Errorf("%s: log:\n%s", name, log.text.String())
		}
	}
}

// TestServerCertificateEnd: whatever the clocks of the gateway did, the
// certificate is good for a device whose clock is right, and not made anew for
// ever.
func TestServerCertificateEnd(t *testing.T) {
	h, w := &hands{now: time.Unix(5, 0)}, &wire{} // the first start: no time yet
	a := newAuthority(t, h.clock())
	s := newServer(t, a, w.host(), nil)
	if from := s.current.Load().Leaf.NotBefore; from.Unix() != 0 {
		t.Errorf("begins %s", from)
	}
	if s.Expires().Before(time.Date(2036, 1, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("made in 1970 it ends %s", s.Expires())
	}
	step := func(now time.Time, changes bool) {
		t.Helper()
		before, end := s.serial(), s.Expires()
		h.set(now)
		if err := s.refresh(); err != nil {
			t.Fatal(err)
		}
		if (s.serial() != before) != changes {
			t.Errorf("at %s made anew: %v; want %v", now, !changes, changes)
		}
		if s.Expires().Before(end) {
			t.Errorf("at %s the end went back from %s to %s", now, end, s.Expires())
		}
	}
	step(today, false)
	step(today.AddDate(5, 0, 0), false)
	step(today.AddDate(7, 0, 0), true) // past two thirds
	step(today.AddDate(7, 0, 1), false)
	step(today.AddDate(500, 0, 0), true)
	step(today, false)
	w.plug("192.168.7.7/24")
	step(today, true)
	step(forever, true)
	step(forever, false)
	if !s.Expires().Equal(forever) {
		t.Errorf("ends %s", s.Expires())
	}
}

// TestFlapping: addresses that come and go are remembered, up to a bound.
func TestFlapping(t *testing.T) {
	w := &wire{}
	s := newServer(t, newAuthority(t, at(today)), w.host(), nil)
	refresh := func(cidrs ...string) (changed bool) {
		t.Helper()
		before := s.serial()
		w.plug(cidrs...)
		if err := s.refresh(); err != nil {
			t.Fatal(err)
		}
		return s.serial() != before
	}
	if !refresh("10.0.0.1/8") || !refresh("10.0.0.2/8") {
		t.Error("a new address changed nothing")
	}
	if refresh("10.0.0.1/8") || refresh() || refresh("10.0.0.2/8") {
		t.Error("a known address made a new certificate")
	}
	for n := range 100 {
		refresh("10.0.0.1/8", fmt.Sprintf("10.0.1.%d/8", n))
	}
	ips := namesOf(s.current.Load().Leaf).ips
	if len(ips) != roomForOld {
		t.Errorf("%d addresses; want %d", len(ips), roomForOld)
	}
	if refresh("10.0.1.99/8", "10.0.1.98/8") {
		t.Error("the youngest were forgotten")
	}
	if !refresh("10.0.0.2/8") {
		t.Error("the oldest is still there")
	}
	var many []string
	for n := range 500 {
		many = append(many, fmt.Sprintf("10.1.%d.%d/8", n/250, n%250))
	}
	refresh(many...)
	if len(namesOf(s.current.Load().Leaf).ips) != mostAddresses || len(s.Faults()) != 1 || refresh(many...) {
		t.Errorf("%d addresses, faults %q", len(namesOf(s.current.Load().Leaf).ips), s.Faults())
	}
}

func TestServerFaults(t *testing.T) {
	a, log := newAuthority(t, at(today)), &journal{}
	path := filepath.Join(a.dir, "server.pem")
	if err := os.MkdirAll(filepath.Join(path, "in the way"), 0o755); err != nil {
		t.Fatal(err)
	}
	broken := fakeHost("")
	broken.addresses = func() ([]net.Addr, error) { return nil, errors.New("netlink is forbidden") }
	s := newServer(t, a, broken, log)
	if got := s.Covers(); !slices.Contains(got, "127.0.0.1") || !slices.Contains(got, "localhost") {
		t.Errorf("Covers = %v", got)
	}
	if f := s.Faults(); len(f) != 1 || !strings.Contains(f[0], "not on disk") {
		t.Errorf("Faults = %q", f)
	}
	for range 3 {
		if err := s.refresh(); err != nil {
			t.Fatal(err)
		}
	}
	if log.count("level=ERROR") != 1 {
		t.Errorf("log:\n%s", log.text.String())
	}
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
	if err := s.refresh(); err != nil {
		t.Fatal(err)
	}
	if f := s.Faults(); len(f) != 1 || !strings.Contains(f[0], "netlink is forbidden") {
		t.Errorf("Faults = %q", f)
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

// TestRun: within the promised time after an address appeared it is covered, and
// the mark is kept; the end of the context ends it.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		a := newAuthority(t, Clock{Now: func() time.Time { return today.Add(time.Since(start)) }})
		w := &wire{}
		s := newServer(t, a, w.host(), nil)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()

		w.plug("192.168.7.7/24")
		time.Sleep(watchEvery + time.Second) // virtual time
		synctest.Wait()
		if !slices.Contains(s.Covers(), "192.168.7.7") {
			t.Errorf("Covers = %v", s.Covers())
		}
		time.Sleep(90 * time.Minute)
		synctest.Wait()
		if text, err := os.ReadFile(filepath.Join(a.dir, "clock")); err != nil || !strings.HasPrefix(string(text), "2026-11-25T13:00") {
			t.Errorf("mark %q, %v", text, err)
		}
		if err := s.SetNames([]string{"new.example"}); err != nil || !slices.Contains(s.Covers(), "new.example") {
			t.Errorf("SetNames: %v, Covers = %v", err, s.Covers())
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v", err)
		}
	})
}
