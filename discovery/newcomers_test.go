package discovery

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// lockedBuffer is a log that may be read while it is written.
type lockedBuffer struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.String()
}

// silent opens a TCP connection from an address of this machine and says nothing.
func (s *site) silent(from string) net.Conn {
	s.t.Helper()
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	conn, err := dialer.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	return conn
}

// ask opens a connection, asks once, and keeps it.
func (s *site) ask() (closes bool) {
	s.t.Helper()
	conn := s.dial(s.client("other"))
	if _, err := io.WriteString(conn, discoverOther); err != nil {
		s.t.Fatal(err)
	}
	r, _ := next(s.t, bufio.NewReader(conn))
	if r.StatusCode != 200 {
		s.t.Errorf("status %d", r.StatusCode)
	}
	return r.Close
}

// ended waits until the server has closed a connection, by FIN or reset.
func ended(t *testing.T, conn net.Conn) {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(time.Minute))
	var timeout net.Error
	if _, err := conn.Read(make([]byte, 1)); err == nil || errors.As(err, &timeout) && timeout.Timeout() {
		t.Fatalf("the connection is not closed: %v", err)
	}
}

// An address whose connections are silent has few places, and whoever asks from
// another is answered at once.
func TestSilentConnectionsOfOneAddress(t *testing.T) {
	var log lockedBuffer
	const most, more = 3, 100
	s := newSite(t, func(o *Options, l *limits) {
		l.conns, l.newcomers, l.handshake, l.header = 8, most, time.Hour, time.Hour
		o.Log = slog.New(slog.NewTextHandler(&log, nil))
	})
	var kept []net.Conn
	for range most {
		kept = append(kept, s.silent("127.0.0.2"))
	}
	for range more {
		ended(t, s.silent("127.0.0.2"))
	}
	if s.ask() {
		t.Error("the connection of another address was not kept for its next request")
	}
	if n := s.Stats().Refused["too-many-connects"]; n != more {
		t.Errorf("counted %d refusals, want %d", n, more)
	}
	if text := log.String(); strings.Count(text, "reason=too-many-connects") != 1 || !strings.Contains(text, "remote=127.0.0.2:") {
		t.Errorf("the refusals are to be told once:\n%s", text)
	}
	// A place that is given back can be had again.
	kept[0].Close()
	until(t, "there is a place again", func() bool {
		s.newcomers.mu.Lock()
		defer s.newcomers.mu.Unlock()
		return len(s.newcomers.of["127.0.0.2"]) < most
	})
	conn := tls.Client(s.silent("127.0.0.2"), s.client("other"))
	conn.SetDeadline(time.Now().Add(time.Minute))
	if err := conn.Handshake(); err != nil {
		t.Error(err)
	}
}

// Silence from many addresses keeps nobody out: who has had his time makes room, the
// oldest of the address that has the most first, and no more than are needed.
func TestSilentConnectionsOfManyAddresses(t *testing.T) {
	const places = 8
	s := newSite(t, func(_ *Options, l *limits) {
		l.conns, l.newcomers, l.handshake, l.header, l.crowded = places, 2, time.Hour, time.Hour, 0
	})
	first := s.silent("127.0.0.9")
	greedy := []net.Conn{s.silent("127.0.0.8"), s.silent("127.0.0.8")}
	for i := range 3 * places {
		s.silent(fmt.Sprintf("127.0.1.%d", i+1))
	}
	s.ask()
	ended(t, greedy[0])
	ended(t, first)
	if n := s.Stats().Refused["too-many-connects"]; n < 2*places || n > 3*places+4 {
		t.Errorf("counted %d refusals", n)
	}
	if n := s.Stats().Refused["handshake"]; n > 0 {
		t.Errorf("%d of them are counted twice", n)
	}
}

// Who is the only newcomer of its address has its time; those of one address, few as they
// are, make room long before.
func TestSilentConnectionsOfOneAddressGoFirst(t *testing.T) {
	const places = 8
	s := newSite(t, func(_ *Options, l *limits) {
		l.conns, l.newcomers, l.handshake, l.header, l.crowded = places, 8, time.Hour, time.Hour, time.Hour/2
	})
	// As if they had been there for two minutes: one of several may be for one and a half.
	age := func() {
		s.newcomers.mu.Lock()
		defer s.newcomers.mu.Unlock()
		for _, all := range s.newcomers.of {
			for one := range all {
				one.since = one.since.Add(-2 * time.Minute)
			}
		}
	}
	for i := range 4 {
		s.silent(fmt.Sprintf("127.0.1.%d", i+1))
	}
	pair := []net.Conn{s.silent("127.0.0.8"), s.silent("127.0.0.8"), s.silent("127.0.0.8")} // and the loop has a place
	until(t, "all have come", func() bool {
		s.newcomers.mu.Lock()
		defer s.newcomers.mu.Unlock()
		return len(s.newcomers.of) == 5 && len(s.newcomers.of["127.0.0.8"]) == 3
	})
	age()
	s.ask()
	ended(t, pair[0])
	s.newcomers.mu.Lock()
	defer s.newcomers.mu.Unlock()
	if singles := len(s.newcomers.of); singles < 5 {
		t.Errorf("of the addresses with one newcomer %d are left", singles-1)
	}
}

// A certificate alone is no request: the handshake frees no place.
func TestSilentConnectionsAfterTheHandshake(t *testing.T) {
	s := newSite(t, func(_ *Options, l *limits) { l.conns, l.newcomers, l.header = 8, 2, time.Hour })
	for range 2 {
		s.dial(s.client("other"))
	}
	ended(t, s.silent("127.0.0.1"))
}

// Who has asked is no newcomer, however many connections it keeps.
func TestConnectionsThatAskedAreNoNewcomers(t *testing.T) {
	s := newSite(t, func(_ *Options, l *limits) { l.conns, l.newcomers = 64, 1 })
	for range 10 {
		if s.ask() {
			t.Error("a connection was not kept for its next request")
		}
	}
	mqtt := s.client("other", "x-amzn-mqtt-ca")
	for range 10 {
		s.dial(mqtt)
		defer (<-s.mqtt).Close()
	}
	if len(s.Stats().Refused) > 0 {
		t.Errorf("refused: %v", s.Stats().Refused)
	}
	s.newcomers.mu.Lock()
	defer s.newcomers.mu.Unlock()
	if len(s.newcomers.of) > 0 {
		t.Errorf("addresses kept: %v", s.newcomers.of)
	}
}
