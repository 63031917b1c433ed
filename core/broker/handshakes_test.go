package broker_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"

	"greengate/core/broker"
	"greengate/core/pki"
	"greengate/core/router"
)

// A host whose handshakes lead to nothing is turned away, counted and told once, before
// it costs anything; devices of another address, that come all at once, and again and
// again, all get in.
func TestHandshakesOfOneAddress(t *testing.T) {
	ca := newAuthority()
	stranger := newAuthority().issue("a")
	var log lockedBuffer
	shakes := pki.NewHandshakes()
	r, b := build(ca, everything, func(o *broker.Options) {
		o.Log, o.Handshakes = slog.New(slog.NewTextHandler(&log, nil)), shakes
	})
	// Both addresses have had most of what they may, or the test would take long.
	const room, left = 2560, 60
	pipe, _ := net.Pipe()
	for _, ip := range []string{"198.51.100.9", "198.51.100.7"} {
		for range room - left {
			shakes.Begin(&far{pipe, net.TCPAddr{IP: net.ParseIP(ip)}})
		}
	}
	count := func(reason router.Reason) (count uint64) {
		r.Reasons(func(v router.Verdict, why router.Reason, n uint64) {
			if v == router.Refused && why == reason {
				count += n
			}
		})
		return count
	}
	// connect returns the answer to CONNECT; nothing when there is none.
	connect := func(cert tls.Certificate, thing, ip string) []byte {
		nc := arrive(b, ca, ip, 1)
		defer nc.Close()
		conn := tls.Client(nc, &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{cert}})
		if conn.Handshake() != nil {
			return nil
		}
		go func() { _, _ = conn.Write(packet(0x10, text("MQTT"), []byte{4, 2, 0, 0}, text(thing))) }()
		_, body, _ := newClient(t, conn).read()
		return body
	}
	answered := 0
	for count("too-many-handshakes") < 5 { // it gets back ten a second
		if answer := connect(stranger, "a", "198.51.100.9"); len(answer) == 2 && answer[1] != 0 {
			answered++
		}
	}
	if answered < left {
		t.Errorf("%d answered before the first was turned away", answered)
	}
	if text := log.String(); strings.Count(text, "too many handshakes") != 1 || !strings.Contains(text, "addr=198.51.100.9") {
		t.Errorf("it is to be told once:\n%.2000s", text)
	}
	var things []string
	for i := range left {
		things = append(things, fmt.Sprint("thing-", i))
		ca.issue(things[i])
	}
	for range 4 {
		var all sync.WaitGroup
		for _, thing := range things {
			all.Go(func() {
				if answer := connect(ca.issue(thing), thing, "198.51.100.7"); len(answer) != 2 || answer[1] != 0 {
					t.Errorf("CONNACK %x for %s", answer, thing)
				}
			})
		}
		all.Wait()
	}
}

// lockedBuffer is a buffer that several write.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
