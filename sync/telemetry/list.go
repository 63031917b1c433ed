package telemetry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"greengate/core/message"
	"greengate/core/sqlite"
)

// Record is a message in the spool, as List and Export show it.
type Record struct {
	Seq        int64               `json:"seq"`
	Source     string              `json:"source"`
	Topic      string              `json:"topic"`
	Priority   string              `json:"priority"`
	Route      string              `json:"route"`
	Time       time.Time           `json:"time"`
	Clock      string              `json:"clock"` // synced, corrected or unsynced
	Boot       string              `json:"boot"`
	Mono       time.Duration       `json:"mono_ns"`
	TTL        time.Duration       `json:"ttl_ns,omitempty"`
	Retain     bool                `json:"retain,omitempty"`
	Quarantine string              `json:"quarantine,omitempty"` // why it is there; empty: it waits
	Locked     string              `json:"locked,omitempty"`     // the id of the key without which it cannot be read
	Bytes      int                 `json:"bytes"`                // of the payload
	Properties *message.Properties `json:"properties,omitempty"`
	Payload    []byte              `json:"-"`
}

// MarshalJSON writes the payload as `payload` when it is text, else in base64 as
// `payload_base64`.
func (r Record) MarshalJSON() ([]byte, error) {
	type plain Record
	line := struct {
		plain
		Payload string `json:"payload,omitempty"`
		Base64  []byte `json:"payload_base64,omitempty"`
	}{plain: plain(r)}
	if utf8.Valid(r.Payload) {
		line.Payload = string(r.Payload)
	} else {
		line.Base64 = r.Payload
	}
	return json.Marshal(line)
}

// listRows is how many rows are read at a time, so that no View is long.
const listRows = 256

var errEnough = errors.New("enough")

// List returns at most limit messages that wait, in the order in which they would go:
// by priority, then as they came. Those in quarantine come last.
func (s *Spool) List(ctx context.Context, limit int) (records []Record, err error) {
	err = s.walk(ctx, func(r Record) error {
		if len(records) == limit {
			return errEnough
		}
		records = append(records, r)
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return records, err
}

// Export writes all messages, in the order of List, as a JSON document a line. It does
// not disturb the sending: a message that leaves meanwhile may be there or not.
func (s *Spool) Export(ctx context.Context, w io.Writer) error {
	lines := json.NewEncoder(w)
	lines.SetEscapeHTML(false)
	return s.walk(ctx, func(r Record) error { return lines.Encode(r) })
}

func (s *Spool) walk(ctx context.Context, yield func(Record) error) error {
	for lane := range lanes {
		for after, more := int64(0), true; more; {
			var items []*item
			err := s.o.DB.View(ctx, func(tx *sqlite.Tx) (err error) {
				items, err = s.items(tx, lane, after, listRows)
				return err
			})
			if err != nil {
				return fmt.Errorf("read the spool: %w", err)
			}
			for _, it := range items {
				after = it.seq
				if err := yield(s.record(it, s.routeOf(it.routeID).key)); err != nil {
					return err
				}
			}
			more = len(items) > 0
		}
	}
	return s.walkQuarantine(ctx, yield)
}

func (s *Spool) walkQuarantine(ctx context.Context, yield func(Record) error) error {
	for after, more := int64(0), true; more; {
		var records []Record
		err := s.o.DB.View(ctx, func(tx *sqlite.Tx) error {
			return s.quarantined(tx, after, listRows, func(_ *item, r Record) error {
				records = append(records, r)
				return nil
			})
		})
		if err != nil {
			return fmt.Errorf("read the quarantine: %w", err)
		}
		for _, r := range records {
			after = r.Seq
			if err := yield(r); err != nil {
				return err
			}
		}
		more = len(records) > 0
	}
	return nil
}

// quarantined hands the messages in quarantine after one to see.
func (s *Spool) quarantined(tx *sqlite.Tx, after int64, limit int, see func(*item, Record) error) error {
	rows, err := tx.Query(`SELECT seq, lane, route, reason, source, topic, mono, wall, ttl, flags, properties, payload, head, cause
		FROM quarantine WHERE seq > ? ORDER BY seq LIMIT ?`, after, limit)
	if err != nil {
		return err
	}
	for rows.Next() {
		it := &item{}
		var route, reason string
		var head, cause []byte
		if err := rows.Scan(&it.seq, &it.lane, &route, &reason, &it.source, &it.topic,
			&it.mono, &it.wall, &it.ttl, &it.flags, &it.properties, &it.payload, &head, &cause); err != nil {
			return err
		}
		if head != nil {
			it = newItem(it.seq, it.lane, head, it.payload)
			s.keys.open(it)
		}
		if cause != nil {
			reason = s.keys.cause(it.seq, cause)
		}
		r := s.record(it, route)
		r.Quarantine = reason
		if err := see(it, r); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (s *Spool) record(it *item, route string) Record {
	stamp := s.clock.when(it.seq, it.mono, it.wall, it.flags)
	r := Record{
		Seq: it.seq, Source: it.source, Topic: it.topic, Priority: priorityOf[it.lane].String(), Route: route,
		Time: stamp.Time, Clock: stamp.Clock, Boot: stamp.Boot, Mono: stamp.Mono,
		TTL: time.Duration(it.ttl) * time.Millisecond, Retain: it.flags&flagRetain != 0,
		Bytes: len(it.payload), Payload: it.payload, Locked: it.locked,
	}
	if it.sealed != nil { // nobody could open it
		r.Bytes = int(it.counts)
	}
	if it.properties != nil {
		r.Properties = &message.Properties{}
		if json.Unmarshal(it.properties, r.Properties) != nil {
			r.Properties = nil // damaged; the rest is worth showing
		}
	}
	return r
}
