package broker

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"greengate/core/message"
	"greengate/core/router"
	"greengate/core/sqlite"
)

// queueRow is a pending message as its row has it.
type queueRow struct {
	n                       int64
	thing                   string
	qos, retain             int64
	ids, source, properties string
	topic                   string
	payload                 []byte
	expires, place          int64
}

func rowOf(thing string, p *pending) *queueRow {
	ids := make([]string, len(p.h.subIDs))
	for i, id := range p.h.subIDs {
		ids[i] = strconv.FormatUint(uint64(id), 10)
	}
	return &queueRow{
		n: p.n, thing: thing, qos: int64(p.qos), retain: number(p.h.flag(p.msg)), ids: strings.Join(ids, ","),
		source: p.msg.Source.String(), properties: propertiesText(p.msg.Properties),
		topic: p.msg.Topic, payload: p.msg.Payload, expires: expiryOf(p.msg.Expires), place: int64(p.place),
	}
}

const insertQueue = "INSERT INTO queue (n, thing, qos, retain, ids, source, topic, payload, properties, expires, place) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"

func (r *queueRow) insert(tx *sqlite.Tx) error {
	payload := r.payload
	if payload == nil {
		payload = []byte{}
	}
	return tx.Exec(insertQueue, r.n, r.thing, r.qos, r.retain, r.ids, r.source, r.topic, payload, r.properties, r.expires, r.place)
}

func number(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func propertiesText(p *message.Properties) string {
	if p == nil {
		return ""
	}
	text, err := json.Marshal(p)
	if err != nil {
		return "" // strings and bytes always have a JSON form
	}
	return string(text)
}

// maxPropertiesText bounds that text as it is read again, in characters. Properties that
// keep to message.MaxUserProperties are shorter, whatever has to be escaped in them.
const maxPropertiesText = 2 << 20

func propertiesOf(text string) *message.Properties {
	p := new(message.Properties)
	if text == "" || json.Unmarshal([]byte(text), p) != nil {
		return nil
	}
	return p
}

// wallOf is a time in the past as the clock had it, for people: it stays what it was when
// the clock is set. Unix milliseconds; 0: not known.
func wallOf(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func storedAt(stored int64) time.Time {
	if stored == 0 {
		return time.Time{}
	}
	return time.UnixMilli(stored)
}

// load reads what a former process has left: sessions, their subscriptions, and
// what waits for them. The table must be in force: what no row of it allows any
// more is dropped.
func (b *Broker) load() error {
	if b.store == nil {
		return nil
	}
	return b.store.db.View(context.Background(), func(tx *sqlite.Tx) error {
		for _, step := range []func(*sqlite.Tx) error{b.loadClock, b.loadSessions, b.loadSubscriptions, b.loadQueue, b.loadReceived, b.loadReleased, b.loadRetained} {
			if err := step(tx); err != nil {
				return err
			}
		}
		return nil
	})
}

func (b *Broker) loadSessions(tx *sqlite.Tx) error {
	rows, err := tx.Query("SELECT thing, expiry FROM sessions")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var thing string
		var expiry int64
		if err := rows.Scan(&thing, &expiry); err != nil {
			return err
		}
		s := &session{thing: thing, b: b, subs: map[string]*subscription{}, expiry: uint32(expiry), stored: int64(expiry)}
		s.next = anywhere()
		b.sessions[thing] = s
	}
	return rows.Err()
}

func (b *Broker) loadSubscriptions(tx *sqlite.Tx) error {
	rows, err := tx.Query("SELECT thing, filter, qos, id, no_local, as_published FROM subscriptions")
	if err != nil {
		return err
	}
	defer rows.Close()
	var beyond []*subscription
	for rows.Next() {
		var thing string
		var qos, id, noLocal, asPublished int64
		sub := &subscription{}
		if err := rows.Scan(&thing, &sub.filter, &qos, &id, &noLocal, &asPublished); err != nil {
			return err
		}
		if sub.sess = b.sessions[thing]; sub.sess == nil {
			continue
		}
		sub.qos, sub.id, sub.noLocal, sub.asPublished = byte(qos), uint32(id), noLocal != 0, asPublished != 0
		if _, ok := sub.sess.enter(sub); !ok {
			beyond = append(beyond, sub)
		}
	}
	for _, sub := range beyond {
		b.router.Note(router.Dropped, filterLimit)
		b.store.do(op{session: sub.sess.thing, run: forgetFilters(sub.sess.thing, sub)})
	}
	if len(beyond) > 0 {
		b.log.Warn("subscriptions of the last run were given up: there is no room for them", "filters", len(beyond), "thing", beyond[0].sess.thing)
	}
	return rows.Err()
}

// forgetFilters takes subscriptions off the disk.
func forgetFilters(thing string, subs ...*subscription) func(*sqlite.Tx) error {
	return func(tx *sqlite.Tx) error {
		for _, sub := range subs {
			if err := tx.Exec("DELETE FROM subscriptions WHERE thing = ? AND filter = ?", thing, sub.filter); err != nil {
				return err
			}
		}
		return nil
	}
}

func (b *Broker) loadQueue(tx *sqlite.Tx) error {
	rows, err := tx.Query("SELECT n, thing, qos, retain, ids, source, topic, payload, substr(properties, 1, ?), expires, place FROM queue ORDER BY n", int64(maxPropertiesText+1))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var r queueRow
		if err := rows.Scan(&r.n, &r.thing, &r.qos, &r.retain, &r.ids, &r.source, &r.topic, &r.payload, &r.properties, &r.expires, &r.place); err != nil {
			return err
		}
		b.store.follow(r.n)
		b.restore(&r)
	}
	return rows.Err()
}

