package telemetry

import "greengate/core/sqlite"

const (
	evictRows  = 64    // that are looked at together
	maxEvicted = 16384 // rows that are looked at for one message
)

// find reports whether there is room for a message, having made some if the policies
// allow it.
func (w *write) find(tx *sqlite.Tx, e *entry) (bool, error) {
	r := &w.room
	need := r.cost(e)
	if r.short(need) && r.pending > 0 { // now it must be exact
		if err := w.insert(tx); err != nil {
			return false, err
		}
		r.pending = 0
		if err := r.look(tx); err != nil {
			return false, err
		}
	}
	if r.short(need) {
		if err := w.evict(tx, e, need); err != nil {
			return false, err
		}
		if r.short(need) {
			return false, nil
		}
	}
	r.pending += need
	return true, nil
}

// evict gives messages up for e: those of lower priority first, then, as its route
// says, those of its own.
func (w *write) evict(tx *sqlite.Tx, e *entry, need int64) error {
	// Some more than is needed, lest every message evict one.
	want := need + min(64*w.room.page, w.room.limit/16)
	for lane := lanes - 1; lane > e.lane; lane-- {
		pick := func(*route, int) bool { return true }
		if err := w.evictLane(tx, lane, want, ReasonPriority, new(int64), pick); err != nil || !w.room.short(want) {
			return err
		}
	}
	up := &w.in.evict
	switch settings := e.route.settings.Load(); settings.WhenFull {
	case DropOldest:
		old := func(r *route, _ int) bool { return r.settings.Load().WhenFull != DropNewest }
		return w.evictLane(tx, e.lane, want, ReasonOldest, &up.kept[e.lane], old)
	case Thin:
		thin := func(r *route, n int) bool { return r == e.route && n%settings.Keep != 0 }
		from := up.thinned[e.route]
		err := w.evictLane(tx, e.lane, want, ReasonThinned, &from, thin)
		if err == nil && w.room.short(want) { // at the end: once more from the beginning
			from = 0
			err = w.evictLane(tx, e.lane, want, ReasonThinned, &from, thin)
		}
		up.thinned[e.route] = from
		return err
	}
	return nil
}

// evictions is how far the functions have come in giving messages up.
type evictions struct {
	kept    [lanes]int64 // rows up to here are kept by their routes
	thinned map[*route]int64
}

// evictLane gives up rows after *from that pick wants, until there is room for that
// many bytes or the lane ends, and moves *from. Rows that the uploader has in hand
// stay. pick is asked with the number of the row among those of its route.
func (w *write) evictLane(tx *sqlite.Tx, lane laneID, want int64, reason string, from *int64, pick func(*route, int) bool) error {
	numbers := map[*route]int{}
	for looked := 0; w.room.short(want) && looked < maxEvicted; looked += evictRows {
		gone := len(w.taken)
		seen, err := heads(tx, lane, *from, evictRows, func(seq int64, h *head, size int64) {
			*from = seq
			route := w.in.s.routeOf(h.route)
			numbers[route]++
			if pick(route, numbers[route]-1) && w.in.s.take(seq) {
				w.taken = append(w.taken, seq)
				w.note(lane, route, count{-1, -size})
				w.ends[end{route, Dropped, reason}]++
			}
		})
		if err != nil {
			return err
		}
		if err := remove(tx, lane, w.taken[gone:]); err != nil {
			return err
		}
		if len(w.taken) > gone {
			w.in.s.at(pointEvicted)
			if err := w.room.look(tx); err != nil {
				return err
			}
		}
		if seen < evictRows {
			break
		}
	}
	return nil
}
