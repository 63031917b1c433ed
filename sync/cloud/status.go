package cloud

import (
	"fmt"
	"time"
)

// Status is the state of the link, for an operator.
type Status struct {
	Connected bool
	Since     time.Time // connected, or not, since then
	LastError string    // of the last attempt that failed or connection that ended

	// While not connected.
	Attempts    int       // failed since the last connection
	NextAttempt time.Time // zero: now

	// While connected.
	Session       bool          // the cloud remembered the last connection
	KeepAlive     time.Duration // the cloud's, if it has its own
	Window        int           // messages that may be without PUBACK
	MaximumPacket int           // bytes that the cloud takes; 0: not told
	Unacked       int           // messages without PUBACK now
}

// Status returns the state of the link.
func (l *Link) Status() Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.status
	if c := l.conn.Load(); c != nil {
		s.Unacked = c.flight.len()
	}
	return s
}

// trouble is what is wrong, as far as it is known.
type trouble struct {
	attempt     string    // why there is no connection
	takenOver   time.Time // by another client with our id; zero: not, or long ago
	filters     []string  // what is wrong with the subscriptions
	certificate string    // what is wrong with the core's own
}

// expiryWarning is how long before its end a certificate is a fault.
const expiryWarning = 30 * 24 * time.Hour

// Faults are what is wrong now, one sentence each. A link that never failed to
// connect and is about to is no fault.
func (l *Link) Faults() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []string
	if t := l.trouble; t.attempt != "" {
		all = append(all, fmt.Sprintf("not connected to the cloud since %s: %s", l.status.Since.UTC().Format(time.RFC3339), t.attempt))
	}
	// Between two times that it is taken from us this link waits for at most Max, and then
	// the other one does.
	if at := l.trouble.takenOver; !at.IsZero() && time.Since(at) < 2*l.o.Timing.Taken.Max {
		all = append(all, fmt.Sprintf("another client uses this gateway's identity %q: the cloud gave it the connection, so this one tries less often", l.o.Core))
	}
	if l.shaper.held() {
		all = append(all, "the cloud takes no more messages for now: its quota is exceeded (0x97)")
	}
	if c := l.trouble.certificate; c != "" {
		all = append(all, c)
	}
	return append(all, l.trouble.filters...)
}
