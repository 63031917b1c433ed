package main

import "sync/atomic"

// stream is what one subscriber hears of one publisher, whose messages are
// numbered from 0. The subscriber's goroutine owns it, but for reached.
type stream struct {
	from    *publisher
	reached atomic.Uint64 // next as of the last batch; the publisher goes by it

	next    uint64              // the number that is due
	missing map[uint64]struct{} // numbers below next that have not come
	wrong   tally               // without what is missing
}

// tally counts what went wrong, in messages.
type tally struct {
	lost       uint64 // never came
	duplicates uint64 // came twice
	late       uint64 // came after one that was sent later
	unacked    uint64 // were never acknowledged to their publisher
}

func (t *tally) add(o tally) {
	t.lost += o.lost
	t.duplicates += o.duplicates
	t.late += o.late
	t.unacked += o.unacked
}

func (t tally) sum() uint64 { return t.lost + t.duplicates + t.late + t.unacked }

// maxMissing bounds the memory for gaps. What is missing beyond it counts as lost
// at once, and should it come late, as a duplicate: with so many gaps the
// difference is of no interest.
const maxMissing = 1 << 16

// see takes the message n.
func (s *stream) see(n uint64) {
	if n == s.next {
		s.next++
		return
	}
	if n > s.next {
		s.miss(s.next, n)
		s.next = n + 1
		return
	}
	if _, gap := s.missing[n]; gap {
		delete(s.missing, n)
		s.wrong.late++
		return
	}
	s.wrong.duplicates++
}

// miss notes that the numbers from..to-1 have not come yet.
func (s *stream) miss(from, to uint64) {
	if s.missing == nil {
		s.missing = make(map[uint64]struct{})
	}
	for ; from < to && len(s.missing) < maxMissing; from++ {
		s.missing[from] = struct{}{}
	}
	s.wrong.lost += to - from
}

// end is what went wrong in all, when sent messages were sent.
func (s *stream) end(sent uint64) tally {
	t := s.wrong
	t.lost += uint64(len(s.missing)) + sent - min(s.next, sent)
	return t
}
