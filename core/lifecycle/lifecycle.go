// Package lifecycle runs the services of the gateway as one: started in order,
// stopped in reverse, and stopped all together at the first error. It imports
// nothing of ours; cmd/greengate alone composes with it.
//
// A Group is filled by one goroutine and then run once. Each service runs in a
// goroutine of its own, which the Group owns and waits for.
package lifecycle

import (
	"context"
	"errors"
	"fmt"
)

// Service is a part of the gateway that runs until it is told to stop.
type Service interface {
	// Run works until ctx is cancelled, and returns when everything that it
	// started has ended. Nil and the error of a cancelled ctx mean a clean end.
	// Nil before that means that the work is done; any other error stops the
	// Group.
	Run(ctx context.Context) error
}

// Readier is a Service that is of no use to those started after it until the
// channel is closed. The Group waits for it before it starts the next.
type Readier interface {
	Ready() <-chan struct{}
}

// Func makes a Service of a function.
type Func func(ctx context.Context) error

// Run calls f.
func (f Func) Run(ctx context.Context) error { return f(ctx) }

// Group is a list of services. The zero value is an empty group.
type Group struct {
	members []*member
}

type member struct {
	name    string
	service Service
	stop    context.CancelFunc
	done    chan struct{} // closed when Run has returned
	err     error         // valid once done is closed; nil for a clean end
}

// Add puts a service at the end of the order. The name stands before its
// errors.
func (g *Group) Add(name string, s Service) {
	g.members = append(g.members, &member{name: name, service: s})
}

// Run starts the services in order, waits until ctx is cancelled, a service
// returns an error or all have ended, and then stops those that still run, the
// last started first, each only when the one after it has ended. It returns the
// error that stopped the group, joined with those of services that did not stop
// cleanly; nil after a clean end.
func (g *Group) Run(ctx context.Context) error {
	// Each service has a context of its own: were they children of ctx, they
	// would all stop at once instead of in reverse.
	base := context.WithoutCancel(ctx)
	failed := make(chan *member, len(g.members))
	var started []*member
	var first *member
	for _, m := range g.members {
		m.start(base, failed)
		started = append(started, m)
		if first = waitReady(ctx, m, failed); first != nil || ctx.Err() != nil {
			break
		}
	}
	if first == nil && ctx.Err() == nil {
		first = waitEnd(ctx, started, failed)
	}
	return stopAll(started, first)
}

// start runs m in its own goroutine, which puts m into failed if it ends with
// an error.
func (m *member) start(base context.Context, failed chan<- *member) {
	ctx, cancel := context.WithCancel(base)
	m.stop, m.done = cancel, make(chan struct{})
	go func() {
		defer close(m.done)
		err := m.service.Run(ctx)
		if err == nil || ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			return
		}
		m.err = fmt.Errorf("%s: %w", m.name, err)
		failed <- m
	}()
}

// waitReady waits until m is ready or has ended, or ctx is cancelled. It
// returns the service that failed meanwhile, if one did.
func waitReady(ctx context.Context, m *member, failed <-chan *member) *member {
	var ready <-chan struct{}
	if r, ok := m.service.(Readier); ok {
		ready = r.Ready()
	} else {
		ready = alwaysReady
	}
	select {
	case <-ready:
	case <-m.done:
	case <-ctx.Done():
	case f := <-failed:
		return f
	}
	// Both may have happened at once, and the error counts more.
	select {
	case f := <-failed:
		return f
	default:
		return nil
	}
}

var alwaysReady = func() <-chan struct{} { c := make(chan struct{}); close(c); return c }()

// waitEnd waits for ctx, the first failure or the end of all.
func waitEnd(ctx context.Context, started []*member, failed <-chan *member) *member {
	allDone := make(chan struct{})
	go func() {
		for _, m := range started {
			<-m.done
		}
		close(allDone)
	}()
	select {
	case <-ctx.Done():
		return nil
	case f := <-failed:
		return f
	case <-allDone:
	}
	select {
	case f := <-failed:
		return f
	default:
		return nil
	}
}

// stopAll stops the services in reverse order and gathers their errors, that of
// first at the head.
func stopAll(started []*member, first *member) error {
	for i := len(started) - 1; i >= 0; i-- {
		started[i].stop()
		<-started[i].done
	}
	var errs []error
	if first != nil {
		errs = append(errs, first.err)
	}
	for i := len(started) - 1; i >= 0; i-- {
		if m := started[i]; m != first && m.err != nil {
			errs = append(errs, m.err)
		}
	}
	return errors.Join(errs...)
}
