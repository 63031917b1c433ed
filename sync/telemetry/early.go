package telemetry

import "time"

// A message that comes while nothing else waits is sent before it is on the disk. If the
// cloud acknowledges it in time it never comes there: it is safe where it was to go, and
// costs the card nothing. Else it is written, with all that has gathered, and goes on as
// any other. So a gateway that is connected writes little, and one whose cloud is far or
// gone commits at once.
//
// What is sent early stays the first part of intake.staged, in its order, until it is told
// stored or a function takes it. It may only be sent under a seq that no crash can give
// again, which the database must say first.

// hold is how long a message may wait for the cloud without being on the disk.
const hold = 100 * time.Millisecond

// sent reports whether the cloud has a message that has no row yet. The caller holds in.mu.
func (e *entry) sent() bool { return e.item != nil && e.item.end != nil && e.item.end.verdict == Sent }

// early takes the next message that is not on the disk, if it may go now: when the
// uploader has nothing else to send. It decides whether messages may wait for that.
func (u *uploader) early() *flight {
	s, in := u.s, &u.s.intake
	s.mu.Lock()
	defer s.mu.Unlock()
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.waiting = in.quick && u.idle(); !in.waiting {
		in.schedule()
		return nil
	}
	if in.waits || in.running > 0 || len(in.back) > 0 || in.early == len(in.staged) {
		return nil
	}
	e := &in.staged[in.early]
	it := newItem(e.seq, e.want, e.row.bytes[:e.row.body], e.row.bytes[e.row.body:])
	it.route, it.early, it.round = e.route, true, in.round
	if !s.o.Stands(it.source, it.topic) || e.seq > in.safe || e.item != nil || e.route.settings.Load().Batch.MaxSize > 0 || u.waits(it.stream()) {
		in.write()
		return nil
	}
	e.item = it
	in.early++
	s.held[it.seq] = it
	s.at(pointEarly)
	return &flight{items: []*item{it}}
}

// idle reports whether all that is on the disk was read, and nothing has to be sent
// again. The caller holds s.mu.
func (u *uploader) idle() bool {
	for lane, q := range u.queues {
		if q.cursor < u.s.committed[lane] || len(q.live.items) > 0 {
			return false
		}
	}
	return !u.again && u.alone == nil && len(u.cuts) == 0
}

// waits reports whether a message of a stream was read and waits, for its batch.
func (u *uploader) waits(stream streamKey) bool {
	for _, q := range u.queues {
		for _, it := range q.items {
			if it.stream() == stream {
				return true
			}
		}
	}
	return false
}

// takeBack notes that what was sent early and not acknowledged is to be sent again: from
// the disk, as all that is sent again. The caller holds s.mu.
func (in *intake) takeBack() {
	in.mu.Lock()
	defer in.mu.Unlock()
	for i := range in.staged[:in.early] {
		if e := &in.staged[i]; e.item != nil && e.item.end == nil {
			e.item = nil
		}
	}
	in.waiting, in.early = false, 0
	in.round++
	in.schedule()
}

// landed takes note that a message of a function is on the disk, and returns false, or
// that it need not come there. The caller holds s.mu.
func (in *intake) landed(e *entry) (spared bool) {
	if e.item == nil {
		return false
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	it := e.item
	switch {
	case e.done:
		delete(in.s.held, it.seq)
		in.s.stats.spared.Add(1)
	case e.lost: // its end is told; what the cloud still says of it is nothing to anybody
		delete(in.s.held, it.seq)
	case it.end != nil:
		it.end.lane, it.early = e.lane, false
		in.s.leaving.add(*it.end)
	default:
		it.lane, it.early = e.lane, false
	}
	return e.done
}

// secure takes note that no seq up to one is given again.
func (in *intake) secure(seq int64) {
	in.mu.Lock()
	in.safe = max(in.safe, seq)
	in.mu.Unlock()
}

// ran takes note that a function has told how it ended.
func (in *intake) ran() {
	in.mu.Lock()
	in.running--
	in.mu.Unlock()
	in.spare()
}

// hurry has messages written that wait for the uploader, since it cannot send them now,
// and those that come from now on.
func (in *intake) hurry() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.waiting = false
	in.schedule()
}

// arm sees to it that what waits for the cloud is written in time. The caller holds in.mu.
func (in *intake) arm() {
	if in.armed {
		return
	}
	in.armed = true
	time.AfterFunc(time.Until(in.staged[0].due), in.late)
}

// late has messages written that the cloud has not acknowledged in time.
func (in *intake) late() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.armed = false
	switch {
	case len(in.staged) == 0 || !in.waiting:
	case time.Now().Before(in.staged[0].due):
		in.arm()
	default:
		in.waiting = false
		in.quick = in.early == 0 // the uploader was held up: not the cloud's fault
		in.write()
	}
}

// ended takes note of what became of a message that has no row yet. It returns false if
// it has one. The caller holds s.mu.
func (in *intake) ended(it *item, l leave) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !it.early {
		return false
	}
	it.end = &l
	if l.verdict != Sent {
		in.waiting = false
		in.schedule() // it needs its row
	}
	return true
}

// took takes note of how long the cloud has taken for an acknowledgement.
func (in *intake) took(d time.Duration) {
	if d > hold*3/4 {
		return
	}
	in.mu.Lock()
	in.quick = true
	in.mu.Unlock()
}

// spare tells of the messages that the cloud acknowledged before they were on the disk.
// They are told in the order in which they came, and so wait for those before them.
func (in *intake) spare() {
	in.mu.Lock()
	none := in.early == 0
	in.mu.Unlock()
	if none {
		return
	}
	s, n := in.s, 0
	s.mu.Lock()
	in.mu.Lock()
	if !in.waits && in.running == 0 {
		for n < len(in.staged) && in.staged[n].sent() {
			delete(s.held, in.staged[n].item.seq)
			n++
		}
	}
	batch := in.staged[:n:n]
	in.staged = in.staged[n:]
	in.early = max(0, in.early-n)
	in.waits = in.waits || n > 0 // nobody else tells meanwhile
	in.mu.Unlock()
	s.mu.Unlock()
	if n == 0 {
		return
	}
	s.at(pointSpared)
	told, accepted := ends{}, count{}
	for i := range batch {
		batch[i].stored(nil)
		accepted.add(count{1, batch[i].size})
		told[end{batch[i].route, Sent, ""}]++
	}
	s.stats.accepted(accepted)
	s.stats.spared.Add(uint64(n))
	told.tell(s)
	in.settle(batch)
	in.mu.Lock()
	in.waits = false
	in.schedule()
	in.mu.Unlock()
}