// follow has the numbers go on after one that is on disk.
func (st *store) follow(n int64) { st.next = max(st.next, n+1) }

func (b *Broker) loadReceived(tx *sqlite.Tx) error {
	return b.loadIDs(tx, "SELECT thing, n, id FROM received", func(thing string, n int64, id uint16) {
		s := b.sessions[thing]
		if s == nil {
			b.store.disown(thing, n, nil)
			return
		}
		if s.received == nil {
			s.received = map[uint16]*reception{}
		}
		s.received[id] = &reception{former: true, n: n}
	})
}

func (b *Broker) loadReleased(tx *sqlite.Tx) error {
	return b.loadIDs(tx, "SELECT thing, n, id FROM released", func(thing string, n int64, id uint16) {
		s := b.sessions[thing]
		if s == nil {
			b.store.forget(thing, n, 2)
			return
		}
		if s.owed == nil {
			s.owed = map[uint16]int64{}
		}
		s.owed[id] = n
	})
}

func (b *Broker) loadIDs(tx *sqlite.Tx, query string, enter func(thing string, n int64, id uint16)) error {
	rows, err := tx.Query(query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var thing string
		var n, id int64
		if err := rows.Scan(&thing, &n, &id); err != nil {
			return err
		}
		b.store.follow(n)
		enter(thing, n, uint16(id))
	}
	return rows.Err()
}

// restore puts one message back into its queue.
func (b *Broker) restore(r *queueRow) {
	defer at(pointRestored)
	s := b.sessions[r.thing]
	if s != nil {
		s.next = uint64(r.place) + 1 + anywhere()
	}
	from, err := message.ParseEndpoint(r.source)
	if s == nil || err != nil {
		b.store.forget(r.thing, r.n, byte(r.qos))
		return
	}
	m := &message.Message{
		Source: from, Topic: r.topic, Payload: r.payload, QoS: byte(r.qos), Expires: timeOf(r.expires, b.store.ahead), Properties: propertiesOf(r.properties),
	}
	to := message.DeviceEndpoint(s.thing)
	cell, ok := b.router.Restore(m, to, rowGone)
	if !ok {
		b.store.forget(r.thing, r.n, byte(r.qos))
		return
	}
	if m.Expired(time.Now()) {
		b.router.Settle(cell, router.Expired, expired, m, to)
		b.store.forget(r.thing, r.n, byte(r.qos))
		return
	}
	size := sizeOf(m)
	if len(r.properties) > maxPropertiesText || s.queue.len() >= maxQueued || !s.fits(size) {
		b.router.Settle(cell, router.Dropped, queueFull, m, to)
		b.store.forget(r.thing, r.n, byte(r.qos))
		return
	}
	h := &handle{sess: s, qos: byte(r.qos), retained: r.retain != 0}
	for id := range strings.SplitSeq(r.ids, ",") {
		if n, err := strconv.ParseUint(id, 10, 32); err == nil {
			h.subIDs = append(h.subIDs, uint32(n))
		}
	}
	p := &pending{
		msg: m.Keep(), cell: cell, h: h, table: b.router.Generation(), qos: byte(r.qos), n: r.n, disk: written,
		place: uint64(r.place), again: true,
	}
	s.queue.push(p)
	s.expires(m.Expires)
	s.charge(p, size)
}

