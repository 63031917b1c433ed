package endpoint

import "sync"

// maxResults is how many results of local calls are kept for the function. The
// SDKs ask for a result at once.
const maxResults = 16

// results are those that the function has not asked for. Safe for concurrent
// use.
type results struct {
	mu    sync.Mutex
	byID  map[string]result
	order []string // ids, the oldest first
}

func newResults() *results { return &results{byID: map[string]result{}} }

// keep keeps a result, and tells whether an older one was forgotten for it.
func (s *results) keep(id string, r result) (forgot bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byID[id] = r
	s.order = append(s.order, id)
	// What was taken leaves its id here until it is the oldest.
	for len(s.order) > maxResults {
		if _, kept := s.byID[s.order[0]]; kept {
			delete(s.byID, s.order[0])
			forgot = true
		}
		s.order = s.order[1:]
	}
	return forgot
}

// take returns a result and forgets it.
func (s *results) take(id string) (r result, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok = s.byID[id]
	delete(s.byID, id)
	return r, ok
}
