package gpio

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"
)

// debtor owes a key of a shadow what its pins show.
type debtor interface {
	// take returns the value to report, nil when there is none now.
	take() json.RawMessage
	// back is told that the value was not taken: it is owed again, unless there is a
	// newer one, which back tells, or nothing is owed any more.
	back(value json.RawMessage) (newer bool)
	reporting() *reporter
}

// reporter knows how the reports to one key of a shadow go. Each key has its own,
// so that none waits for another that is refused.
type reporter struct {
	bank       *Bank
	thing, key string

	mu      sync.Mutex
	failure failure
	final   bool // the failure is one that no time mends
}

func (r *reporter) reporting() *reporter { return r }

// debt is what an input or a sensor owes to its key: of several values the last.
type debt struct {
	*reporter

	mu    sync.Mutex
	value json.RawMessage // nil: nothing
}

// newDebt makes the debt of an input or a sensor; nil when it has no shadow.
func (b *Bank) newDebt(thing, key string) *debt {
	if thing == "" {
		return nil
	}
	d := &debt{reporter: &reporter{bank: b, thing: thing, key: key}}
	b.debtors = append(b.debtors, d)
	return d
}

// owe has the value reported.
func (d *debt) owe(value json.RawMessage) {
	if d == nil {
		return
	}
	d.mu.Lock()
	d.value = value
	d.mu.Unlock()
	d.hurry()
	wake(d.bank.owed)
}

func (d *debt) take() json.RawMessage {
	d.mu.Lock()
	defer d.mu.Unlock()
	value := d.value
	d.value = nil
	return value
}

func (d *debt) back(value json.RawMessage) (newer bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.value != nil {
		return true
	}
	d.value = value
	return false
}

// Final marks an error of Options.Report that no time mends: the report is tried again
// when there is a newer value, or after ReportAgain.
func Final(err error) error { return finalError{err} }

type finalError struct{ error }

func (e finalError) Unwrap() error { return e.error }

// ReportAgain has all that was refused tried at once, even what is final. Call it when
// the reason may be gone.
func (b *Bank) ReportAgain() {
	for _, d := range b.debtors {
		d.reporting().again(0)
	}
	wake(b.owed)
}

// report reports what is owed, and again what was refused, until ctx is cancelled.
func (b *Bank) report(ctx context.Context) {
	var retry <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-b.owed:
		case <-retry:
		}
		for _, d := range b.debtors {
			if !d.reporting().bring(ctx, d) {
				return
			}
		}
		retry = b.retry()
	}
}

// retry returns what fires when the next report is to be tried again, nil when there
// is none.
func (b *Bank) retry() <-chan time.Time {
	var first time.Time
	for _, d := range b.debtors {
		if next := d.reporting().next(); !next.IsZero() && (first.IsZero() || next.Before(first)) {
			first = next
		}
	}
	if first.IsZero() {
		return nil
	}
	return time.After(time.Until(first))
}

// bring reports what d owes, unless it was refused just before. It tells whether
// anybody takes reports at all.
func (r *reporter) bring(ctx context.Context, d debtor) bool {
	if r.waits() {
		return true
	}
	value := d.take()
	if value == nil {
		r.forget()
		return true
	}
	err := r.bank.o.Report(ctx, r.thing, r.key, value)
	switch {
	case err == nil:
		r.taken()
	case errors.Is(err, context.Canceled):
		return false
	default:
		r.refused(err)
		if d.back(value) {
			r.hurry()
		}
	}
	return true
}

// waits tells whether it is too early for another try.
func (r *reporter) waits() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failure.tries > 0 && (r.final || time.Now().Before(r.failure.next))
}

// next is when to try again; zero: nothing is to be tried.
func (r *reporter) next() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.final {
		return time.Time{}
	}
	return r.failure.next
}

// hurry has a newer value wait for a second at most: it may be one that is taken.
func (r *reporter) hurry() { r.again(firstRetry) }

// again has the next try come after so long at the latest.
func (r *reporter) again(wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failure.tries == 0 {
		return
	}
	if next := time.Now().Add(wait); r.final || next.Before(r.failure.next) {
		r.final, r.failure.next = false, next
	}
}

func (r *reporter) refused(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failure.tries == 0 {
		r.bank.log.Error("The state of a pin is not reported", "thing", r.thing, "key", r.key, "err", err)
	}
	r.failure.add(time.Now(), fmt.Errorf("its state is not reported to %s of %s: %w", r.key, r.thing, err))
	r.final = errors.As(err, new(finalError))
}

func (r *reporter) taken() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failure.tries > 0 {
		r.bank.log.Info("The state of the pin is reported again", "thing", r.thing, "key", r.key)
	}
	r.failure = failure{}
}

// forget ends a failure of what is not owed any more.
func (r *reporter) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failure = failure{}
}

// fault is what is wrong with the reports, as that of a pin.
func (r *reporter) fault(name, pin string) (Fault, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failure.fault(name, pin)
}

// unreported shows a key of several outputs once, with the first of them.
func (a *actuator) unreported() (Fault, bool) {
	if a.binding == nil || a.binding.pins[0] != a {
		return Fault{}, false
	}
	return a.binding.fault(a.name, a.pin)
}

func (c *contact) unreported() (Fault, bool) {
	if c.shadow == nil {
		return Fault{}, false
	}
	return c.shadow.fault(c.name, c.pin)
}

func (s *sensor) unreported() (Fault, bool) {
	if s.debt == nil {
		return Fault{}, false
	}
	return s.debt.fault(s.Name, s.Kind+" "+s.place())
}
