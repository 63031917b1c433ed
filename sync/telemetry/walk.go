package telemetry

import (
	"context"
	"errors"
)

// Walk hands the messages of List, all of them, to yield one by one, until that
// returns an error, which is Walk's then. It holds few in memory at a time.
func (s *Spool) Walk(ctx context.Context, yield func(Record) error) error { return s.walk(ctx, yield) }

// Quarantine returns at most limit messages that are in quarantine, the oldest
// first.
func (s *Spool) Quarantine(ctx context.Context, limit int) (records []Record, err error) {
	err = s.walkQuarantine(ctx, func(r Record) error {
		if len(records) == limit {
			return errEnough
		}
		records = append(records, r)
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return records, err
}
