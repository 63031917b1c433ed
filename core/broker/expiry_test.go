package broker_test

import (
	"crypto/x509"
	"strings"
	"sync/atomic"
	"testing"

	"greengate/core/broker"
)

// inSeconds is the message expiry interval n.
func inSeconds(n byte) []byte { return []byte{0x02, 0, 0, 0, n} }

// What has expired takes no room from what comes, neither in its own session nor in that
// of another device.
func TestExpiredMessagesMakeRoom(t *testing.T) {
	s := start(t, everything, func(o *broker.Options) { o.Memory = 4 * 100 << 10 }) // 100 KiB may wait
	s.awayWith("b", "b")
	s.awayWith("c", "c")
	a := s.connect("a", v5)
	large := strings.Repeat("x", 60<<10)
	a.publishProps("b", 1, inSeconds(1), large)
	a.expect(0x40)
	a.publish("c", 1, large)
	if n := s.router.Ledger(); n.Dropped != 1 || n.Waiting != 1 {
		t.Fatalf("there was room for both: %+v", n)
	}
	s.until("the message has expired", func() bool { return s.router.Ledger().Expired == 1 })
	a.publish("c", 1, large)
	if n := s.router.Ledger(); n.Dropped != 1 || n.Waiting != 1 {
		t.Errorf("there is no room: %+v", n)
	}
	c, _ := s.connectSession("c", kept5)
	if g := c.message(); g.payload != large {
		t.Errorf("got %.20q", g.payload)
	}
	s.settled()
}

// After a restart, too.
func TestExpiredMessagesGoFromTheDisk(t *testing.T) {
	d := newDisk(t)
	d.startOn(everything, func(s *site) {
		s.awayWith("b", "b")
		a := s.connect("a", v5)
		for _, props := range [][]byte{inSeconds(1), inSeconds(200), nil} {
			a.publishProps("b", 1, props, "x")
			a.expect(0x40)
		}
	})
	d.startOn(everything, func(s *site) {
		s.until("one message is off the disk", func() bool { return d.rows("queue") == 2 })
		if n := s.router.Ledger(); n.Expired != 1 || n.Waiting != 2 {
			t.Errorf("%+v", n)
		}
	})
}

// A session that goes on without an expiry ends with this connection, also when that ends
// by a crash: from now on nothing of it is on the disk.
func TestSessionWithoutExpiryIsOffTheDisk(t *testing.T) {
	d := newDisk(t)
	d.startOn(everything, func(s *site) {
		s.awayWith("b", "#")
		a := s.connect("a")
		a.publish("t", 1, "1")
		a.publish("t", 2, "2")
		b, present := s.connectSession("b", connectOptions{v5: true, persist: true})
		if !present {
			t.Fatal("the session is gone")
		}
		s.until("all of it is off the disk", func() bool { return d.rows("sessions")+d.rows("subscriptions")+d.rows("queue") == 0 })
		a.publish("t", 1, "3")
		for _, want := range []string{"1", "2", "3"} {
			if g := b.message(); g.payload != want {
				t.Errorf("got %q, want %q", g.payload, want)
			}
		}
		if n := d.rows("sessions") + d.rows("subscriptions") + d.rows("queue"); n != 0 {
			t.Errorf("%d rows are on the disk", n)
		}
	})
	d.startOn(everything, func(s *site) {
		if _, present := s.connectSession("b", keep); present {
			t.Error("the session is there again")
		}
	})
}

// A message that would be written later is not, once its session is off the disk: it would
// come to the next one of the thing.
func TestNothingIsWrittenOfASessionThatEnded(t *testing.T) {
	d := newDisk(t)
	d.startOn(everything, func(s *site) {
		b := s.connect("b", kept5)
		b.subscribe(1, "t")
		a := s.connect("a")
		a.send("t", 1, "not acknowledged by b")
		if g, _, err := b.read(); err != nil || g>>4 != 3 {
			t.Fatal(err)
		}
		if n := s.broker.MessagesWrittenAfter("b"); n != 0 {
			t.Errorf("%d messages are written", n)
		}
	})
}

// held identifies as others do, but the n-th time from when it is told to wait it waits.
type held struct {
	broker.Identifier
	n    atomic.Int32
	at   chan struct{} // it waits
	free chan struct{} // closed: it goes on
}

func (h *held) Identify(peer []*x509.Certificate) (string, error) {
	if h.n.Load() > 0 && h.n.Add(-1) == 0 {
		close(h.at)
		<-h.free
	}
	return h.Identifier.Identify(peer)
}

// holding puts a held in front of a broker's identities.
func holding() (*held, func(*broker.Options)) {
	h := &held{at: make(chan struct{}), free: make(chan struct{})}
	return h, func(o *broker.Options) { h.Identifier, o.Identities = o.Identities, h }
}

// claimed is which of a connection's identifications comes when it has its session, before
// CONNACK.
const claimed = 2

// A message that comes while a session is being resumed is not lost, although the session
// is to end with the connection: it has not ended yet.
func TestNothingIsLostWhileASessionIsResumed(t *testing.T) {
	h, holds := holding()
	s := start(t, everything, holds)
	s.awayWith("b", "t")
	a := s.connect("a")
	a.publish("t", 1, "1")
	h.n.Store(claimed)
	b := s.dial("b")
	b.v5 = true
	b.write(packet(0x10, text("MQTT"), []byte{5, 0, 0, 0}, properties(), text("b")))
	<-h.at
	a.publish("t", 1, "2")
	close(h.free)
	b.expect(0x20)
	a.publish("t", 1, "3")
	for _, want := range []string{"1", "2", "3"} {
		if g := b.message(); g.payload != want {
			t.Errorf("got %q, want %q", g.payload, want)
		}
	}
	s.settled()
}

// A connection that is overtaken before its CONNACK brings the session that another has
// ended not back to the disk.
func TestOvertakenSessionStaysAway(t *testing.T) {
	d := newDisk(t)
	h, holds := holding()
	t.Run("life", func(t *testing.T) {
		on := d.open()
		t.Cleanup(d.stop)
		s := start(t, everything, on, holds)
		h.n.Store(claimed)
		first := s.dial("b")
		first.write(packet(0x10, text("MQTT"), []byte{4, 0, 0, 0}, text("b")))
		<-h.at
		second := s.connect("b") // clean
		close(h.free)
		s.until("the first one is over", func() bool { return s.broker.Connections() == 1 })
		second.silent()
	})
	d.startOn(everything, func(s *site) {
		if _, present := s.connectSession("b", keep); present {
			t.Error("a session that has ended is there again")
		}
	})
}
