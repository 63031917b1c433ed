package localshadow

import (
	"slices"
	"sync"
)

// shelved is how many documents are kept parsed: those of the devices of a home. Each
// takes some 50 KiB, at most shelvedBytes of texts beside its nodes.
const (
	shelved      = 16
	shelvedBytes = 64 << 10
)

// shelf keeps the documents that were updated last, parsed: devices that report by turns
// have theirs parsed once.
type shelf struct {
	mu    sync.Mutex
	works []*work // guarded by mu: that which was used last is the last
}

var recent shelf

// take returns the work that has the document, or else one to begin with.
func (s *shelf) take(d *Document) *work {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.works, func(w *work) bool { return w.holds(d) })
	if i < 0 {
		if len(s.works) < shelved {
			return works.Get().(*work)
		}
		i = 0
	}
	w := s.works[i]
	s.works = slices.Delete(s.works, i, i+1)
	return w
}

// put gives a work back.
func (s *shelf) put(w *work) {
	if !w.knows || cap(w.nodes) > 2*staleNodes || cap(w.src)+cap(w.out) > shelvedBytes {
		works.Put(w)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.works) == shelved {
		works.Put(s.works[0])
		s.works = slices.Delete(s.works, 0, 1)
	}
	s.works = append(s.works, w)
}
