package telemetry

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	nearlyFull = 0.8         // of the bound
	recent     = time.Minute // a message that was given up within it is a fault
	slowAck    = time.Minute // without an acknowledgement
)

// Faults says what is wrong, in words for an operator. None: nil.
func (s *Spool) Faults() (faults []string) {
	add := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	s.intake.mu.Lock()
	failure, since := s.intake.failure, s.intake.since
	s.intake.mu.Unlock()
	if failure != nil {
		add("the spool cannot write since %s: %v; devices wait for their acknowledgements", since.Format(time.RFC3339), failure)
	}
	s.mu.Lock()
	disk, waiting := s.bounds, int64(0)
	for _, n := range s.waiting {
		waiting += n.messages
	}
	refusal, until := s.up.refusal, s.up.until
	oldest := s.up.firstFlight()
	flights := len(s.up.flights)
	s.mu.Unlock()
	forecast := s.stats.forecast(waiting, disk, s.o.Rate)
	if (disk.limit > 0 || disk.reserved) && float64(disk.used) >= nearlyFull*float64(disk.limit) {
		text := fmt.Sprintf("the spool is %d%% full", min(100, disk.used*100/max(1, disk.limit)))
		if disk.reserved {
			text += ", since the disk has only its reserve left"
		}
		if forecast.FullIn > 0 {
			text += fmt.Sprintf("; at this rate it is full in %v", forecast.FullIn.Round(time.Second))
		}
		add("%s", text)
	}
	if refusal != nil {
		add("the cloud refuses messages for now (%v); the next try is at %s", refusal, until.Format(time.RFC3339))
	}
	if flights > 0 && time.Since(oldest) > slowAck {
		add("%d messages were sent and not acknowledged, the first %v ago", flights, time.Since(oldest).Round(time.Second))
	}
	return append(append(faults, s.keys.faults()...), s.stats.faults()...)
}

// faults tells of messages that were given up or put aside.
func (c *counters) faults() (faults []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.dropped) > 0 && time.Since(c.lastDrop) < recent {
		var reasons []string
		for reason, n := range c.dropped {
			reasons = append(reasons, fmt.Sprintf("%s %d", reason, n))
		}
		slices.Sort(reasons)
		faults = append(faults, fmt.Sprintf("the spool gives messages up (since the start: %s)", strings.Join(reasons, ", ")))
	}
	if n := c.quarantine.messages; n > 0 {
		text := fmt.Sprintf("%d messages that the cloud never takes are in quarantine", n)
		if c.cause != "" {
			text += fmt.Sprintf("; the last one: %s", c.cause)
		}
		faults = append(faults, text)
	}
	if n := c.behind.Load(); n > 0 {
		faults = append(faults, fmt.Sprintf("%d messages were turned away since the disk was too slow for them", n))
	}
	return faults
}
