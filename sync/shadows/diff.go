package shadows

import (
	"context"
	"encoding/json"
	"slices"
)

// Diff is where the two sides of a shadow differ.
type Diff struct {
	Thing        string          `json:"thing"`
	Name         string          `json:"name"`
	LocalVersion int64           `json:"local_version"`
	CloudVersion int64           `json:"cloud_version"`
	Local        json.RawMessage `json:"local"` // the state; null when there is no such shadow
	Cloud        json.RawMessage `json:"cloud"`
	Leaves       []LeafDiff      `json:"leaves"` // never nil
}

// LeafDiff is one leaf that differs. A side that lacks it has no value.
type LeafDiff struct {
	Section string          `json:"section"` // desired or reported
	Path    []string        `json:"path"`
	Local   json.RawMessage `json:"local,omitempty"`
	Cloud   json.RawMessage `json:"cloud,omitempty"`
	CloudAt int64           `json:"cloud_at,omitempty"` // Unix seconds, by the cloud's clock
}

// Diff compares the two sides of a shadow, the cloud's as it was last known. The
// error is that of the database.
func (r *Reconciler) Diff(ctx context.Context, thing, name string) (Diff, error) {
	d := Diff{Thing: thing, Name: name, Leaves: []LeafDiff{}}
	err := r.sides(ctx, []key{{thing, name}}, func(_ key, l *local, rw *row) {
		if l.exists {
			d.LocalVersion, d.Local = l.version, l.state().json()
		}
		if rw.cloud.found {
			d.CloudVersion, d.Cloud = rw.cloud.version, rw.cloud.state().json()
		}
		d.leaves(desired, nil, l.desired, rw.cloud.desired)
		d.leaves(reported, nil, l.reported, rw.cloud.reported)
	})
	return d, err
}

// leaves adds the leaves in which two values differ.
func (d *Diff) leaves(section string, path []string, l, c *node) {
	switch {
	case equal(l, c):
		return
	case l.isObject() && (c == nil || c.isObject()), c.isObject() && l == nil:
		// An object that is missing on one side is told leaf by leaf, but {} is a leaf.
		if parts(l, c) == 0 {
			break
		}
		for _, key := range keys(l, c) {
			d.leaves(section, append(slices.Clone(path), key), l.get(key, 0), c.get(key, 0))
		}
		return
	}
	leaf := LeafDiff{Section: section, Path: append([]string{}, path...), Local: l.json(), Cloud: c.json()}
	if c != nil {
		leaf.CloudAt = c.time
	}
	d.Leaves = append(d.Leaves, leaf)
}

// keys returns the keys of both objects, each once.
func keys(l, c *node) (all []string) {
	for _, x := range []*node{l, c} {
		if x != nil {
			for _, m := range x.members {
				all = append(all, m.key)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
