package dataplane

import (
	"errors"
	"log/slog"
	"maps"
	"sync"
	"time"

	"greengate/core/message"
)

// burst is the time after which the like of a refusal is told again, and
// maxBursts how many are told apart.
const (
	burst     = time.Minute
	maxBursts = 1024
)

// Stats are the requests since the start.
type Stats struct {
	Served  map[string]uint64 // answers with 200, by AWS's name of the operation
	Refused map[string]uint64 // all others, by AWS's name of the error
}

// Stats returns the counters.
func (h *Handler) Stats() Stats {
	t := h.tally
	t.mu.Lock()
	defer t.mu.Unlock()
	return Stats{Served: maps.Clone(t.served), Refused: maps.Clone(t.refused)}
}

// tally counts the answers, and tells each kind of refusal once a minute at
// most. Safe for concurrent use.
type tally struct {
	log *slog.Logger
	now func() time.Time

	mu              sync.Mutex // guards all below
	served, refused map[string]uint64
	bursts          map[burstKey]*repeats
}

type burstKey struct {
	from   message.Endpoint
	reason string
}

// repeats are the refusals since one was told.
type repeats struct {
	told   time.Time
	silent int
}

func newTally(log *slog.Logger, now func() time.Time) *tally {
	return &tally{log: log, now: now, served: map[string]uint64{}, refused: map[string]uint64{}, bursts: map[burstKey]*repeats{}}
}

func (t *tally) answered(operation string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var e *Error
	switch {
	case err == nil:
		t.served[operation]++
	case errors.As(err, &e):
		t.refused[e.Type]++
	default:
		t.refused[typeInternal]++
	}
}

// refuse tells the log of a refusal, unless the like of it was told within a
// minute.
func (t *tally) refuse(from message.Endpoint, e *Error) {
	silent, tell := t.due(burstKey{from, e.reason})
	if !tell {
		return
	}
	attrs := []any{"from", from.String(), "reason", e.reason, "status", e.Status, "err", e.Message}
	if silent > 0 {
		attrs = append(attrs, "more_since_last_told", silent)
	}
	t.log.Warn("refused a request", attrs...)
}

func (t *tally) due(key burstKey) (silent int, tell bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	b := t.bursts[key]
	if b != nil && now.Sub(b.told) < burst {
		b.silent++
		return 0, false
	}
	if b == nil {
		if len(t.bursts) >= maxBursts {
			maps.DeleteFunc(t.bursts, func(_ burstKey, b *repeats) bool { return now.Sub(b.told) >= burst })
		}
		if len(t.bursts) >= maxBursts {
			return 0, false // counted all the same
		}
		b = &repeats{}
		t.bursts[key] = b
	}
	silent, b.silent, b.told = b.silent, 0, now
	return silent, true
}
