package telemetry_test

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"greengate/core/message"
	"greengate/core/sqlite"
	"greengate/sync/telemetry"
)

// exec changes the database behind the spool's back.
func (r *rig) exec(statements ...string) {
	r.t.Helper()
	err := r.db.Update(context.Background(), func(tx *sqlite.Tx) error {
		for _, sql := range statements {
			if err := tx.Exec(sql); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

// fails puts a message of which the write fails, for a reason that does not pass.
func (r *rig) fails(device, topic string, route telemetry.Route) {
	r.t.Helper()
	m := message.Message{Source: message.DeviceEndpoint(device), Topic: topic, Payload: []byte("bad")}
	told := make(chan error, 1)
	if err := r.spool.Put(&m, route, func(err error) { told <- err }); err != nil {
		r.t.Fatal(err)
	}
	if err := <-told; err == nil {
		r.t.Fatal("the message was stored")
	}
}

// refuseBad makes an overflow of the payload `bad`.
const refuseBad = "CREATE INDEX bad ON messages_low (abs(CASE WHEN substr(body, -3) = CAST('bad' AS BLOB) THEN -9223372036854775808 ELSE 1 END))"

// What waits while the disk is full comes onto it in order when there is room again, and
// is told stored then.
func TestDiskComesBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, telemetry.Options{})
		r.stop()
		r.maxBytes = 2 << 20
		r.start()
		r.exec("CREATE TABLE filler (x BLOB)", "INSERT INTO filler VALUES (zeroblob(1900000))")
		var order []int
		for i := range 8000 {
			m := message.Message{Source: message.DeviceEndpoint("d"), Topic: "t", Payload: []byte(strconv.Itoa(i))}
			err := r.spool.Put(&m, telemetry.Route{Key: "row"}, func(err error) {
				r.mu.Lock()
				defer r.mu.Unlock()
				if err == nil {
					order = append(order, i)
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			if i%50 == 0 {
				time.Sleep(20 * time.Millisecond)
			}
		}
		time.Sleep(5 * time.Second)
		stored := func() int { r.mu.Lock(); defer r.mu.Unlock(); return len(order) }
		if n := stored(); n == 0 || n == 8000 || !contains(r.spool.Faults(), "cannot write") {
			t.Fatalf("%d stored, faults %q", n, r.spool.Faults())
		}
		r.exec("DELETE FROM filler")
		r.wait("messages on the disk", func() bool { return stored() == 8000 })
		if !slices.IsSorted(order) {
			t.Error("stored was not called in order")
		}
		r.puts = 8000
		if contains(r.spool.Faults(), "cannot write") {
			t.Errorf("faults are %q", r.spool.Faults())
		}
		r.link.connect()
		r.drained()
		if n := r.wantOrder(map[string]int{"d t": 8000}); n != 0 {
			t.Errorf("%d came twice", n)
		}
	})
}

// Rows that cannot be removed are not sent again, and leave when they can.
func TestRemovalFails(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, telemetry.Options{})
		r.number("d", "t", 0, 50, telemetry.Route{})
		r.exec("CREATE TABLE keep (seq INTEGER REFERENCES messages_normal (seq))", "INSERT INTO keep SELECT seq FROM messages_normal")
		r.link.connect()
		time.Sleep(10 * time.Second)
		r.link.cut()
		r.link.connect()
		time.Sleep(10 * time.Second)
		if _, settled := r.counts(); settled != 0 || len(r.link.got()) != 50 {
			t.Errorf("%d settled, %d sent", settled, len(r.link.got()))
		}
		r.exec("DELETE FROM keep")
		r.drained()
		if s := r.settlements(); s["sent"] != 50 || len(r.link.got()) != 50 {
			t.Errorf("settled %v, %d sent", s, len(r.link.got()))
		}
	})
}

// Messages that were to be given up for one that is then not written are there as before.
func TestEvictionFails(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, telemetry.Options{MaxSize: 4 << 20})
		low := telemetry.Route{Key: "low", Priority: telemetry.Low}
		for i := 0; r.spool.Stats().Dropped[telemetry.ReasonOldest] == 0; i++ {
			r.put("d", "t", fat(i), low)
			r.flushed()
		}
		r.exec(refuseBad)
		before := r.spool.Stats().Messages
		for range 3 { // each of them evicts
			r.fails("d", strings.Repeat("t", 500_000), low)
		}
		if after := r.spool.Stats().Messages; after != before {
			t.Errorf("%d wait, and before %d did", after, before)
		}
		r.link.connect()
		r.wait("messages in the cloud", func() bool { return r.spool.Stats().Messages == 0 })
		if got := len(r.numbers("t")); int64(got) != before {
			t.Errorf("%d came of %d", got, before)
		}
	})
}

// What a failed write believed of a stream is forgotten.
func TestStreamAfterFailure(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, telemetry.Options{})
		low := telemetry.Route{Key: "low", Priority: telemetry.Low}
		r.exec(refuseBad)
		r.fails("d", "t", low)
		r.put("d", "t", "0", low)
		r.flushed()
		r.restart()
		r.put("d", "t", "1", telemetry.Route{Key: "high", Priority: telemetry.High})
		r.flushed()
		r.link.connect()
		r.drained()
		if n := r.wantOrder(map[string]int{"d t": 2}); n != 0 {
			t.Errorf("%d came twice", n)
		}
	})
}
