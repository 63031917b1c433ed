package shadows

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"greengate/core/sqlite"
	"greengate/localshadow"
)

// The states of a shadow.
const (
	InStep  = "in-step" // equal on both sides, as far as is known
	Ahead   = "ahead"   // the gateway has something that the cloud lacks
	Behind  = "behind"  // the cloud has something that the gateway lacks
	Asking  = "asking"  // the cloud is to be asked
	Blocked = "blocked" // the cloud or the gateway refuses; the next change tries again
)

// State is one shadow in the status.
type State struct {
	Thing        string    `json:"thing"`
	Name         string    `json:"name"` // "" for the classic shadow
	Direction    Direction `json:"direction"`
	State        string    `json:"state"`
	Why          string    `json:"why,omitempty"` // of blocked, or of a wait
	LocalVersion int64     `json:"local_version"` // 0: there is none
	CloudVersion int64     `json:"cloud_version"` // 0: there is none, or it was never asked
	LastConflict time.Time `json:"last_conflict,omitzero"`
}

// Stats counts the shadows by state, and what was done since the start.
type Stats struct {
	Shadows    int `json:"shadows"` // known to the table sync, or waiting to be
	InStep     int `json:"in_step"`
	Ahead      int `json:"ahead"`
	Behind     int `json:"behind"`
	Asking     int `json:"asking"`
	Blocked    int `json:"blocked"`
	Conflicted int `json:"conflicted"` // that had a conflict at some time

	Listing bool `json:"listing"` // the named shadows of the cloud are being listed: there may be more

	Asked     uint64         `json:"asked"`     // gets sent
	Written   uint64         `json:"written"`   // updates and deletes that the cloud took
	Applied   uint64         `json:"applied"`   // changes of the cloud that were made here
	Conflicts uint64         `json:"conflicts"` // leaves that both sides had changed
	Rejected  map[int]uint64 `json:"rejected"`  // by the code of the cloud
	Unknown   uint64         `json:"unknown"`   // requests whose answer did not come
	Retries   uint64         `json:"retries"`
	Garbage   uint64         `json:"garbage"` // messages that could not be read
}

// Status yields the shadows of a thing, or of all when thing is "", sorted. It
// compares the documents as they are, whatever the queues say. The error is that
// of the database.
func (r *Reconciler) Status(ctx context.Context, thing string, yield func(State) bool) error {
	keys, err := r.keys(ctx, thing)
	if err != nil {
		return err
	}
	r.mu.Lock()
	things := r.things
	r.mu.Unlock()
	for page := range slices.Chunk(keys, listPage) {
		var states []State
		err := r.sides(ctx, page, func(k key, l *local, rw *row) {
			if s := r.state(k, things[k.thing], l, rw); s.State != "" {
				states = append(states, s)
			}
		})
		if err != nil {
			return err
		}
		for _, s := range states {
			if !yield(s) {
				return nil
			}
		}
	}
	return nil
}

// Urgent returns the shadows that are not in step, sorted, at most so many. It looks
// at those alone, however many others there are. The error is that of the database.
func (r *Reconciler) Urgent(ctx context.Context, most int) (states []State, err error) {
	keys, err := r.rows(ctx, sqlBlocked)
	if err != nil {
		return nil, fmt.Errorf("list the blocked shadows: %w", err)
	}
	r.mu.Lock()
	things := r.things
	keys = slices.AppendSeq(keys, maps.Keys(r.schedule.entries))
	r.mu.Unlock()
	slices.SortFunc(keys, compareKeys)
	for page := range slices.Chunk(slices.Compact(keys), listPage) {
		err := r.sides(ctx, page, func(k key, l *local, rw *row) {
			dir, ours := things[k.thing]
			if s := r.state(k, dir, l, rw); ours && s.State != "" && s.State != InStep {
				states = append(states, s)
			}
		})
		if err != nil {
			return nil, fmt.Errorf("read the shadows that are not in step: %w", err)
		}
		if len(states) >= most {
			return states[:most], nil
		}
	}
	return states, nil
}

// keys returns the shadows of which there is something to tell, sorted.
func (r *Reconciler) keys(ctx context.Context, thing string) (all []key, err error) {
	take := func(k key, _ bool) {
		if thing == "" || k.thing == thing {
			all = append(all, k)
		}
	}
	if err := r.each(ctx, thing, take); err != nil {
		return nil, fmt.Errorf("list the synced shadows: %w", err)
	}
	r.mu.Lock()
	for k := range r.schedule.entries {
		take(k, false)
	}
	r.mu.Unlock()
	slices.SortFunc(all, compareKeys)
	return slices.Compact(all), nil
}

// sides reads both sides of some shadows, as they are at one moment.
func (r *Reconciler) sides(ctx context.Context, keys []key, yield func(key, *local, *row)) error {
	return r.o.DB.View(ctx, func(tx *sqlite.Tx) error {
		for _, k := range keys {
			rw, _, _, err := load(tx, k)
			if err != nil {
				return err
			}
			d, err := localshadow.Load(tx, k.thing, k.name)
			if err != nil {
				return err
			}
			l, err := newLocal(&d)
			l.damaged = err != nil
			yield(k, &l, &rw)
		}
		return nil
	})
}

// state is one shadow in the status; without a State there is nothing to show.
func (r *Reconciler) state(k key, dir Direction, l *local, rw *row) State {
	s := State{Thing: k.thing, Name: k.name, Direction: dir, State: InStep}
	if l.exists {
		s.LocalVersion = l.version
	}
	if rw.cloud.found {
		s.CloudVersion = rw.cloud.version
	}
	if rw.conflict != 0 {
		s.LastConflict = time.UnixMilli(rw.conflict)
	}
	switch {
	case l.damaged:
		s.State, s.Why = Blocked, "the stored shadow cannot be read"
	case !l.exists && !rw.stored:
		s.State = "" // unless it is asked for
	case rw.blocked != "" && rw.blockedAt == l.mark():
		s.State, s.Why = Blocked, rw.blocked
	case dir == Down && l.exists && !rw.cloud.found:
		s.Why = "the cloud has none, and nothing goes up"
	case dir == Down && l.exists && !l.equal(rw.cloud.document) && equal(l.desired, rw.cloud.desired):
		s.Why = "what was reported here stays here, since nothing goes up"
	case dir == Up && !l.exists && !ahead(dir, l, rw):
		s.Why = "only the cloud has one, and nothing comes down"
	case !rw.stored || ahead(dir, l, rw):
		s.State = Ahead
	case l.exists != rw.cloud.found, l.exists && !l.equal(rw.cloud.document):
		s.State = Behind
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.schedule.entries[k]; e != nil {
		switch st := e.state(); {
		case st == Blocked:
			s.State, s.Why = Blocked, cmp.Or(e.barred, rw.blocked, s.Why)
		case (s.State == InStep || s.State == "") && st != "":
			s.State = st
		}
		if r.muted() != "" && s.State != InStep {
			s.State = Blocked
		}
		if s.Why == "" {
			s.Why = r.refusal(e)
		}
	}
	return s
}
