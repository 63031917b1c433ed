package functions

import (
	"context"
	"time"
)

// Put queues a call and returns without waiting for the function or the disk. What
// became of it is told by Options.Settled, and that it is on the disk by Call.Stored: of a
// call that a bound gives up, too, since it has been dealt with.
//
// An error means that nothing was taken, and neither is told: ErrNoFunction, ErrTooLarge,
// ErrBehind or ErrStopped.
func (m *Manager) Put(c Call) error {
	f := m.find(c.Function)
	if f == nil {
		return ErrNoFunction
	}
	if len(c.Message.Payload) > m.o.Bounds.Payload {
		return ErrTooLarge
	}
	kept := c.Message.Keep()
	queued := &call{
		f: f, id: newID(), source: kept.Source.String(), subject: kept.Topic, payload: kept.Payload,
		expires: kept.Expires, route: c.Route, counted: true, byRow: true, durable: c.Durable,
	}
	if c.Durable {
		if queued.onStored = c.Stored; queued.onStored == nil {
			queued.onStored = func(error) {}
		}
	}
	return f.enqueue(queued)
}

// linger is how long Invoke waits for lines that a function wrote before its answer.
const linger = 20 * time.Millisecond

// Invoke calls a function through its queue and waits for what comes of it. It is not
// tried again. The error says that the call was not made: ErrNoFunction, ErrTooLarge,
// ErrFull, ErrStopped, or that of ctx, whose end does not end a call that runs.
func (m *Manager) Invoke(ctx context.Context, function string, event []byte, subject string) (Result, error) {
	return m.invoke(ctx, function, &call{source: "invoke", subject: subject, payload: event})
}

// InvokeFrom is Invoke by a source that needs a row for it, which the caller has found.
// The error may be ErrNoRow, too.
func (m *Manager) InvokeFrom(ctx context.Context, source, function string, event []byte, subject string) (Result, error) {
	return m.invoke(ctx, function, &call{source: source, subject: subject, payload: event, byRow: true})
}

func (m *Manager) invoke(ctx context.Context, function string, c *call) (Result, error) {
	f := m.find(function)
	if f == nil {
		return Result{}, ErrNoFunction
	}
	if len(c.payload) > m.o.Bounds.Payload {
		return Result{}, ErrTooLarge
	}
	lines, end := f.journal.follow()
	defer end()
	c.f, c.id, c.result = f, newID(), make(chan outcome, 1)
	if err := f.enqueue(c); err != nil {
		return Result{}, err
	}
	select {
	case o := <-c.result:
		if o.err != nil {
			return Result{}, o.err
		}
		return Result{Payload: o.payload, Failure: o.failure, Duration: o.duration, Logs: written(lines, o)}, nil
	case <-ctx.Done():
		f.mu.Lock()
		c.remove() // nobody waits for it any more
		f.mu.Unlock()
		return Result{}, ctx.Err()
	}
}

// written gathers what the instance wrote since its call began.
func written(lines <-chan Line, o outcome) (all []Line) {
	after := time.NewTimer(linger)
	defer after.Stop()
	for {
		select {
		case line := <-lines:
			if line.Instance == o.instance && !line.Time.Before(o.started) || o.instance == "" {
				all = append(all, line)
			}
		case <-after.C:
			return all
		}
	}
}
