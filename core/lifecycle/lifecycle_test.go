package lifecycle_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"greengate/core/lifecycle"
)

// diary notes what happened, in order.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) note(line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, line)
}

func (d *diary) want(t *testing.T, lines ...string) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if !slices.Equal(d.lines, lines) {
		t.Errorf("got  %q\nwant %q", d.lines, lines)
	}
}

// service takes a second to become ready and a second to stop.
type service struct {
	name  string
	diary *diary
	ready chan struct{}
}

func newService(name string, d *diary) *service {
	return &service{name: name, diary: d, ready: make(chan struct{})}
}

func (s *service) Ready() <-chan struct{} { return s.ready }

func (s *service) Run(ctx context.Context) error {
	s.diary.note("start " + s.name)
	time.Sleep(time.Second) // virtual, in a synctest bubble
	s.diary.note("ready " + s.name)
	close(s.ready)
	<-ctx.Done()
	time.Sleep(time.Second)
	s.diary.note("stop " + s.name)
	return ctx.Err()
}

func TestStartsInOrderAndStopsInReverse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(diary)
		var g lifecycle.Group
		g.Add("a", newService("a", d))
		g.Add("b", newService("b", d))
		g.Add("c", newService("c", d))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := g.Run(ctx); err != nil {
			t.Errorf("a clean end gave %v", err)
		}
		d.want(t, "start a", "ready a", "start b", "ready b", "start c", "ready c", "stop c", "stop b", "stop a")
	})
}

func TestFirstErrorStopsAllAndIsReturned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(diary)
		broken, late := errors.New("broken"), errors.New("late")
		var g lifecycle.Group
		g.Add("a", newService("a", d))
		g.Add("bad", lifecycle.Func(func(context.Context) error {
			time.Sleep(10 * time.Second)
			return broken
		}))
		g.Add("sloppy", lifecycle.Func(func(ctx context.Context) error {
			<-ctx.Done()
			return late
		}))
		err := g.Run(t.Context())
		if !errors.Is(err, broken) || !errors.Is(err, late) {
			t.Fatalf("got %v, want both errors", err)
		}
		if got := err.Error(); got != "bad: broken\nsloppy: late" {
			t.Errorf("got %q: the first error must stand first, each under its service's name", got)
		}
		d.want(t, "start a", "ready a", "stop a")
	})
}

func TestFailureBeforeReadyStartsNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(diary)
		broken := errors.New("port in use")
		var g lifecycle.Group
		g.Add("a", newService("a", d))
		g.Add("bad", neverReady{broken})
		g.Add("c", newService("c", d))
		if err := g.Run(t.Context()); !errors.Is(err, broken) {
			t.Errorf("got %v, want %v", err, broken)
		}
		d.want(t, "start a", "ready a", "stop a")
	})
}

type neverReady struct{ err error }

func (n neverReady) Ready() <-chan struct{}    { return nil }
func (n neverReady) Run(context.Context) error { return n.err }

func TestCancelDuringStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(diary)
		var g lifecycle.Group
		g.Add("a", newService("a", d))
		g.Add("b", newService("b", d))
		g.Add("c", newService("c", d))
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		if err := g.Run(ctx); err != nil {
			t.Errorf("got %v", err)
		}
		d.want(t, "start a", "ready a", "start b", "ready b", "stop b", "stop a")
	})
}

func TestServiceThatHasDoneItsWorkStopsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(diary)
		var g lifecycle.Group
		g.Add("once", lifecycle.Func(func(context.Context) error { return nil }))
		g.Add("a", newService("a", d))
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		began := time.Now()
		if err := g.Run(ctx); err != nil {
			t.Errorf("got %v", err)
		}
		if took := time.Since(began); took < time.Hour {
			t.Errorf("ended after %v, before it was told to", took)
		}
	})
}

func TestEndsWhenAllHaveEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g lifecycle.Group
		g.Add("once", lifecycle.Func(func(context.Context) error { return nil }))
		if err := g.Run(t.Context()); err != nil {
			t.Errorf("got %v", err)
		}
	})
}
