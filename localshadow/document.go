package localshadow

import (
	"errors"
	"slices"
	"sync"
	"time"
)

// Document is one shadow at rest. The zero value is a shadow that never was. It
// is immutable: an update makes another one.
type Document struct {
	// Version of the last accepted update, from 1 on; that of the deleted
	// document when Deleted.
	Version int64
	Deleted bool
	// Updated is when it was last updated or deleted, in Unix seconds.
	Updated int64
	// Desired and Reported are the sections as compact JSON objects, "" when
	// the document has no such section.
	Desired, Reported string
	// times of the leaves; see times.go.
	times string
	// mark is the shadow's newest entry in the journal.
	mark mark
}

// Exists tells whether there is such a shadow.
func (d *Document) Exists() bool { return d.Version > 0 && !d.Deleted }

// Size is what counts towards the limit of a document, in bytes.
func (d *Document) Size() int { return len(d.Desired) + len(d.Reported) }

// Answer is what an accepted update has to tell, ready to be published in this
// order. Delta is nil when desired and reported do not differ.
type Answer struct {
	Delta, Documents, Accepted []byte
	// changes is what the update changed, see changes.go.
	changes string
}

// ErrDamaged: the row of a shadow cannot be read. It can be deleted.
var ErrDamaged = errors.New("the stored shadow cannot be read")

// Update applies an update request to a document. It returns the document that
// results and the answers, or a *Rejection when the document stays as it was, or
// another error when the document is damaged.
func Update(old Document, payload string, now time.Time, lim Limits) (Document, Answer, error) {
	w := works.Get().(*work)
	defer works.Put(w)
	return w.update(old, payload, now.Unix(), &lim)
}

// Get answers a get request; subject is the shadow's name in the 404 (Subject).
// The error is as with Update.
func Get(d Document, payload, subject string, now time.Time, lim Limits) (accepted []byte, err error) {
	w := works.Get().(*work)
	defer works.Put(w)
	return w.get(d, payload, subject, now.Unix(), &lim)
}

// Delete answers a delete request with what is left of the document: its version
// and the time. The error is as with Update.
func Delete(old Document, payload, subject string, now time.Time, lim Limits) (Document, []byte, error) {
	w := works.Get().(*work)
	defer works.Put(w)
	return w.delete(old, payload, subject, now.Unix(), &lim)
}

// Subject is how the service calls a shadow in its 404.
func Subject(thing, name string) string {
	if name == "" {
		return thing
	}
	return thing + "~" + name
}

// work is the memory of one operation; it is used again and again.
type work struct {
	tree
	desired, reported int32 // the sections; 0 when absent
	out, times        []byte
}

var works = sync.Pool{New: func() any { return new(work) }}

func (w *work) reset() {
	w.tree.reset()
	w.out, w.times, w.log = w.out[:0], w.times[:0], w.log[:0]
	w.desired, w.reported = 0, 0
}

// load parses the sections of a document.
func (w *work) load(d *Document) (err error) {
	t := times{data: d.times}
	if d.Desired != "" {
		if w.desired, err = w.parseStored(d.Desired, &t); err != nil {
			return ErrDamaged
		}
	}
	if d.Reported != "" {
		if w.reported, err = w.parseStored(d.Reported, &t); err != nil {
			return ErrDamaged
		}
	}
	if !t.done() {
		return ErrDamaged
	}
	return nil
}

func (w *work) update(old Document, payload string, now int64, lim *Limits) (Document, Answer, error) {
	w.reset()
	r, rejection := w.read(payload, now, lim)
	if rejection != nil {
		return old, Answer{}, rejection
	}
	d := Document{Version: next(&old, now), Updated: now}
	before := old // what the answers show
	if !old.Exists() {
		before = Document{}
	}
	if r.version >= 0 && r.version != before.Version {
		return old, Answer{}, reject(409, msgConflict).with(r.token)
	}
	if err := w.load(&before); err != nil {
		return old, Answer{}, err
	}
	// All is written into one buffer, each part before the merge uses it up.
	accepted := w.writeAccepted(&r, d.Version, now)
	from := len(w.out)
	w.writePrevious(&before)
	w.mergeState(r.state)
	desired, reported := w.writeCurrent(d.Version)
	w.writeEnd(r.token, now)
	documents := span{from, len(w.out)}
	// What makes a document smaller that has come from the cloud may always come.
	if size := desired.len() + reported.len(); size > lim.Document && size >= before.Size() {
		return old, Answer{}, reject(413, msgTooLarge).with(r.token)
	}
	delta := w.writeDelta(d.Version, r.token, now)

	all := slices.Clone(w.out)
	d.Desired, d.Reported, d.times = string(desired.of(all)), string(reported.of(all)), w.leafTimes()
	return d, Answer{Delta: delta.of(all), Documents: documents.of(all), Accepted: accepted.of(all), changes: w.changes()}, nil
}

// next is the version that the next accepted update makes. A deleted shadow goes
// on where it was for 48 hours (AWS: device-shadow-data-flow, "DELETE").
func next(old *Document, now int64) int64 {
	if old.Deleted && now-old.Updated > remembered {
		return 1
	}
	return old.Version + 1
}

// mergeState lays the state of a request over the sections. A section that is
// left empty is none (AWS: device-shadow-document, "Empty sections").
func (w *work) mergeState(state int32) {
	if w.nodes[state].kind == null {
		w.drop(keyDesired, &w.desired)
		w.drop(keyReported, &w.reported)
		return
	}
	for i := w.nodes[state].first; i != 0; i = w.nodes[i].next {
		section := &w.desired
		if w.nodes[i].key == keyReported {
			section = &w.reported
		}
		if w.nodes[i].kind == null {
			w.drop(w.nodes[i].key, section)
			continue
		}
		if *section == 0 {
			*section = w.new(node{kind: object})
		}
		w.enterSection(w.nodes[i].key)
		if w.merge(*section, i); w.nodes[*section].size == 0 {
			*section = 0
		}
	}
}

// drop removes a section.
func (w *work) drop(key string, section *int32) {
	if *section != 0 {
		w.enterSection(key)
		w.note(*section, 0)
		*section = 0
	}
}

func (w *work) get(d Document, payload, subject string, now int64, lim *Limits) ([]byte, error) {
	w.reset()
	token, rejection := w.readToken(payload, lim)
	if rejection != nil {
		return nil, rejection
	}
	if !d.Exists() {
		return nil, reject(404, msgNoShadow, subject).with(token)
	}
	w.reset()
	if err := w.load(&d); err != nil {
		return nil, err
	}
	w.writeGet(&d, token, now)
	return slices.Clone(w.out), nil
}

func (w *work) delete(old Document, payload, subject string, now int64, lim *Limits) (Document, []byte, error) {
	w.reset()
	token, rejection := w.readToken(payload, lim)
	if rejection != nil {
		return old, nil, rejection
	}
	if !old.Exists() {
		return old, nil, reject(404, msgNoShadow, subject).with(token)
	}
	w.write(`{"version":`)
	w.writeInt(old.Version)
	w.writeEnd(token, now)
	return Document{Version: old.Version, Deleted: true, Updated: now}, slices.Clone(w.out), nil
}

// HasDelta tells whether desired and reported differ.
func (d *Document) HasDelta() (bool, error) {
	if d.Desired == "" {
		return false, nil
	}
	w := works.Get().(*work)
	defer works.Put(w)
	w.reset()
	if err := w.load(d); err != nil {
		return false, err
	}
	return w.compare(w.desired, w.reported), nil
}
