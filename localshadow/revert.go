package localshadow

import (
	"context"
	"errors"
	"strings"

	"greengate/core/sqlite"
)

// Errors of At and Revert; test with errors.Is.
var (
	// ErrTooOld: the journal does not reach back to that version any more.
	ErrTooOld = errors.New("the journal of the shadow does not reach back to that version")
	// ErrNoVersion: the shadow has had no such version.
	ErrNoVersion = errors.New("the shadow has had no such version")
)

// At returns the document as it was at a version: of several with the same number,
// which a shadow has that was deleted for long, the newest. Numbers that were written
// differently but have the same value may have the newer form. The error is one of the
// above, a *Rejection for names that no shadow has, ErrDamaged, or that of the database.
func (s *Service) At(ctx context.Context, thing, name string, version int64) (State, error) {
	if r := checkNames(thing, name); r != nil {
		return State{}, r
	}
	w := works.Get().(*work)
	defer works.Put(w)
	err := s.o.DB.View(ctx, func(tx *sqlite.Tx) error {
		d, err := Load(tx, thing, name)
		if err != nil {
			return err
		}
		return s.goBack(w, tx, Key{thing, name}, &d, version)
	})
	if err != nil {
		return State{}, err
	}
	return w.state(), nil
}

// Sections says which sections of a document a Revert is about.
type Sections uint8

// The sections; they can be added up.
const (
	Desired Sections = 1 << iota
	// Reported belongs to the device: what it says of itself is made untrue until it
	// reports again. It is for shadows whose device is gone.
	Reported
)

