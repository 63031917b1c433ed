package router

import (
	"context"
	"log/slog"
	"strings"
	"sync"

	"greengate/core/message"
)

// Bounds of what told remembers for one table.
const (
	maxTold      = 1000 // refusals; past it they are counted only
	maxToldTopic = 256  // bytes of a topic; the rest is not told
)

// told remembers which refusals and losses the log has seen, so that each is
// told once for each table in force and not once a message.
type told struct {
	mu    sync.Mutex
	table uint64 // the generation of the table that seen belongs to
	seen  map[telling]struct{}
}

type telling struct {
	verdict  Verdict
	reason   Reason
	from, to message.Endpoint
	topic    string
}

// first tells whether k was not told before under that table, and whether it is
// the last that will be.
func (t *told) first(table uint64, k telling) (first, last bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if table > t.table || t.seen == nil {
		t.table, t.seen = table, map[telling]struct{}{}
	}
	// What a table of the past refused concerns nobody any more.
	if table < t.table || len(t.seen) >= maxTold {
		return false, false
	}
	if _, ok := t.seen[k]; ok {
		return false, false
	}
	t.seen[k] = struct{}{}
	return true, len(t.seen) >= maxTold
}

// tell logs a refusal or loss the first time it is seen under a table.
func (r *Router) tell(table uint64, v Verdict, why Reason, from message.Endpoint, topic string, to message.Endpoint) {
	if len(topic) > maxToldTopic {
		topic = strings.ToValidUTF8(topic[:maxToldTopic], "") + "..."
	}
	first, last := r.told.first(table, telling{v, why, from, to, topic})
	if !first {
		return
	}
	level := slog.LevelInfo
	switch {
	case from.Kind == message.Shadow && (why == NoRow || why == NoSubscriber):
		level = slog.LevelDebug // its answers are told whether somebody listens or not
	case v == Dropped && why != NoSubscriber:
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
