package gpio

import "time"

// pollEvery is how often an input is looked at without an edge: edges get lost
// when many come at once.
const pollEvery = 250 * time.Millisecond

// debounce finds the level of a contact that bounces. A level counts when it has
// been steady for hold: when every look in that time showed it and no edge came.
type debounce struct {
	hold   time.Duration
	stable bool      // the level that counts
	seen   bool      // the level at the last look
	since  time.Time // since when seen is steady
}

// begin makes level the one that counts.
func (d *debounce) begin(level bool) { d.stable, d.seen = level, level }

// look takes the level at a time, and whether an edge brought it up. It tells
// whether another level counts from now on; it has lasted since d.since.
func (d *debounce) look(now time.Time, level, edge bool) (changed bool) {
	if edge || level != d.seen {
		d.seen, d.since = level, now
	}
	if d.seen == d.stable || now.Sub(d.since) < d.hold {
		return false
	}
	d.stable = d.seen
	return true
}

// wait returns how long to wait for an edge before the next look. It is more
// than 0, which a line would take for ever.
func (d *debounce) wait(now time.Time) time.Duration {
	if d.seen == d.stable {
		return pollEvery
	}
	return min(max(d.hold-now.Sub(d.since), time.Millisecond), pollEvery)
}
