package functions

import (
	"context"
	"fmt"
	"time"

	"greengate/core/sqlite"
)

// Requeue puts calls in quarantine back to the end of their queues, the oldest first, as
// far as there is room. pick is asked for each and returns the route by which it goes; it
// must not block, and may be asked about one more than once. Those whose function is gone,
// and those that the disk has damaged, are not asked for.
//
// What was put back has been accepted anew: Options.Requeued is told before anything
// becomes of it, and Options.Settled once more what did. It has no time to live, since
// somebody wants it made.
func (m *Manager) Requeue(ctx context.Context, pick func(Record) (route string, ok bool)) (int, error) {
	var batch []*call
	var isolated map[string]int
	err := m.store.db.Update(ctx, func(tx *sqlite.Tx) (err error) {
		batch, err = m.pick(tx, pick)
		if err == nil {
			isolated, err = m.store.putBack(tx, batch)
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("put calls back from quarantine: %w", err)
	}
	routes := map[string]int{}
	for _, c := range batch {
		routes[c.route]++
	}
	for route, n := range routes {
		m.o.Requeued(route, n)
	}
	m.store.mu.Lock()
	m.store.isolated = isolated
	for _, c := range batch {
		m.store.durable[c.f.name]++
	}
	m.store.mu.Unlock()
	for _, c := range batch {
		c.f.readmit(c)
	}
	return len(batch), nil
}

// pick reads the calls in quarantine that are to be put back.
func (m *Manager) pick(tx *sqlite.Tx, pick func(Record) (string, bool)) (batch []*call, err error) {
	coming := map[*function]list{}
	err = records(tx, "", func(r Record) error {
		f := m.find(r.Function)
		if f == nil || r.Reason == reasonDamaged {
			return nil
		}
		route, ok := pick(r)
		n := coming[f]
		if !ok || !f.admits(n.n, n.bytes+int64(len(r.Payload))) {
			return nil
		}
		coming[f] = list{n: n.n + 1, bytes: n.bytes + int64(len(r.Payload))}
		batch = append(batch, &call{
			f: f, id: r.ID, source: r.Source, subject: r.Topic, payload: r.Payload, route: route,
			counted: true, byRow: true, durable: true, stored: true, seq: r.Seq,
		})
		return nil
	})
	return batch, err
}

// admits tells whether there is room for so many more calls and one.
func (f *function) admits(calls int, bytes int64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return calls+f.waiting.n+f.later.n < f.c.Queue.Max && bytes+f.waiting.bytes+f.later.bytes <= f.c.Queue.MaxSize
}

// putBack moves calls from the quarantine, with new seqs. The seq that a call has is that
// in quarantine.
func (s *store) putBack(tx *sqlite.Tx, batch []*call) (isolated map[string]int, err error) {
	for _, c := range batch {
		if err := tx.Exec("DELETE FROM quarantine WHERE seq = ?", c.seq); err != nil {
			return nil, err
		}
		s.mu.Lock()
		s.seq++
		c.seq = s.seq
		s.mu.Unlock()
		if err := insert(tx, c); err != nil {
			return nil, err
		}
	}
	return countIsolated(tx)
}

// readmit queues a call that is on the disk.
func (f *function) readmit(c *call) {
	c.unfit = !f.fits(c.payload)
	f.mu.Lock()
	defer f.unlock()
	f.waiting.pushBack(c)
	switch f.phase {
	case working:
		f.dispatch(time.Now())
	case leaving: // meanwhile
		f.close(c, end{verdict: Quarantined, reason: ReasonGone})
	}
}

// Discard deletes the calls in quarantine that pick wants, and returns how many. They
// were settled when they came there. pick is as for Requeue.
func (m *Manager) Discard(ctx context.Context, pick func(Record) bool) (int, error) {
	var seqs []int64
	var isolated map[string]int
	err := m.store.db.Update(ctx, func(tx *sqlite.Tx) (err error) {
		seqs = seqs[:0]
		err = records(tx, "", func(r Record) error {
			if pick(r) {
				seqs = append(seqs, r.Seq)
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, seq := range seqs {
			if err := tx.Exec("DELETE FROM quarantine WHERE seq = ?", seq); err != nil {
				return err
			}
		}
		isolated, err = countIsolated(tx)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("delete calls from quarantine: %w", err)
	}
	m.store.mu.Lock()
	m.store.isolated = isolated
	m.store.mu.Unlock()
	return len(seqs), nil
}
