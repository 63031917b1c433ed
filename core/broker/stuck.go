package broker

import (
	"slices"
	"time"
)

// What the disk did not take is stuck. It is tried again in ever smaller parts, so that
// on a full disk only that waits for which there is no room: the rest is written and
// acknowledged, in the order that was promised.

// maxBehind bounds the changes that are stuck. Messages whose publishers wait for their
// acknowledgement do not count: those are bounded by what their connections may have on
// the way.
const maxBehind = 65_536

// retryPause is the time between two rounds through all that is stuck; a commit that
// makes room ends it. The disk has a pace of its own besides: a database pauses after a
// group that could not be committed.
const retryPause = 250 * time.Millisecond

// bars are what may not be overtaken, because it waits for the disk.
type bars struct {
	sources  map[string]bool // with messages that wait
	targets  map[string]bool // for whom messages wait
	sessions map[string]bool // with changes that wait
	keys     map[key]bool
}

func barsOf(ops []op) *bars {
	b := &bars{sources: map[string]bool{}, targets: map[string]bool{}, sessions: map[string]bool{}, keys: map[key]bool{}}
	for i := range ops {
		b.add(&ops[i])
	}
	return b
}

func (b *bars) add(o *op) {
	if o.source != "" {
		b.sources[o.source] = true
	}
	if o.to != "" {
		b.targets[o.to] = true
	}
	if o.session != "" {
		b.sessions[o.session] = true
	}
	if o.key != (key{}) {
		b.keys[o.key] = true
	}
}

// stop tells whether o has to wait too: messages of one source keep their order, a
// message comes after the session that it is for, and what was undone must not come
// after its undoing.
func (b *bars) stop(o *op) bool {
	return b.sources[o.source] || b.sessions[o.to] || b.sessions[o.session] || b.keys[o.key] || o.ends && b.targets[o.session]
}

// unbarred returns those of new ops that nothing stuck stops. The others are stuck too.
func (st *store) unbarred(ops []op) []op {
	if len(st.stuck) == 0 || len(ops) == 0 {
		return ops
	}
	b := barsOf(st.stuck)
	var free, barred []op
	for i := range ops {
		if o := &ops[i]; b.stop(o) {
			b.add(o)
			barred = append(barred, *o)
		} else {
			free = append(free, *o)
		}
	}
	if len(barred) > 0 {
		st.hold(append(st.stuck, barred...))
		st.note()
	}
	return free
}

// again puts what the disk did not take in front of what is stuck: nothing of that
// stopped it.
func (st *store) again(ops []op) {
	if len(st.stuck) == 0 {
		st.chunk = (len(ops) + 1) / 2
	}
	st.hold(append(slices.Clip(ops), st.stuck...))
}

// hold makes these all that is stuck. Those to whom nothing was promised wait no more.
func (st *store) hold(ops []op) {
	for i := range ops {
		if o := &ops[i]; !o.safe && o.done != nil {
			o.done()
			o.done = nil
		}
		if o := &ops[i]; o.passed != nil {
			o.passed()
			o.passed = nil
		}
	}
	kept, freed, lost := outlast(ops)
	st.stuck = kept
	st.mu.Lock()
	st.lost += lost
	st.mu.Unlock()
	for _, done := range freed {
		done()
	}
}

// retry tries to write a part of what is stuck. A part that does not fit is halved; a
// change that does not fit by itself is left out, with all that may not overtake it,
// until the next round. It reports whether it is worth while to go on.
func (st *store) retry() bool {
	part, rest := st.part()
	if len(part) == 0 {
		for i := range st.stuck {
			st.stuck[i].refused = false
		}
		st.retryAt = time.Now().Add(retryPause)
		return false
	}
	st.stuck = rest
	if st.commit(part) {
		st.chunk = 2 * len(part)
		return true
	}
	if st.chunk = len(part) / 2; st.chunk > 0 {
		return true
	}
	for i := range st.stuck {
		o := &st.stuck[i]
		o.refused = o.refused || o.key == part[0].key && o.session == part[0].session
	}
	return false
}

// part takes what is to be tried next from what is stuck.
func (st *store) part() (part, rest []op) {
	b := barsOf(nil)
	for i := range st.stuck {
		o := &st.stuck[i]
		if len(part) >= max(1, st.chunk) {
			return part, append(rest, st.stuck[i:]...)
		}
		if o.refused || b.stop(o) {
			b.add(o)
			rest = append(rest, *o)
		} else {
			part = append(part, *o)
		}
	}
	return part, rest
}

// outlast leaves out what later ops make needless, lest a disk that fails for long
// fill the memory: of the same row only the last op counts, and a message that came
// and went meanwhile, or whose session is over, needs none, so that whoever waits for
// it is freed. lost is how many were given up beyond the bound.
func outlast(ops []op) (kept []op, freed []func(), lost int) {
	last := map[key]int{} // index in kept, which is in reverse
	over := map[string]bool{}
	waits := 0
	free := func(o op) {
		if o.done != nil {
			freed = append(freed, o.done)
		}
	}
	for _, o := range slices.Backward(ops) {
		if i, again := last[o.key]; again {
			later := &kept[i]
			if !later.undoes {
				later.done, later.safe = both(o.done, later.done), o.safe || later.safe
				continue
			}
			if !o.alters {
				free(*later)
				later.run, later.done = nil, nil
			}
			free(o)
			continue
		}
		if o.to != "" && over[o.to] {
			free(o)
			continue
		}
		if !o.safe {
			if waits++; waits > maxBehind {
				lost++
				continue
			}
		}
		if o.ends {
			over[o.session] = true
		}
		if o.key != (key{}) {
			last[o.key] = len(kept)
		}
		kept = append(kept, o)
	}
	slices.Reverse(kept)
	slices.Reverse(freed)
	return slices.DeleteFunc(kept, func(o op) bool { return o.run == nil }), freed, lost
}

func both(first, second func()) func() {
	switch {
	case first == nil:
		return second
	case second == nil:
		return first
	}
	return func() { first(); second() }
}
