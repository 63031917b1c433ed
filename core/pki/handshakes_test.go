package pki_test

import (
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"greengate/core/pki"
)

// between is a connection from one address to another.
type between struct {
	net.Conn
	from, to string
}

func (b between) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.ParseIP(b.from), Port: 1} }
func (b between) LocalAddr() net.Addr  { return &net.TCPAddr{IP: net.ParseIP(b.to), Port: 8883} }

// begin tries n handshakes from an address and does with each what end does; it returns
// how many were let in.
func begin(h *pki.Handshakes, n int, from string, end func(i int, s *pki.Handshake)) (in int) {
	for i := range n {
		if s, ok := h.Begin(between{from: from, to: "192.0.2.1"}); ok {
			in++
			end(i, s)
		}
	}
	return in
}

func fails(int, *pki.Handshake) {}

func TestHandshakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := pki.NewHandshakes()
		want := func(what string, got, want int) {
			t.Helper()
			if got != want {
				t.Errorf("%s: %d handshakes, want %d", what, got, want)
			}
		}
		// A thousand devices behind one address, in pairs of handshakes at once, again and again.
		for round := range 5 {
			var under []*pki.Handshake
			want(fmt.Sprint("devices that come back, ", round), begin(h, 2000, "192.0.2.2", func(_ int, s *pki.Handshake) { under = append(under, s) }), 2000)
			for i, s := range under {
				s.Known(fmt.Sprint("thing-", i%1000))
			}
			time.Sleep(time.Second)
		}
		// One that fails costs itself only.
		want("who fails", begin(h, 10_000, "192.0.2.3", fails), 2560)
		want("who fails, in IPv6", begin(h, 10_000, "2001:db8::3", fails), 2560)
		want("another", begin(h, 1000, "192.0.2.4", fails), 1000)
		want("this machine", begin(h, 10_000, "192.0.2.1", fails), 10_000)
		time.Sleep(10 * time.Second)
		want("who fails, 10 s later", begin(h, 10_000, "192.0.2.3", fails), 100)
		// One device does not make room for itself for ever.
		n := begin(h, 10_000, "192.0.2.5", func(_ int, s *pki.Handshake) { s.Known("thief") })
		want("a device without end", n, 2560+600)
		want("what was not begun", begin(h, 10_000, "192.0.2.6", func(_ int, s *pki.Handshake) { s.Void() }), 10_000)
		// Many addresses cost no memory.
		for i := range 20_000 {
			begin(h, 1, fmt.Sprintf("2001:db8::%x", i), fails)
		}
		time.Sleep(time.Hour)
		want("after an hour", begin(h, 10_000, "192.0.2.3", fails), 2560)
	})
}

func TestNoHandshakesNoBound(t *testing.T) {
	var h *pki.Handshakes
	if n := begin(h, 10_000, "192.0.2.3", func(_ int, s *pki.Handshake) { s.Known("x"); s.Void() }); n != 10_000 {
		t.Errorf("%d of 10,000", n)
	}
}
