package telemetry

import (
	"log/slog"

	"greengate/core/sqlite"
)

// Left is what waits in the database of a spool, for a process that has none: see
// ReadLeft.
type Left struct {
	Content     map[string]int // messages by Route.Key
	Bytes       int64          // of topics and payloads
	Quarantined int64          // messages that the cloud never takes; no part of Content
}

// Messages is how many there are.
func (l *Left) Messages() (n int64) {
	for _, waiting := range l.Content {
		n += int64(waiting)
	}
	return n
}

// ReadLeft reads what waits. It changes nothing, needs no key, and takes no walk through the
// messages.
func ReadLeft(tx *sqlite.Tx) (Left, error) {
	s := &Spool{log: slog.New(slog.DiscardHandler), routes: map[string]*route{}, byID: map[int64]*route{}}
	if err := s.loadRoutes(tx); err != nil {
		return Left{}, err
	}
	if err := s.loadUncounted(tx); err != nil {
		return Left{}, err
	}
	l := Left{Content: s.Content()}
	for _, n := range s.waiting {
		l.Bytes += n.bytes
	}
	var bytes int64
	return l, tx.QueryRow(sqlQuarantined).Scan(&l.Quarantined, &bytes)
}
