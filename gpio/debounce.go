package gpio

import "time"

// pollEvery is how often an input is looked at without an edge, in case one got
// lost.
const pollEvery = 250 * time.Millisecond

// debounce finds the level of a contact that bounces. A level counts when it has
// been steady for hold: when no edge came in that time, by the times of the edges.
// So it does not matter how late they are read.
type debounce struct {
	hold   time.Duration
	stable bool      // the level that counts
	seen   bool      // the level after the last edge, or at the last look
	since  time.Time // since when seen is steady
	looked bool      // a look has found seen, not an edge
}

// change is a level that counts from now on.
type change struct {
	level  bool
	at     time.Time // since when it lasts
	looked bool      // at is when a look found it: no edge has told it
}

// begin makes level the one that counts.
func (d *debounce) begin(level bool) { d.stable, d.seen = level, level }

// edge takes an edge, and returns the change that it brings to light: of the level
// before it, or, without a hold, of the level after it.
func (d *debounce) edge(e edge) (c change, ok bool) {
	if d.looked && e.rising == d.seen && e.missed == 0 {
		d.since, d.looked = e.at, false // the look came before the edge that it saw
		return change{}, false
	}
	if e.missed == 0 && e.rising != d.seen { // else there were others in between
		c, ok = d.settle(e.at)
	}
	d.seen, d.since, d.looked = e.rising, e.at, false
	if !ok {
		c, ok = d.settle(e.at)
	}
	return c, ok
}

// look takes the level that the line has now. Until the given time no edge came.
func (d *debounce) look(until time.Time, level bool) (change, bool) {
	if level != d.seen {
		until = time.Now()
		d.seen, d.since, d.looked = level, until, true
	}
	return d.settle(until)
}

// settle makes the level count that was steady until then, for long enough.
func (d *debounce) settle(until time.Time) (change, bool) {
	if d.seen == d.stable || until.Sub(d.since) < d.hold {
		return change{}, false
	}
	d.stable = d.seen
	return change{d.stable, d.since, d.looked}, true
}

// wait returns how long to wait for an edge before the next look, more than 0.
func (d *debounce) wait(now time.Time) time.Duration {
	if d.seen == d.stable {
		return pollEvery
	}
	return min(max(d.hold-now.Sub(d.since), time.Millisecond), pollEvery)
}

// certain returns until when the level that counts is known to have lasted.
func (d *debounce) certain(now time.Time) time.Time {
	if d.seen == d.stable {
		return now
	}
	return d.since
}
