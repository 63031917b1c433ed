package telemetry_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"greengate/core/sqlite"
	"greengate/sync/telemetry"
)

// quarantined returns topic and reason of what is in quarantine.
func (r *rig) quarantined() (all []string) {
	r.t.Helper()
	records, err := r.spool.List(context.Background(), 1000)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, rec := range records {
		if rec.Quarantine != "" {
			all = append(all, rec.Topic+": "+rec.Quarantine)
		}
	}
	return all
}

// What the cloud can never take goes aside with its reason, and stops nothing.
func TestNever(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, telemetry.Options{})
		r.link.fate = func(p *telemetry.Publish, _ int) (f fate) {
			if p.Topic == "secret" {
				f.refuse = &telemetry.Never{Err: errors.New("not authorized (0x87)")}
			}
			return f
		}
		r.link.check = func(topic string, payload int) error {
			if strings.Count(topic, "/") > 7 {
				return errors.New("the topic is too deep")
			}
			return nil
		}
		for i := range 100 {
			r.put("d", "t", strconv.Itoa(i), telemetry.Route{})
			if i == 50 {
				r.put("d", "secret", "x", telemetry.Route{})
				r.put("d", "a/b/c/d/e/f/g/h/i", "x", telemetry.Route{})
			}
		}
		r.link.connect()
		r.drained()
		if n := r.wantOrder(map[string]int{"d t": 100}); n != 0 {
			t.Errorf("%d came twice", n)
		}
		r.restart() // it is kept
		got := r.quarantined()
		if len(got) != 2 || !strings.Contains(fmt.Sprint(got), "secret: not authorized (0x87)") || !strings.Contains(fmt.Sprint(got), "the topic is too deep") {
			t.Errorf("in quarantine are %q", got)
		}
		if r.spool.Stats().Quarantined != 2 || !contains(r.spool.Faults(), "2 messages that the cloud never takes") {
			t.Errorf("stats %+v, faults %q", r.spool.Stats(), r.spool.Faults())
		}
		if s := r.settlements(); s["quarantined quarantine"] != 2 || s["sent"] != 100 {
			t.Errorf("settled %v", s)
		}
	})
}

// A message that the cloud answers by closing the connection is found among those that
// were in flight with it; they all arrive, and so do those behind it.
func TestPoison(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, telemetry.Options{})
		r.link.redial = time.Second
		r.link.fate = func(p *telemetry.Publish, _ int) fate {
			bad := p.Topic == "bad"
			return fate{cut: bad, lose: bad}
		}
		for i := range 400 {
			r.put("a", "t", strconv.Itoa(i), telemetry.Route{})
			if i == 20 {
				r.put("b", "bad", "poison", telemetry.Route{})
			}
			r.put("b", "t", strconv.Itoa(i), telemetry.Route{})
		}
		start := time.Now()
		r.link.connect()
		r.drained()
		r.wantOrder(map[string]int{"a t": 400, "b t": 400})
		if got := r.quarantined(); len(got) != 1 || !strings.HasPrefix(got[0], "bad: the cloud closed the connection") {
			t.Errorf("in quarantine are %q", got)
		}
		if r.link.cuts > 7 || time.Since(start) > time.Minute {
			t.Errorf("it took %d connections and %v", r.link.cuts, time.Since(start))
		}
	})
}

// A link that dies again and again without an acknowledgement is no reason to blame the
// messages.
func TestDeadLinkBlamesNobody(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, telemetry.Options{})
		r.number("d", "t", 0, 150, telemetry.Route{})
		r.link.fate = func(*telemetry.Publish, int) fate { return fate{lose: true} }
		for range 40 {
			r.link.connect()
			time.Sleep(90 * time.Second) // the keep-alive
			r.link.cut()
			time.Sleep(time.Second)
		}
		r.link.fate = nil
		r.link.connect()
		r.drained()
		r.wantOrder(map[string]int{"d t": 150})
		if got := r.quarantined(); len(got) != 0 {
			t.Errorf("in quarantine are %q", got)
		}
	})
}

// A bit that flips on the disk is found before the cloud gets it.
func TestDamagedRow(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, telemetry.Options{})
		r.number("d", "t", 0, 5, telemetry.Route{})
		flip := func(tx *sqlite.Tx) error {
			for _, sql := range []string{
				"UPDATE messages_normal SET body = x'' WHERE body = CAST('dt3' AS BLOB)",
				"UPDATE messages_normal SET head = x'00' WHERE body = CAST('dt4' AS BLOB)",
			} {
				if err := tx.Exec(sql); err != nil {
					return err
				}
			}
			return tx.Exec("UPDATE messages_normal SET body = CAST('dt9' AS BLOB) WHERE body = CAST('dt1' AS BLOB)")
		}
		if err := r.db.Update(context.Background(), flip); err != nil {
			t.Fatal(err)
		}
		r.link.connect()
		// What is damaged is not known to have been what was counted.
		r.wait("end", func() bool { _, settled := r.counts(); return settled == 5 })
		if got := fmt.Sprint(r.link.payloads()); got != "[0 2]" {
			t.Errorf("came %v", got)
		}
		if got := r.quarantined(); len(got) != 3 || strings.Count(fmt.Sprint(got), "checksum") != 3 {
			t.Errorf("in quarantine are %q", got)
		}
	})
}

// The quarantine is bounded: the oldest go first.
func TestQuarantineBound(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, telemetry.Options{Bounds: telemetry.Bounds{Quarantined: 10}})
		r.link.check = func(string, int) error { return errors.New("no") }
		r.number("d", "t", 0, 25, telemetry.Route{})
		r.link.connect()
		r.drained()
		records, err := r.spool.List(context.Background(), 100)
		if err != nil || len(records) != 10 || string(records[0].Payload) != "15" {
			t.Errorf("in quarantine are %v, %v", records, err)
		}
	})
}
