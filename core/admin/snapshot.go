package admin

import (
	"net/http"
	"sync"
	"time"

	"greengate/core/admin/client"
)

// fresh is how old a status may be that is shown again: however many ask, the
// reporters are asked no more often.
const fresh = 500 * time.Millisecond

// snapshots are the status, made at most every half second.
type snapshots struct {
	reporters []Reporter

	mu   sync.Mutex
	last *client.Status // guarded by mu; what it points to never changes
	at   time.Time      // guarded by mu
}

// status returns the status of the last half second; the caller leaves it as it is.
func (s *snapshots) status() *client.Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil || time.Since(s.at) >= fresh {
		status := new(client.Status)
		for _, r := range s.reporters {
			r.Report(status)
		}
		s.last, s.at = status, time.Now()
	}
	return s.last
}

// forget lets go of the last status, which nobody may ask for again.
func (s *snapshots) forget() {
	s.mu.Lock()
	s.last = nil
	s.mu.Unlock()
}

// Status is the one that the page shows, at most half a second old. It is not the
// caller's to change.
func (p *Page) Status() *client.Status { return p.snapshots.status() }

func (p *Page) status(w http.ResponseWriter, _ *http.Request) {
	Answer(w, http.StatusOK, p.snapshots.status())
}
