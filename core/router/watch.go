package router

import (
	"context"
	"log/slog"
	"strings"
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
	Bytes   int
}

// watchers are those who see every event.
type watchers struct {
	n    atomic.Int32
	mu   sync.RWMutex
	next int
	all  map[int]func(Event)
}

// Watch calls f for every message and target until cancel is called. f is
// called on the goroutine that routes: it must not block.
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
	e.Topic = strings.Clone(e.Topic) // the message's topic may lie in a buffer
	w.mu.RLock()
	defer w.mu.RUnlock()
	for _, f := range w.all {
		f(e)
	}
}

// maxTold bounds what told remembers; past it, refusals are counted only.
const maxTold = 1000

// told remembers which refusals and losses the log has seen, so that each is
// told once for each table in force and not once a message.
type told struct {
	mu   sync.Mutex
	seen map[telling]struct{}
	full bool
}

type telling struct {
	verdict  Verdict
	reason   Reason
	from, to message.Endpoint
	topic    string
}

func (t *told) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seen, t.full = nil, false
}

// first tells whether this was not told before, and whether it is the last that
// will be remembered.
func (t *told) first(k telling) (first, last bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.full {
		return false, false
	}
	if _, ok := t.seen[k]; ok {
		return false, false
	}
	if t.seen == nil {
		t.seen = map[telling]struct{}{}
	}
	k.topic = strings.Clone(k.topic)
	t.seen[k] = struct{}{}
	t.full = len(t.seen) >= maxTold
	return true, t.full
}

// tell logs a refusal or loss the first time it is seen.
func (r *Router) tell(v Verdict, why Reason, from message.Endpoint, topic string, to message.Endpoint) {
	first, last := r.told.first(telling{v, why, from, to, topic})
	if !first {
		return
	}
	level := slog.LevelInfo
	if v == Dropped && why != NoSubscriber {
		level = slog.LevelWarn
	}
	attrs := []any{"reason", string(why), "from", from.String(), "topic", topic}
	if to.Kind != 0 {
		attrs = append(attrs, "to", to.String())
	}
	r.log.Log(context.Background(), level, "message "+v.String()+" (told once, counted always)", attrs...)
	if last {
		r.log.Warn("too many different refusals; further ones are counted and not told until the next reload", "told", maxTold)
	}
}
