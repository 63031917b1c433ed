package gpio

import (
	"context"
	"time"
)

// The waits between two tries to get a failed pin back: doubled each time.
const (
	firstRetry = time.Second
	lastRetry  = time.Minute
)

// failure is the state of a pin that does not work. The zero value is no
// failure.
type failure struct {
	problem string
	since   time.Time
	tries   int
	next    time.Time // when to try again
}

// add notes that the pin failed, or failed again.
func (f *failure) add(now time.Time, err error) {
	if f.tries == 0 {
		f.since = now
	}
	f.problem = err.Error()
	f.next = now.Add(min(firstRetry<<min(f.tries, 10), lastRetry))
	f.tries++
}

func (f *failure) fault(name, pin string) (Fault, bool) {
	if f.tries == 0 {
		return Fault{}, false
	}
	return Fault{Name: name, Pin: pin, Problem: f.problem, Since: f.since}, true
}

// pause waits, and tells whether ctx still runs.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
