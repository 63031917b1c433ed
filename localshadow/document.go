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
	// Updated is when it was last updated, in Unix seconds; when it was deleted, by the
	// clock that dates deletions (forget.go).
	Updated int64
	// Desired and Reported are the sections as compact JSON objects, "" when
	// the document has no such section.
	Desired, Reported string
	// times of the leaves; see times.go.
	times string
	// row is where it is stored, 0 when that is not known.
	row int64
	// floor is the version that one without a row goes on from, see mend.go.
	floor int64
	// mark is the shadow's newest entry in the journal.
	mark mark
}

// Exists tells whether there is such a shadow.
func (d *Document) Exists() bool { return d.Version > 0 && !d.Deleted }

// Size is what counts towards the limit of a document, in bytes.
func (d *Document) Size() int { return len(d.Desired) + len(d.Reported) }

// Answer is what an accepted update has to tell, to be published in this order: Delta,
// which is nil when desired and reported do not differ, Documents, and Accepted.
type Answer struct {
	Delta, Accepted []byte
	// changes is what the update changed, see changes.go.
	changes string
	// Documents is written from these.
	previous, current Document
	token             string
}

// Documents writes the documents message: the whole document before and after. It is
// most of what there is to tell, and seldom does anybody want it. Of what was no update
// there is none: nil.
func (a *Answer) Documents() []byte {
	if a.current.Version == 0 {
		return nil
	}
	w := works.Get().(*work)
	defer works.Put(w)
	return w.documents(a)
}

// held is what the answer keeps in memory, in bytes.
func (a *Answer) held() int {
	return len(a.Delta) + len(a.Accepted) + a.previous.Size() + a.current.Size()
}

// ErrDamaged: the row of a shadow cannot be read. It can be deleted.
var ErrDamaged = errors.New("the stored shadow cannot be read")

// Update applies an update request to a document. It returns the document that
// results and the answers, or a *Rejection when the document stays as it was, or
// another error when the document is damaged.
func Update(old Document, payload string, now time.Time, lim Limits) (Document, Answer, error) {
	w := recent.take(&old)
	defer recent.put(w)
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
	// has is the document that the tree has, if it has one: who updates it goes on from
	// there.
	has   Document
	knows bool
}

var works = sync.Pool{New: func() any { return new(work) }}

func (w *work) reset() {
	w.tree.reset()
	w.clear()
	w.desired, w.reported = 0, 0
	w.has, w.knows = Document{}, false
}

// keptBytes is how large a buffer is kept for the next operation.
const keptBytes = 256 << 10

func (w *work) clear() {
	if cap(w.out) > keptBytes {
		w.out = nil
	}
	w.out, w.times, w.log = w.out[:0], w.times[:0], w.log[:0]
}

// Bounds of a tree that goes on, since what changes is appended: nodes, and bytes of texts
// beside eight times those of its document.
const (
	staleNodes = 1024
	staleBytes = 4096
)

// begin makes the work ready for an update of a document, and tells whether the tree
// has it.
func (w *work) begin(d *Document) (loaded bool) {
	if w.holds(d) && len(w.nodes) < staleNodes && len(w.src) < staleBytes+8*d.Size() {
		w.clear()
		return true
	}
	w.reset()
	return false
}

// holds tells whether the tree has a document.
func (w *work) holds(d *Document) bool {
	return w.knows && w.has.Desired == d.Desired && w.has.Reported == d.Reported && w.has.times == d.times
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
	// A deleted shadow goes on where it was, as long as that is remembered.
	d := Document{Version: max(old.Version, old.floor) + 1, Updated: now}
	before := old // what the answers show
	if !old.Exists() {
		before = Document{}
	}
	loaded := w.begin(&before)
	r, rejection := w.read(payload, now, lim)
	if rejection != nil {
		return old, Answer{}, rejection
	}
	if r.version >= 0 && r.version != before.Version {
		return old, Answer{}, reject(409, msgConflict).with(r.token)
	}
	if !loaded {
		if err := w.load(&before); err != nil {
			return old, Answer{}, err
		}
	}
	w.knows = false
	accepted := w.writeAccepted(&r, d.Version, now)
	w.mergeState(r.state)
	d.Desired, d.Reported = w.section(w.desired, before.Desired), w.section(w.reported, before.Reported)
	// What makes a document smaller that has come from the cloud may always come.
	if size := d.Size(); size > lim.Document && size >= before.Size() {
		return old, Answer{}, reject(413, msgTooLarge).with(r.token)
	}
	delta := w.writeDelta(d.Version, r.token, now)
	d.times = w.leafTimes()
	w.has, w.knows = d, true
	all := slices.Clone(w.out)
	return d, Answer{
		Delta: delta.of(all), Accepted: accepted.of(all), changes: w.changes(),
		previous: before, current: d, token: r.token,
	}, nil
}

// section returns the text of a section, which often is what it was.
func (w *work) section(id int32, was string) string {
	if id == 0 {
		return ""
	}
	text := w.at(w.settle(id))
	if string(text) == was {
		return was
	}
	return string(text)
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
		key, section := keyDesired, &w.desired
		if string(w.key(i)) == keyReported {
			key, section = keyReported, &w.reported
		}
		if w.nodes[i].kind == null {
			w.drop(key, section)
			continue
		}
		if *section == 0 {
			*section = w.new(node{kind: object})
		}
		w.enterSection(key)
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
