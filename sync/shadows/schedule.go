package shadows

import (
	"cmp"
	"container/heap"
	"container/list"
	"math/rand/v2"
	"slices"
	"time"
)

// schedule holds the entries and says which is next. It is guarded by
// Reconciler.mu.
type schedule struct {
	rate    Rate
	sends   chan struct{} // wakes who takes the next request: there may be room for one
	entries map[key]*entry
	ready   list.List // for a transaction
	// To be sent: what somebody waits for, what has begun, what is to begin.
	live, begun, bulk list.List
	suspects          list.List // and what goes alone, the least blamed first, see suspects.go
	alone             *entry    // nothing else leaves while it flies
	flying            int
	others            int // that went since the last one went alone
	lost              int // that were not acknowledged, since one was
	timers            timers
	paces             map[string]*pace
	exchanges, lively int // that are in the window
}

// pace keeps the limits of one thing.
type pace struct {
	inFlight int
	next     time.Time // when it may send again
}

// entry returns that of a shadow, or a new one.
func (s *schedule) entry(k key) *entry {
	e := s.entries[k]
	if e == nil {
		e = &entry{key: k, index: -1}
		s.entries[k] = e
	}
	return e
}

// put has an entry wait in a list.
func (s *schedule) put(e *entry, p place, l *list.List) {
	e.place, e.lane = p, l
	e.element = l.PushBack(e)
}

// rest takes an entry out of every list.
func (s *schedule) rest(e *entry) {
	if e.element != nil {
		e.lane.Remove(e.element)
		e.element, e.lane = nil, nil
	}
	s.at(e, time.Time{})
	e.place = idle
}

// at sets the deadline of an entry; zero takes it away.
func (s *schedule) at(e *entry, t time.Time) {
	switch e.deadline = t; {
	case t.IsZero():
		if e.index >= 0 {
			heap.Remove(&s.timers, e.index)
		}
	case e.index >= 0:
		heap.Fix(&s.timers, e.index)
	default:
		heap.Push(&s.timers, e)
	}
}

// queue has the request of an entry wait to be sent.
func (s *schedule) queue(e *entry) {
	switch {
	case e.suspect():
		s.put(e, queued, &s.suspects)
		for front := e.element.Prev(); front != nil && front.Value.(*entry).blame > e.blame; front = e.element.Prev() {
			s.suspects.MoveBefore(e.element, front)
		}
	case e.live:
		s.put(e, queued, &s.live)
	case e.counted:
		s.put(e, queued, &s.begun)
	default:
		s.put(e, queued, &s.bulk)
	}
}

// promote moves an entry before all that nobody waits for.
func (s *schedule) promote(e *entry) {
	if e.live {
		return
	}
	wasQueued := e.place == queued
	if wasQueued {
		s.rest(e)
	}
	s.release(e)
	e.live = true
	if wasQueued {
		s.queue(e)
	}
}

// next takes the entry whose request may leave now, or says how long until one
// may; 0 when nothing but an answer or a new request changes that.
func (s *schedule) next(now time.Time) (e *entry, wait time.Duration) {
	careful := s.lost >= lostLimit
	if s.alone != nil || careful && s.flying > 0 {
		return nil, 0
	}
	if front := s.suspects.Front(); front != nil && (s.flying == 0 && s.live.Len()+s.begun.Len()+s.bulk.Len() == 0 || s.others >= otherRequests) {
		return s.single(front.Value.(*entry), now)
	}
	for _, l := range []*list.List{&s.live, &s.begun, &s.bulk} {
		for el := l.Front(); el != nil; el = el.Next() {
			e := el.Value.(*entry)
			if !e.counted && (e.live && s.lively >= s.rate.Live || !e.live && s.exchanges >= s.rate.Exchanges) {
				if l == &s.bulk {
					break // none of them is in the window
				}
				continue
			}
			until, ok := s.admits(e.thing, now)
			if ok {
				s.take(e, now)
				if careful {
					s.alone = e
				}
				return e, 0
			}
			if until > 0 && (wait == 0 || until < wait) {
				wait = until
			}
		}
	}
	return nil, wait
}

// single takes a suspect when nothing else is under way.
func (s *schedule) single(e *entry, now time.Time) (*entry, time.Duration) {
	if s.flying > 0 {
		return nil, 0
	}
	until, ok := s.admits(e.thing, now)
	if !ok {
		return nil, max(until, 0)
	}
	s.take(e, now)
	s.alone, s.others = e, 0
	return e, 0
}

func (s *schedule) admits(thing string, now time.Time) (until time.Duration, ok bool) {
	p := s.paces[thing]
	if p == nil {
		return 0, true
	}
	if p.inFlight >= s.rate.InFlight {
		return 0, false
	}
	until = p.next.Sub(now)
	return until, until <= 0
}

// take has an entry fly.
func (s *schedule) take(e *entry, now time.Time) {
	s.rest(e)
	e.place = flying
	s.flying++
	s.others++
	if !e.counted {
		e.counted = true
		*s.window(e)++
	}
	p := s.paces[e.thing]
	if p == nil {
		if len(s.paces) > 2*(s.rate.Exchanges+s.rate.Live) {
			for thing, p := range s.paces {
				if p.inFlight == 0 && !p.next.After(now) {
					delete(s.paces, thing)
				}
			}
		}
		p = &pace{}
		s.paces[e.thing] = p
	}
	p.inFlight++
	if s.rate.PerThing > 0 {
		p.next = now.Add(time.Second / time.Duration(s.rate.PerThing))
	}
}

// land ends the flight of an entry.
func (s *schedule) land(e *entry) {
	if e.place == flying {
		s.flying--
		if p := s.paces[e.thing]; p != nil {
			p.inFlight--
		}
	}
	if s.alone == e {
		s.alone = nil
	}
	e.request = nil
	s.rest(e)
}

func (s *schedule) window(e *entry) *int {
	if e.live {
		return &s.lively
	}
	return &s.exchanges
}

// release takes an entry out of the window of exchanges.
func (s *schedule) release(e *entry) {
	if e.counted {
		e.counted = false
		*s.window(e)--
		trigger(s.sends)
	}
}

// drop forgets an entry that is idle: its shadow is in step, or not ours.
func (s *schedule) drop(e *entry) {
	s.rest(e)
	s.release(e)
	delete(s.entries, e.key)
}

// hear keeps a notification, in the order of versions. It reports false when
// there are so many that asking is better.
func (e *entry) hear(n note) bool {
	const most = 32
	if len(e.notes) >= most {
		e.notes, e.news = nil, false
		return false
	}
	at, _ := slices.BinarySearchFunc(e.notes, n, byVersion)
	e.notes, e.news = slices.Insert(e.notes, at, n), true
	return true
}

// byVersion orders notifications; the deletion of a version comes behind the
// update that made it.
func byVersion(a, b note) int {
	if c := cmp.Compare(a.version, b.version); c != 0 || a.deleted == b.deleted {
		return c
	}
	if b.deleted {
		return -1
	}
	return 1
}

// backoff draws a wait evenly between nothing and a ceiling that doubles.
func (t *Timing) backoff(attempts int) time.Duration {
	ceiling := t.RetryMax
	if attempts < 16 {
		ceiling = min(ceiling, t.Retry<<attempts)
	}
	return rand.N(ceiling + 1)
}
