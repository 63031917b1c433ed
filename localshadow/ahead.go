package localshadow

import "time"

// ahead is what came of an update before its turn: the merge is done by who brings the
// request, while the writer, of which there is one, writes others. It counts if the
// document is still the one that it was made of when its turn comes.
type ahead struct {
	old, d Document
	answer Answer
	now    time.Time
}

// prepare merges the update of a remembered document that nothing else waits for. What
// fails is left to the writer, who tells why.
func (s *Service) prepare(j *job) {
	if j.op != OpUpdate || j.refused || s.busy(j.thing) {
		return
	}
	old, ok := s.hot.remembers(Key{j.thing, j.name})
	if !ok {
		return
	}
	a := &ahead{old: old, now: s.o.Now()}
	var err error
	if a.d, a.answer, err = Update(old, j.payload, a.now, s.o.Limits); err == nil {
		j.ahead = a
		j.bytes += a.held()
	}
}

// held is what it keeps in memory, in bytes.
func (a *ahead) held() int64 {
	if a == nil {
		return 0
	}
	return int64(a.answer.held())
}

// busy tells whether requests of a thing wait.
func (s *Service) busy(thing string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pending[thing] > 0
}

// update is what becomes of a document.
func (j *job) update(old Document) (d Document, err error) {
	if a := j.ahead; a != nil && a.old == old {
		j.answer, j.now = a.answer, a.now
		return a.d, nil
	}
	d, j.answer, err = Update(old, j.payload, j.now, j.s.o.Limits)
	return d, err
}
