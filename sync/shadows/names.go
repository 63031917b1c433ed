package shadows

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"greengate/localshadow"
)

// list finds the named shadows that the cloud has and nobody here knows of: on
// each new connection it asks for the names of each thing. It goes on without
// those that it cannot get, and tries them again later.
func (r *Reconciler) list(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	timer.Stop()
	attempts := 0
	var open []string
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.listing:
			r.mu.Lock()
			open = slices.Sorted(maps.Keys(r.things))
			r.mu.Unlock()
			attempts = 0
		case <-timer.C:
		}
		timer.Stop()
		open = r.listAll(ctx, open)
		r.listed()
		if len(open) > 0 && r.o.Link.Connected() {
			timer.Reset(max(r.o.Timing.backoff(attempts), r.o.Timing.Retry))
			attempts++
		}
	}
}

// relist has the names of all things listed.
func (r *Reconciler) relist() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.figures.listing = true
	trigger(r.listing)
}

// listed ends a round, unless relist wants another.
func (r *Reconciler) listed() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.figures.listing = len(r.listing) > 0
}

// listAll asks for the names of things, and returns those it got none of.
func (r *Reconciler) listAll(ctx context.Context, things []string) (open []string) {
	for i, thing := range things {
		if ctx.Err() != nil || !r.o.Link.Connected() {
			return append(open, things[i:]...)
		}
		names, err := r.names(ctx, thing)
		if ctx.Err() != nil {
			return nil
		}
		r.mu.Lock()
		told := r.figures.names[thing]
		delete(r.figures.names, thing)
		if err != nil {
			r.figures.names[thing] = err.Error()
		}
		_, ours := r.things[thing]
		r.mu.Unlock()
		if err != nil {
			if err.Error() != told { // once, however often it is tried
				r.o.Log.Warn("Could not list the named shadows of a thing in the cloud", "thing", thing, "err", err)
			}
			open = append(open, thing)
			continue
		}
		for _, name := range names {
			if ours && localshadow.CheckName(name) == nil {
				r.discovered(ctx, key{thing, name})
			}
		}
	}
	return open
}

func (r *Reconciler) names(ctx context.Context, thing string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, r.o.Timing.Names)
	defer cancel()
	names, err := r.o.Link.Names(ctx, thing)
	if err != nil {
		return nil, fmt.Errorf("list the named shadows of %s: %w", thing, err)
	}
	return names, nil
}

// discovered asks for a shadow of which nothing was known when the connection
// began: else it was asked for then.
func (r *Reconciler) discovered(ctx context.Context, k key) {
	known := false
	err := r.sides(ctx, []key{k}, func(_ key, _ *local, rw *row) { known = rw.stored })
	if err == nil && known {
		return
	}
	r.question(k, false)
}
