package admin

import (
	"encoding/json"
	"net/http"
	"sync"

	"greengate/core/admin/client"
)

// watchBuffer is how many events wait for one watcher: a burst of a second on a
// busy Pi, 100 to 200 KB.
const watchBuffer = 1024

// Subscribe attaches a watcher to the live events whose topic matches filter.
// It calls deliver from any goroutine until the returned function has been
// called. An error means a bad filter.
type Subscribe func(filter string, deliver func(client.Event)) (cancel func(), err error)

// WatchHandler answers with a JSON object a line for every event that the request's
// client.WatchFilter lets through. One who reads
// too slowly loses events, never holds up the traffic, and is told how many he
// lost at the place where they are missing.
func WatchHandler(subscribe Subscribe) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := newQueue(watchBuffer)
		filter := client.ReadWatchFilter(r.URL.Query())
		cancel, err := subscribe(filter.Topic, func(e client.Event) {
			if filter.Keeps(e) {
				q.push(e)
			}
		})
		if err != nil {
			Refuse(w, http.StatusBadRequest, err)
			return
		}
		defer cancel()
		w.Header().Set("Content-Type", "application/x-ndjson")
		w.WriteHeader(http.StatusOK)
		q.drain(r, w)
	})
}

// queue is the bounded buffer of one watcher.
type queue struct {
	events chan client.Event

	mu   sync.Mutex
	lost int64 // events that found no room and have not been told of
}

func newQueue(size int) *queue { return &queue{events: make(chan client.Event, size)} }

// push takes e, or counts it as lost. It never waits for the watcher. The loss
// is told before the next event that finds room, where it happened.
func (q *queue) push(e client.Event) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.lost > 0 && q.offer(client.Event{Dropped: q.lost}) {
		q.lost = 0
	}
	if q.lost > 0 || !q.offer(e) {
		q.lost++
	}
}

func (q *queue) offer(e client.Event) bool {
	select {
	case q.events <- e:
		return true
	default:
		return false
	}
}

// takeLost returns the loss that stands at the end of the queue, where no later
// event has told it; 0 while events wait, which come before it.
func (q *queue) takeLost() int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.events) > 0 {
		return 0
	}
	n := q.lost
	q.lost = 0
	return n
}

// drain writes events until the reader or the daemon goes.
func (q *queue) drain(r *http.Request, w http.ResponseWriter) {
	flusher := http.NewResponseController(w)
	lines := json.NewEncoder(w)
	write := func(e client.Event) bool { return lines.Encode(e) == nil }
	for {
		// Flushing only when nothing waits gathers a burst into few writes.
		if len(q.events) == 0 {
			if n := q.takeLost(); n > 0 && !write(client.Event{Dropped: n}) {
				return
			}
			if flusher.Flush() != nil {
				return
			}
		}
		select {
		case e := <-q.events:
			if !write(e) {
				return
			}
		case <-r.Context().Done():
			return
		}
	}
}
