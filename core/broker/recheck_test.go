package broker_test

import (
	"testing"
	"time"

	"greengate/core/broker"
	"greengate/core/sqlite"
)

// A reload takes the row of a message that a device has sent to itself, that waits behind
// another one, and that the disk has not taken yet: so the reload acknowledges it, on the
// connection that it is looking at.
func TestRecheckAcknowledgesToTheSameConnection(t *testing.T) {
	d := newDisk(t)
	var db *sqlite.DB
	on := d.open()
	t.Cleanup(d.stop)
	s := start(t, everything, on, func(o *broker.Options) { db = o.DB })
	a := s.connect("a", oneByOne)
	a.subscribe(1, "t")
	a.send("t", 1, "first")
	for acked, got := false, false; !acked || !got; { // it stays in the window: one at a time
		first, _, err := a.read()
		if err != nil {
			t.Fatal(err)
		}
		acked, got = acked || first == 0x40, got || first>>4 == 3
	}
	busy, release := make(chan struct{}), make(chan struct{})
	written := make(chan error, 1)
	go func() {
		written <- db.Update(t.Context(), func(*sqlite.Tx) error {
			close(busy)
			<-release
			return nil
		})
	}()
	<-busy
	a.send("t", 1, "second")
	s.until("it waits", func() bool { return s.router.Ledger().Accepted == 2 })
	s.router.SetGate(rows{})
	over := make(chan struct{})
	go func() {
		s.broker.Recheck(func(string) bool { return true })
		close(over)
	}()
	select {
	case <-over:
	case <-time.After(time.Minute):
		t.Error("the reload waits for itself")
	}
	close(release)
	a.expect(0x40)
	if err := <-written; err != nil {
		t.Error(err)
	}
	if n := s.router.Ledger(); n.Dropped != 1 {
		t.Errorf("ledger %+v", n)
	}
}