func (b *Broker) loadRetained(tx *sqlite.Tx) error {
	rows, err := tx.Query("SELECT topic, source, qos, payload, substr(properties, 1, ?), expires, stored FROM retained", int64(maxPropertiesText+1))
	if err != nil {
		return err
	}
	defer rows.Close()
	lost := 0
	for rows.Next() {
		m := &message.Message{Retain: true}
		var source, properties string
		var qos, expires, stored int64
		if err := rows.Scan(&m.Topic, &source, &qos, &m.Payload, &properties, &expires, &stored); err != nil {
			return err
		}
		if m.Source, err = message.ParseEndpoint(source); err != nil {
			continue
		}
		m.QoS, m.Properties, m.Expires = byte(qos), propertiesOf(properties), timeOf(expires, b.store.ahead)
		switch {
		case m.Expired(time.Now()): // nobody was told when its time ran out
		case len(properties) <= maxPropertiesText && b.retained.keep(m, storedAt(stored), nil):
			continue
		default:
			b.router.Note(router.Dropped, retainedFull)
			lost++
		}
		b.store.unretain(m.Topic, m.Source, nil)
	}
	if lost > 0 {
		b.log.Warn("retained messages of the last run were given up: the store is full", "messages", lost)
	}
	b.retained.store = b.store // what changes from now on is written
	return rows.Err()
}

// remember writes that a session is to be kept, when that is news, and returns
// when it is on disk.
func (b *Broker) remember(s *session) {
	s.mu.Lock()
	thing, expiry := s.thing, int64(s.expiry)
	if s.ended || expiry == 0 || s.stored == expiry {
		s.mu.Unlock()
		return
	}
	s.stored = expiry
	written := b.store.begin(thing, func(tx *sqlite.Tx) error {
		return tx.Exec("INSERT INTO sessions (thing, expiry) VALUES (?, ?) ON CONFLICT (thing) DO UPDATE SET expiry = excluded.expiry", thing, expiry)
	})
	s.mu.Unlock()
	<-written
}

// forgetSession takes all of a session off the disk. The caller holds s.mu.
func (b *Broker) forgetSession(s *session) {
	if s.stored == 0 {
		return
	}
	s.stored = 0
	thing := s.thing
	at(pointEnded)
	b.store.do(op{session: thing, ends: true, run: func(tx *sqlite.Tx) error {
		for _, table := range []string{"sessions", "subscriptions", "queue", "received", "released"} {
			if err := tx.Exec("DELETE FROM "+table+" WHERE thing = ?", thing); err != nil {
				return err
			}
		}
		return nil
	}})
}

// rememberSubscriptions writes new subscriptions of a session that is kept, and
// returns when they are on disk: SUBACK is a promise.
func (b *Broker) rememberSubscriptions(s *session, added, removed []*subscription) {
	s.mu.Lock()
	if s.stored == 0 || s.ended || len(added)+len(removed) == 0 {
		s.mu.Unlock()
		return
	}
	written := b.store.begin(s.thing, func(tx *sqlite.Tx) error {
		for _, sub := range added {
			err := tx.Exec("INSERT INTO subscriptions (thing, filter, qos, id, no_local, as_published) VALUES (?, ?, ?, ?, ?, ?)"+
				" ON CONFLICT (thing, filter) DO UPDATE SET qos = excluded.qos, id = excluded.id, no_local = excluded.no_local, as_published = excluded.as_published",
				s.thing, sub.filter, int64(sub.qos), int64(sub.id), number(sub.noLocal), number(sub.asPublished))
			if err != nil {
				return err
			}
		}
		return forgetFilters(s.thing, removed...)(tx)
	})
	s.mu.Unlock()
	<-written
}
