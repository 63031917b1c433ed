package router

import (
	"sync"
	"sync/atomic"
	"time"

	"greengate/core/message"
)

// Event is one message for one target, as `greengate watch` shows it. To is
// zero when there is no target.
type Event struct {
	Time    time.Time
	Verdict Verdict
	Reason  Reason
	From    message.Endpoint
	Topic   string
	To      message.Endpoint
	Bytes   int              // of the payload
	Message *message.Message // valid until the watcher returns; a message.Head when it was dropped after it was sent
}

// watchers are those who see every event.
type watchers struct {
	n    atomic.Int32
	mu   sync.RWMutex
	next int
	all  map[int]func(Event)
}

// Watch calls f for every message and target until cancel has returned. f is
// called on the goroutines that route: it must not block, and call neither
// Watch nor cancel.
func (r *Router) Watch(f func(Event)) (cancel func()) {
	w := &r.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all == nil {
		w.all = map[int]func(Event){}
	}
	id := w.next
	w.next++
	w.all[id] = f
	w.n.Add(1)
	return sync.OnceFunc(func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.all, id)
		w.n.Add(-1)
	})
}

// any keeps the path of a message free of cost while nobody watches.
func (w *watchers) any() bool { return w.n.Load() > 0 }

func (w *watchers) emit(e Event) {
	e.Time = time.Now()
	w.mu.RLock()
	defer w.mu.RUnlock()
	for _, f := range w.all {
		f(e)
	}
}
