package cloud

import (
	"sync/atomic"
	"time"
)

// Counts are what the link did since it was made.
type Counts struct {
	Connections uint64 // that came up
	// RoundTrips are the times from a message to its PUBACK: RoundTrips[i] took at most
	// RoundTripBounds[i]; RoundTripCount in all, RoundTripTime together.
	RoundTrips     [len(RoundTripBounds)]uint64
	RoundTripCount uint64
	RoundTripTime  time.Duration
	Throttled      Throttled
}

// RoundTripBounds reach from a good line to a modem at the edge of its cell.
var RoundTripBounds = [...]time.Duration{
	10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond,
	500 * time.Millisecond, time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second, 30 * time.Second,
}

// Throttled counts messages and requests that had to wait or were sent back, by who
// allowed no more. One that waited for two things counts for both.
type Throttled struct {
	Quota   uint64 // sent back by the cloud: PUBACK 0x97, HTTP 429
	Rate    uint64 // waited for Options.Rate, or for the end of a pause that a PUBACK 0x97 made
	Window  uint64 // waited for a PUBACK: as many as may be are on their way
	Shadows uint64 // waited for the limits of the shadow requests of one thing
}

// counters are behind Counts.
type counters struct {
	connections, quota, rate, window, shadows atomic.Uint64

	trips    [len(RoundTripBounds) + 1]atomic.Uint64 // by the bound that each is under, the last by none
	tripTime atomic.Int64                            // nanoseconds
}

// trip counts a round trip.
func (c *counters) trip(took time.Duration) {
	i := 0
	for i < len(RoundTripBounds) && took > RoundTripBounds[i] {
		i++
	}
	c.trips[i].Add(1)
	c.tripTime.Add(int64(took))
}

// Counts returns the counts of this moment.
func (l *Link) Counts() Counts {
	c := &l.counts
	s := Counts{
		Connections:   c.connections.Load(),
		RoundTripTime: time.Duration(c.tripTime.Load()),
		Throttled:     Throttled{Quota: c.quota.Load(), Rate: c.rate.Load(), Window: c.window.Load(), Shadows: c.shadows.Load()},
	}
	for i := range c.trips {
		s.RoundTripCount += c.trips[i].Load()
		if i < len(s.RoundTrips) {
			s.RoundTrips[i] = s.RoundTripCount
		}
	}
	return s
}
