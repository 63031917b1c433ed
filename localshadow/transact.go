package localshadow

import (
	"encoding/json"
	"errors"
	"fmt"

	"greengate/core/sqlite"
)

// Edit is what a Transact makes of a shadow: exactly one of Patch and Delete, or
// neither, and then its document stays as it is, with its version.
type Edit struct {
	// Patch is the payload of an update request, `{"state":{...}}`. It is judged by
	// Lenient. One that would change nothing does nothing: the version stays.
	Patch  string
	Delete bool // of a shadow that does not exist: does nothing
	Source Source
	// Conflicts are kept in the journal, also when the document stays as it is.
	Conflicts []Conflict

	always bool // a patch that changes nothing makes a new version all the same
}

// Conflict is a value that both sides have changed since they last had the same.
type Conflict struct {
	Section string `json:"section"` // desired, reported, or "" for the document as a whole
	Path    string `json:"path"`    // JSON Pointer (RFC 6901) in the section
	// The values, nil where there was none.
	Local json.RawMessage `json:"local,omitempty"`
	Cloud json.RawMessage `json:"cloud,omitempty"`
	Base  json.RawMessage `json:"base,omitempty"` // the last that both had
	// Winner is the side whose value stands now: local or cloud.
	Winner string `json:"winner"`
}

var errEdit = errors.New("an edit of a shadow both patches and deletes it")

// Transact has f decide, in the group's transaction, what becomes of a shadow. f may
// read and write tables of its own by tx, and these are committed together with the
// change; it may run more than once, and only its last run counts. d may be a shadow
// that does not exist. What changes is published as any other update is.
//
// done is called once, from the goroutine of Run, after the commit and after what
// changed was published. changed tells whether there is a new version, or a deletion;
// of a document that stays as it is Change has what there is. On an error nothing was
// changed, and nothing that f wrote is there. The error is that of f as it is, a
// *Rejection, ErrDamaged, that of the disk (sqlite.OfDisk), or one of ErrBusy and
// ErrStopped, with which done is called at once from this goroutine and f is not.
//
// Bounds.Edits of them may wait. Requests of devices do not take that room, nor do
// edits take theirs.
func (s *Service) Transact(thing, name string, f func(tx *sqlite.Tx, d Document) (Edit, error), done func(c Change, changed bool, err error)) {
	if err := s.checkServed(thing, name); err != nil {
		done(Change{}, false, err)
		return
	}
	j := &job{s: s, thing: thing, name: name, base: topicOf(thing, name), decide: f, decided: func(j *job) {
		switch {
		case j.err != nil:
			done(Change{}, false, j.err)
		case j.change != nil:
			done(*j.change, true, nil)
		default:
			done(*j.stays, false, nil)
		}
	}}
	if err := s.enqueueEdit(j); err != nil {
		done(Change{}, false, err)
	}
}

func (s *Service) enqueueEdit(j *job) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.over:
		return ErrStopped
	case s.edits >= s.o.Bounds.Edits:
		return ErrBusy
	}
	switch err := s.o.DB.TryWrite(j.serve, j.served); {
	case errors.Is(err, sqlite.ErrQueue):
		return ErrBusy
	case err != nil:
		return ErrStopped
	}
	s.edits++
	return nil
}

// transact does what decide says. Its errors undo what decide wrote.
func (j *job) transact(tx *sqlite.Tx) error {
	old, err := j.s.hot.load(tx, Key{j.thing, j.name})
	if err != nil {
		return err
	}
	edit, err := j.decide(tx, old)
	if err != nil {
		return err
	}
	j.from, j.stays = edit.Source, newChange(j.thing, j.name, &old, &old, edit.Source)
	if j.conflicts, err = conflictsText(edit.Conflicts); err != nil {
		return err
	}
	d, err := j.edit(&edit, old)
	if err != nil {
		return err
	}
	switch {
	case d != old:
		return j.keep(tx, &old, &d)
	case j.conflicts != "":
		return j.remark(tx, &d)
	}
	return nil
}

// remark writes the conflicts of a document that stays as it is into the journal.
func (j *job) remark(tx *sqlite.Tx, d *Document) error {
	err := j.record(tx, j.entry(d, d), &d.mark)
	if err == nil {
		err = saveMark(tx, j.thing, j.name, d)
	}
	if err == nil {
		j.s.hot.keep(Key{j.thing, j.name}, *d)
	}
	return err
}

// conflictsText is how the journal has them.
func conflictsText(all []Conflict) (string, error) {
	if len(all) == 0 {
		return "", nil
	}
	b, err := json.Marshal(all)
	if err != nil {
		return "", fmt.Errorf("write down the conflicts of a shadow: %w", err)
	}
	return string(b), nil
}

// edit applies an edit to a document.
func (j *job) edit(e *Edit, old Document) (d Document, err error) {
	lim, now := Lenient(), j.now
	switch {
	case e.Patch != "" && e.Delete:
		return old, errEdit
	case e.Patch != "":
		j.op = OpUpdate
		d, j.answer, err = Update(old, e.Patch, now, lim)
		if err == nil && old.Exists() && j.answer.changes == "" && !e.always {
			d, j.answer = old, Answer{}
		}
	case e.Delete && old.Exists():
		j.op = OpDelete
		d, j.answer.Accepted, err = Delete(old, "", "", now, lim)
	default:
		return old, nil
	}
	return d, err
}

// tellEdit publishes what a Transact has changed and ends it.
func (s *Service) tellEdit(j *job) {
	if j.err == nil && j.change != nil {
		s.accept(j)
		s.changed(j)
		s.figures.accepted[j.op].Add(1)
	}
	s.noteEdit(j)
	s.mu.Lock()
	s.edits--
	s.mu.Unlock()
	j.decided(j)
}

// noteEdit keeps what the disk gave for it, and a damaged row: the rest is the
// business of the one who edits.
func (s *Service) noteEdit(j *job) {
	switch {
	case sqlite.OfDisk(j.err):
		s.figures.fault(j.err, s.o.Now())
	case errors.Is(j.err, ErrDamaged):
		s.damaged(j.thing, j.name, j.err)
	case j.err == nil && j.change != nil:
		s.figures.fault(nil, s.o.Now())
	}
	if j.err == nil {
		s.journalled(j)
	}
}
