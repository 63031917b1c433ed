package broker

import (
	"time"

	"greengate/core/message"
	"greengate/core/sqlite"
)

// retainedRow is the row of a retained message, to be written.
type retainedRow struct {
	topic   string
	m       *message.Message // kept; nil: the row goes
	expires int64            // as of expiryOf
	stored  time.Time
	done    []func() // whoever waits for it
}

// retain has a kept message written in place of the one before. done, if not nil, is
// called when it is on disk. The caller holds the mu of the retained messages.
func (st *store) retain(m *message.Message, stored time.Time, done func()) {
	st.writeRow(retainedRow{topic: m.Topic, m: m, expires: expiryOf(m.Expires), stored: stored}, m.Source, done)
}

// unretain does so when there is to be none, by the will of source.
func (st *store) unretain(topic string, source message.Endpoint, done func()) {
	st.writeRow(retainedRow{topic: topic}, source, done)
}

// writeRow has a row written with the next group. What comes for a topic faster than the
// disk can write takes one place, whatever its size.
func (st *store) writeRow(r retainedRow, source message.Endpoint, done func()) {
	at(pointRetained)
	if st == nil {
		return
	}
	st.mu.Lock()
	before := st.rows[r.topic]
	if before != nil {
		r.done = before.done
	}
	if done != nil {
		r.done = append(r.done, done)
	}
	if before != nil {
		*before = r
		st.mu.Unlock()
		return
	}
	if st.rows == nil {
		st.rows = map[string]*retainedRow{}
	}
	row := &r
	st.rows[r.topic] = row
	st.now = append(st.now, op{key: key{topic: r.topic}, source: source.String(), safe: true, run: row.write, done: row.told})
	st.mu.Unlock()
	st.poke()
}

func (r *retainedRow) told() {
	for _, done := range r.done {
		done()
	}
}

func (r *retainedRow) write(tx *sqlite.Tx) error {
	m := r.m
	if m == nil {
		return tx.Exec("DELETE FROM retained WHERE topic = ?", r.topic)
	}
	return tx.Exec("INSERT INTO retained (topic, source, qos, payload, properties, expires, stored) VALUES (?, ?, ?, ?, ?, ?, ?)"+
		" ON CONFLICT (topic) DO UPDATE SET source = excluded.source, qos = excluded.qos, payload = excluded.payload,"+
		" properties = excluded.properties, expires = excluded.expires, stored = excluded.stored",
		r.topic, m.Source.String(), int64(m.QoS), m.Payload, propertiesText(m.Properties), r.expires, wallOf(r.stored))
}
