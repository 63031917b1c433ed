package telemetry

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"greengate/core/sqlite"
)

// ErrNoRoom is that of Requeue: what is put back finds no room, nor makes it.
var ErrNoRoom = errors.New("the spool has no room for them")

// Why a message is in quarantine that nobody may send any more.
const (
	causeDamaged = "the disk has damaged it: its checksum is wrong"
	causeForged  = "somebody has changed it: its seal does not fit"
)

// Requeue puts messages in quarantine back to the end of the queue, all or none. pick is
// asked for each, the oldest first, and returns the route by which those go that are
// meant; it must not block, and may be asked about one more than once. Those that the
// disk has damaged, or that cannot be read for want of a key, are not asked for.
//
// What was put back has been accepted anew: Options.Requeued is told before anything
// becomes of it, and Options.Settled once more what did. It has a new seq and no time to
// live, since somebody wants it sent; its gg-time stays if that was right.
//
// The error is ErrNoRoom, ErrStopped, ErrNoKey, that of ctx, what is wrong with a route, or of the
// disk. Then nothing was put back.
func (s *Spool) Requeue(ctx context.Context, pick func(Record) (Route, bool)) (n int, err error) {
	if s.keys.lacking.Load() {
		return 0, fmt.Errorf("put messages back from quarantine: %w", ErrNoKey)
	}
	b := &back{s: s, pick: pick, told: make(chan error, 1)}
	w := &write{in: &s.intake, back: b}
	if err := s.intake.putBack(w); err != nil {
		return 0, err
	}
	select {
	case err = <-b.told:
	case <-ctx.Done():
		if s.intake.withdraw(w) {
			return 0, ctx.Err()
		}
		err = <-b.told
	}
	if err != nil {
		return 0, fmt.Errorf("put messages back from quarantine: %w", err)
	}
	return len(b.seqs), nil
}

// back is what a write takes out of quarantine, instead of what was staged.
type back struct {
	s    *Spool
	pick func(Record) (Route, bool)
	told chan error // how it ended

	seqs  []int64 // in quarantine
	there count   // in quarantine afterwards
}

// take reads what pick wants.
func (b *back) take(tx *sqlite.Tx) (batch []entry, err error) {
	b.seqs = b.seqs[:0]
	err = b.s.quarantined(tx, 0, -1, func(it *item, r Record) error {
		if !it.readable() || r.Quarantine == causeDamaged {
			return nil
		}
		way, ok := b.pick(r)
		if !ok {
			return nil
		}
		e, err := b.s.again(it, r, way)
		batch, b.seqs = append(batch, e), append(b.seqs, it.seq)
		return err
	})
	return batch, err
}

// again makes of a message in quarantine one that is to be written.
func (s *Spool) again(it *item, r Record, way Route) (entry, error) {
	s.mu.Lock()
	route, err := s.route(&way)
	s.mu.Unlock()
	if err != nil {
		return entry{}, err
	}
	h := head{route: route.id, flags: it.flags & flagRetain}
	var synced bool
	if h.mono, h.wall, synced = s.clock.stamp(); r.Clock != clockUnsynced {
		h.wall, synced = r.Time.UnixNano(), true
	}
	if synced {
		h.flags |= flagSynced
	}
	return entry{
		row: newRow(it.source, it.topic, it.properties, it.payload, h), route: route, stream: s.keys.stream(it.source, it.topic),
		want: laneOf[way.Priority], size: it.size(), stored: func(error) {},
	}, nil
}

// remove takes what was put back out of quarantine.
func (b *back) remove(tx *sqlite.Tx) (err error) {
	b.there, err = removeQuarantined(tx, b.seqs)
	b.s.at(pointRequeued)
	return err
}

func removeQuarantined(tx *sqlite.Tx, seqs []int64) (there count, err error) {
	for _, seq := range seqs {
		if err := tx.Exec("DELETE FROM quarantine WHERE seq = ?", seq); err != nil {
			return count{}, err
		}
	}
	err = tx.QueryRow(sqlQuarantined).Scan(&there.messages, &there.bytes)
	return there, err
}

// tell counts what has been put back. An end of it can only be told by a later function
// of the database, even if it is sent already.
func (b *back) tell(batch []entry) {
	if len(batch) == 0 {
		return
	}
	b.s.stats.restored(len(batch), 0, b.there)
	routes := map[*route]int{}
	for i := range batch {
		routes[batch[i].route]++
	}
	for r, n := range routes {
		b.s.o.Requeued(r.key, n)
	}
}

// Discard deletes the messages in quarantine that pick wants, all or none, and returns
// how many. They were settled when they came there. pick is as for Requeue.
func (s *Spool) Discard(ctx context.Context, pick func(Record) bool) (n int, err error) {
	var seqs []int64
	var there count
	told := make(chan error, 1)
	err = s.o.DB.Enqueue(ctx, func(tx *sqlite.Tx) (err error) {
		seqs = seqs[:0]
		err = s.quarantined(tx, 0, -1, func(it *item, r Record) error {
			if pick(r) {
				seqs = append(seqs, it.seq)
			}
			return nil
		})
		if err == nil {
			there, err = removeQuarantined(tx, seqs)
		}
		return err
	}, func(err error) {
		if err == nil {
			s.stats.restored(0, len(seqs), there)
		}
		told <- err
	})
	if err == nil {
		err = <-told
	}
	if err != nil {
		return 0, fmt.Errorf("delete messages from quarantine: %w", err)
	}
	return len(seqs), nil
}

// putBack has a write wait for its turn.
func (in *intake) putBack(w *write) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.stopped {
		return ErrStopped
	}
	in.back = append(in.back, w)
	in.schedule()
	return nil
}

// withdraw takes a write back whose turn has not come.
func (in *intake) withdraw(w *write) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	i := slices.Index(in.back, w)
	if i < 0 {
		return false
	}
	in.back = slices.Delete(in.back, i, i+1)
	return true
}

// number gives a batch that nobody staged its seqs: before those of what is staged,
// which is written after it. Nobody has seen these yet, so they move up.
func (in *intake) number(batch []entry) {
	in.mu.Lock()
	defer in.mu.Unlock()
	n := int64(len(batch))
	first := in.seq + 1
	if len(in.staged) > 0 {
		first = in.staged[0].seq
	}
	for i := range batch {
		batch[i].seq = first + int64(i)
		in.bytes += batch[i].weight()
	}
	for i := range in.staged {
		in.staged[i].seq += n
	}
	in.seq += n
	in.count += len(batch)
}