// Revert makes sections of a shadow equal to what they were at a version. It is an
// update like any other: it makes a new version, also when nothing differs, creates a
// shadow that was deleted, and is published. The error is that of At or of Transact;
// when it is that of ctx, it is not known whether the update took place.
func (s *Service) Revert(ctx context.Context, thing, name string, version int64, what Sections, from Source) (accepted []byte, err error) {
	if err := s.checkServed(thing, name); err != nil {
		return nil, err
	}
	compose := func(tx *sqlite.Tx, d Document) (Edit, error) {
		w := works.Get().(*work)
		defer works.Put(w)
		if err := s.goBack(w, tx, Key{thing, name}, &d, version); err != nil {
			return Edit{}, err
		}
		patch, err := w.patchFrom(&d, what)
		return Edit{Patch: patch, Source: from, always: true}, err
	}
	ended := make(chan *job, 1)
	j := &job{s: s, thing: thing, name: name, base: topicOf(thing, name), decide: compose, decided: func(j *job) { ended <- j }}
	if err := s.enqueueEdit(j); err != nil {
		return nil, err
	}
	select {
	case <-ended:
		return j.answer.Accepted, j.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// goBack loads a document into w and takes back what was done to it after a version.
func (s *Service) goBack(w *work, tx *sqlite.Tx, k Key, d *Document, version int64) error {
	w.reset()
	if err := w.load(d); err != nil {
		return err
	}
	reached, exists := d.Version, d.Exists() // what w has
	found := func() bool { return exists && reached == version }
	if found() {
		return nil
	}
	err := s.walk(tx, k.Thing, k.Name, -1, 0, func(e *stored) (more bool, err error) {
		if e.Version != reached {
			return false, nil // entries are missing
		}
		if e.First <= version && version < e.Version {
			reached, exists = version, true
			return false, nil
		}
		if err := w.undo(e.changes); err != nil {
			return false, err
		}
		reached, exists = max(e.before, -e.before), e.before > 0
		return !found() && reached != 0, nil
	})
	switch {
	case err != nil || found():
		return err
	case version < 1 || version > d.Version || reached == 0:
		return ErrNoVersion
	}
	return ErrTooOld
}

// undo takes back the changes of an entry. Changes that do not fit the document are
// damage.
func (w *work) undo(changes string) error {
	if changes == "" {
		return nil
	}
	root, err := w.parse(changes, 1<<10, 0)
	if err != nil {
		return ErrDamaged
	}
	for row := w.nodes[root].first; row != 0; row = w.nodes[row].next {
		at := w.nodes[row].first
		path := w.nodes[at].next
		before := w.nodes[path].next
		if w.nodes[row].size != 4 || w.nodes[path].kind != text {
			return ErrDamaged
		}
		section := &w.desired
		if string(w.at(w.nodes[at].text)) == keyReported {
			section = &w.reported
		}
		if w.nodes[before].kind == null {
			before = 0
		}
		if !w.putBack(section, string(w.at(w.nodes[path].text)), before) {
			return ErrDamaged
		}
	}
	for _, section := range []*int32{&w.desired, &w.reported} {
		if *section != 0 && w.nodes[*section].size == 0 {
			*section = 0
		}
	}
	return nil
}

// putBack makes before the value at a path, which is JSON text; 0 is no value. It
// tells whether there is such a place.
func (w *work) putBack(section *int32, path string, before int32) bool {
	if path == `""` {
		*section = before
		return before == 0 || w.nodes[before].kind == object
	}
	if *section == 0 {
		*section = w.new(node{kind: object})
	}
	parent, steps := *section, strings.Split(path[1:len(path)-1], "/")[1:]
	for i, step := range steps {
		w.touch(parent)
		key := []byte(`"` + unstep.Replace(step) + `"`)
		child := w.find(parent, key)
		switch {
		case w.nodes[parent].kind != object:
			return false
		case i < len(steps)-1:
			parent = child
		case before == 0 && child != 0:
			w.remove(parent, child)
		case child != 0:
			w.tree.replace(child, before)
		case before != 0:
			w.nodes[before].key = w.store(string(key))
			w.add(parent, before)
		default:
			return false
		}
	}
	return len(steps) > 0
}

// state is the document that w has.
func (w *work) state() (s State) {
	if w.desired != 0 {
		s.Desired = string(w.append(nil, w.desired))
	}
	if w.reported != 0 {
		s.Reported = string(w.append(nil, w.reported))
	}
	return s
}

// patchFrom returns the update request that makes sections of d those that w has.
func (w *work) patchFrom(d *Document, what Sections) (string, error) {
	b := []byte(`{"state":{`)
	for _, s := range [...]struct {
		is     Sections
		key    string
		have   string
		target int32
	}{{Desired, keyDesired, d.Desired, w.desired}, {Reported, keyReported, d.Reported, w.reported}} {
		if what&s.is == 0 || s.have == "" && s.target == 0 {
			continue
		}
		b = append(append(b, s.key...), ':')
		switch {
		case s.target == 0:
			b = append(b, "null"...)
		case s.have == "":
			b = w.append(b, s.target)
		default:
			have, err := w.parse(s.have, 1<<10, 0)
			if err != nil {
				return "", ErrDamaged
			}
			b = w.appendPatch(b, have, s.target)
		}
		b = append(b, ',')
	}
	return string(append(end(b, '}'), '}')), nil
}

// appendPatch writes what makes the object have equal to the object want when it is
// merged into it.
func (t *tree) appendPatch(b []byte, have, want int32) []byte {
	b = append(b, '{')
	for i := t.live(t.nodes[want].first); i != 0; i = t.live(t.nodes[i].next) {
		j := t.find(have, t.key(i))
		if j != 0 && t.equal(i, j) {
			continue
		}
		b = append(append(b, t.key(i)...), ':')
		if j != 0 && t.nodes[i].kind == object && t.nodes[j].kind == object {
			b = t.appendPatch(b, j, i)
		} else {
			b = t.append(b, i)
		}
		b = append(b, ',')
	}
	for i := t.live(t.nodes[have].first); i != 0; i = t.live(t.nodes[i].next) {
		if t.find(want, t.key(i)) == 0 {
			b = append(append(b, t.key(i)...), ":null,"...)
		}
	}
	return end(b, '}')
}
