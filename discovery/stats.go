package discovery

import (
	"errors"
	"log/slog"
	"maps"
	"net"
	"sync"
	"time"

	"greengate/core/pki"
)

// Reasons of a refusal that are our own; those of an unknown certificate are
// the Identifier's.
const (
	reasonTooMany     = "too-many-connects"    // its address has enough connections without a request
	reasonShare       = "too-many-connections" // of one thing, or of one address
	reasonUnread      = "unread-answer"        // the client did not take it in time
	reasonTooOften    = "too-many-handshakes"  // of its address, and they led to nothing
	reasonHandshake   = "handshake"            // no TLS connection came about
	reasonBadRequest  = "bad-request"          // no HTTP request came about
	reasonCertificate = "certificate"          // unknown, and the Identifier says no more
	reasonOtherThing  = "other-thing"          // the certificate of another thing
	reasonUnknownPath = "unknown-path"         // neither discovery nor data
	reasonMethod      = "wrong-method"         // not GET
)

// burst is the time after which the same refusal is told again.
const burst = time.Minute

// maxBursts bounds the refusals that are told apart.
const maxBursts = 1024

// Stats is what the service has done since it started.
type Stats struct {
	Served  uint64            // answers that told a device its core
	Refused map[string]uint64 // everything else, by reason
}

// Stats returns the counters.
func (s *Server) Stats() Stats { return s.stats.read() }

// refusal is one client that did not get what it wanted. thing is empty when it
// is not known.
type refusal struct {
	thing, reason, remote string
	err                   error
}

// reasonOf returns why the Identifier did not know a certificate, as a word
// from its fixed list.
func reasonOf(err error) string {
	var refused *pki.Refusal
	if errors.As(err, &refused) {
		return refused.Reason
	}
	return reasonCertificate
}

// tally counts, and logs each kind of refusal once a minute at most. Safe for
// concurrent use.
type tally struct {
	log *slog.Logger

	mu      sync.Mutex // guards all below
	served  uint64
	refused map[string]uint64
	bursts  map[burstKey]*repeats
}

// burstKey tells refusals apart: by thing, or by address where the thing is not
// known.
type burstKey struct{ who, reason string }

// repeats are the refusals since one was logged.
type repeats struct {
	logged time.Time
	silent int
}

func newTally(log *slog.Logger) *tally {
	return &tally{log: log, refused: make(map[string]uint64), bursts: make(map[burstKey]*repeats)}
}

func (t *tally) serve() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.served++
}

func (t *tally) read() Stats {
	t.mu.Lock()
	defer t.mu.Unlock()
	return Stats{Served: t.served, Refused: maps.Clone(t.refused)}
}

// refuse counts r, and logs it unless the like of it was logged less than a
// minute ago.
func (t *tally) refuse(r refusal) {
	silent, tell := t.count(r, time.Now())
	if !tell {
		return
	}
	attrs := []any{"reason", r.reason, "remote", r.remote}
	if r.thing != "" {
		attrs = append(attrs, "thing", r.thing)
	}
	if silent > 0 {
		attrs = append(attrs, "more_since_last_told", silent)
	}
	if r.err != nil {
		attrs = append(attrs, "err", r.err)
	}
	t.log.Warn("refused a discovery client", attrs...)
}

func (t *tally) count(r refusal, now time.Time) (silent int, tell bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.refused[r.reason]++
	key := burstKey{r.thing, r.reason}
	if r.thing == "" {
		key.who, _, _ = net.SplitHostPort(r.remote)
	}
	b := t.bursts[key]
	if b != nil && now.Sub(b.logged) < burst {
		b.silent++
		return 0, false
	}
	if b == nil {
		if len(t.bursts) >= maxBursts {
			maps.DeleteFunc(t.bursts, func(_ burstKey, b *repeats) bool { return now.Sub(b.logged) >= burst })
		}
		if len(t.bursts) >= maxBursts {
			return 0, false // counted all the same
		}
		b = &repeats{}
		t.bursts[key] = b
	}
	silent, b.silent, b.logged = b.silent, 0, now
	return silent, true
}
