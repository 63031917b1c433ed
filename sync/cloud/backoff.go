package cloud

import (
	"errors"
	"math/rand/v2"
	"time"
)

// A retry decides how long to wait before the next attempt. It belongs to Run.
type retry struct {
	timing    Timing
	limit     Backoff
	ceiling   time.Duration
	takenOver bool // since no connection lasted
}

// after takes account of an attempt that failed or a connection that ended: why,
// and how long it was connected. It returns the wait.
//
// "Full jitter", evenly between nothing and a ceiling that doubles, is what
// spreads a fleet best after a common outage (AWS Architecture Blog, "Exponential
// Backoff And Jitter").
func (r *retry) after(err error, connected time.Duration) time.Duration {
	t := r.timing
	if connected >= r.stable(err) {
		r.ceiling, r.takenOver = 0, false
	}
	limit := t.Retry
	switch code := reasonCode(err); code {
	case sessionTakenOver:
		r.takenOver = true
	case serverUnavailable, serverBusy, receiveMaxExceeded, messageRateTooHigh, quotaExceeded, connectRateExceeded:
		limit = t.Quota
	}
	if r.takenOver {
		// Not only after 0x8E itself: between two of them the attempt may fail
		// otherwise.
		limit = t.Taken
	}
	if limit != r.limit {
		r.limit, r.ceiling = limit, 0
	}
	r.ceiling = min(max(2*r.ceiling, limit.Base), limit.Max)
	if r.takenOver {
		return limit.Base + rand.N(max(r.ceiling-limit.Base, limit.Base/2))
	}
	return rand.N(r.ceiling)
}

// stable is how long a connection that ended with err must have lasted to count
// as a success. Two gateways that take the same id from each other each have it
// for as long as the other waits; in MQTT 3.1.1 all that they see is errClosed.
func (r *retry) stable(err error) time.Duration {
	switch {
	case r.takenOver:
		return r.timing.Taken.Max / 2
	case errors.Is(err, errClosed):
		return max(r.timing.Stable, 2*r.ceiling)
	}
	return r.timing.Stable
}

// reasonCode is the code with which the cloud ended or refused a connection, 0
// when it gave none.
func reasonCode(err error) byte {
	if closed := (*Closed)(nil); errors.As(err, &closed) {
		return closed.Code
	}
	if rejected := (*Rejected)(nil); errors.As(err, &rejected) {
		return rejected.Code
	}
	return 0
}
