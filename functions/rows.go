package functions

import (
	"context"
	"errors"
	"fmt"
	"time"

	"greengate/core/sqlite"
)

func insert(tx *sqlite.Tx, c *call) error {
	var expires int64
	if !c.expires.IsZero() {
		expires = c.expires.UnixNano()
	}
	return tx.Exec(`INSERT INTO calls (seq, function, route, id, source, topic, expires, sum, payload) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		c.seq, c.f.name, c.route, c.id, c.source, c.subject, expires, c.sum(), notNil(c.payload))
}

// notNil is a payload for a column that holds no NULL.
func notNil(payload []byte) []byte {
	if payload == nil {
		return []byte{}
	}
	return payload
}

func isolate(tx *sqlite.Tx, c *call) error {
	return tx.Exec(`INSERT OR REPLACE INTO quarantine (seq, at, reason, cause, function, route, id, source, topic, payload)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		c.seq, time.Now().UnixNano(), c.end.reason, c.end.failure.text(), c.f.name, c.route, c.id, c.source, c.subject, notNil(c.payload))
}

// bound gives up the oldest calls in quarantine beyond its bounds.
func bound(tx *sqlite.Tx, b *Bounds) (dropped int, err error) {
	for {
		var calls, bytes int64
		if err := tx.QueryRow("SELECT count(*), coalesce(sum(octet_length(payload)), 0) FROM quarantine").Scan(&calls, &bytes); err != nil {
			return dropped, err
		}
		if calls <= 1 || calls <= int64(b.Quarantined) && bytes <= b.QuarantineSize {
			return dropped, nil
		}
		if err := tx.Exec("DELETE FROM quarantine WHERE seq = (SELECT min(seq) FROM quarantine)"); err != nil {
			return dropped, err
		}
		dropped++
	}
}

func countIsolated(tx *sqlite.Tx) (map[string]int, error) {
	rows, err := tx.Query("SELECT function, count(*) FROM quarantine GROUP BY function")
	if err != nil {
		return nil, err
	}
	counts := map[string]int{}
	for rows.Next() {
		var name string
		var n int
		if err := rows.Scan(&name, &n); err != nil {
			return nil, err
		}
		counts[name] = n
	}
	return counts, rows.Err()
}

// load reads the calls that a former process has left, in order, and hands each to take.
// of returns the function of a name.
func (s *store) load(of func(name string) *function, take func(c *call, damaged bool)) error {
	return s.db.View(context.Background(), func(tx *sqlite.Tx) (err error) {
		if s.isolated, err = countIsolated(tx); err != nil {
			return err
		}
		if err := tx.QueryRow("SELECT max(coalesce((SELECT max(seq) FROM calls), 0), coalesce((SELECT max(seq) FROM quarantine), 0))").Scan(&s.seq); err != nil {
			return err
		}
		rows, err := tx.Query("SELECT seq, function, route, id, source, topic, expires, sum, payload FROM calls ORDER BY seq")
		if err != nil {
			return err
		}
		for rows.Next() {
			c := &call{durable: true, stored: true, counted: true, byRow: true}
			var name string
			var expires, sum int64
			if err := rows.Scan(&c.seq, &name, &c.route, &c.id, &c.source, &c.subject, &expires, &sum, &c.payload); err != nil {
				return err
			}
			if expires != 0 {
				c.expires = time.Unix(0, expires)
			}
			c.f = of(name)
			s.durable[name]++
			take(c, c.sum() != sum)
		}
		return rows.Err()
	})
}

const sqlRecords = "SELECT seq, at, reason, cause, function, route, id, source, topic, payload FROM quarantine"

// records reads calls in quarantine: those of a function, or all for "".
func records(tx *sqlite.Tx, function string, each func(Record) error) error {
	var rows *sqlite.Rows
	var err error
	if function == "" {
		rows, err = tx.Query(sqlRecords + " ORDER BY seq")
	} else {
		rows, err = tx.Query(sqlRecords+" WHERE function = ? ORDER BY seq", function)
	}
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var r Record
		var at int64
		if err := rows.Scan(&r.Seq, &at, &r.Reason, &r.Cause, &r.Function, &r.Route, &r.ID, &r.Source, &r.Topic, &r.Payload); err != nil {
			return err
		}
		r.At = time.Unix(0, at)
		if err := each(r); err != nil {
			return err
		}
	}
	return rows.Err()
}

// errEnough ends a reading before its end.
var errEnough = errors.New("enough")

// Quarantined returns the calls in quarantine of a function, or of all for "", the
// oldest first, at most n.
func (m *Manager) Quarantined(ctx context.Context, function string, n int) ([]Record, error) {
	var all []Record
	err := m.store.db.View(ctx, func(tx *sqlite.Tx) error {
		return records(tx, function, func(r Record) error {
			if len(all) >= n {
				return errEnough
			}
			all = append(all, r)
			return nil
		})
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, fmt.Errorf("read the quarantine: %w", err)
	}
	return all, nil
}
