package shadows

import (
	"slices"

	"greengate/localshadow"
)

// turn decides one step of one shadow: what is stored and what was heard of the
// cloud go in; what becomes of the two documents here, and what is to be sent,
// comes out. It is a pure function in pieces; the caller has the transaction.
type turn struct {
	direction Direction
	local     local // as it is, and then as it becomes
	row       row   // the same
	// fresh: the cloud was asked just now, so that it may be told to delete, which
	// takes no version.
	fresh bool
	force bool // try what is blocked
	news  bool // the cloud's document is another
	tried bool // a write was refused just now
	// offline: what is planned will not be done.
	offline bool

	was       local // the local document before the turn
	conflicts []conflict
	next      plan
}

// todo is what follows a turn.
type todo uint8

const (
	settled todo = iota // nothing: in step, as far as is known
	ask                 // get the cloud's document
	write               // update it
	create              // make an empty one, see plan
	erase               // delete it
	await               // wait for a notification that others have overtaken
	stuck               // nothing, until something changes: blocked
)

// plan is what follows a turn. A document that the cloud lacks is made empty
// first and then written to: what the service makes of a version in the first
// update is not documented (aws-iot.md, section 5), and without one the document
// that somebody else made a moment ago would be overwritten unseen.
type plan struct {
	do      todo
	state   *node    // of a write: the patch
	doc     document // of a write: what the cloud has then
	version int64    // of the cloud's document, on which a write or erase rests
	marked  bool     // doc came into row.sent for this plan alone
}

// note is what a notification tells.
type note struct {
	version int64
	deleted bool
	ours    bool  // an update of this process that was given up
	state   *node // of an update, with its times
}

// maxSent is how many states may be on their way with an unknown outcome.
const maxSent = 8

func newTurn(dir Direction, l local, r row) *turn {
	t := &turn{direction: dir, local: l, row: r, was: l}
	switch {
	case l.exists:
		t.row.gone = false
	case l.deleted && (r.cloud.found || len(r.sent) > 0):
		t.row.gone = true
	}
	return t
}

// deleted tells whether the local document was seen to be deleted.
func (t *turn) deleted() bool { return !t.local.exists && (t.local.deleted || t.row.gone) }

// become changes the local document.
func (t *turn) become(d document) { t.local.exists, t.local.document = true, d }

// clash notes that a whole document was deleted on one side and changed on the
// other.
func (t *turn) clash(l, c *node, w winner) {
	t.conflicts = append(t.conflicts, conflict{base: t.row.cloud.state(), local: l, cloud: c, winner: w})
}

// learn merges what the cloud has into the local document. ours: what is new in
// it came from here.
func (t *turn) learn(c cloudSide, ours bool) {
	last, sent := t.row.cloud, t.row.sent
	if ours {
		sent = append(slices.Clone(sent), c.document)
	}
	switch {
	case t.local.exists && c.found:
		m, conflicts := mergeDocuments(t.direction, last.document, sent, t.local.document, c.document)
		t.become(m)
		t.conflicts = append(t.conflicts, conflicts...)
	case t.local.exists && last.found:
		t.lost()
	case !t.local.exists && c.found:
		t.found(c, sent)
	}
	t.news = t.news || c.found != last.found || !c.equal(last.document)
	news := !t.row.stored || c.found != last.found || c.version != last.version || !c.equal(last.document)
	t.has(c)
	if news {
		t.row.sent, t.row.blocked = nil, ""
	}
}

// has notes what the cloud has now, and whether its versions began anew.
func (t *turn) has(c cloudSide) {
	last := t.row.cloud
	anew := c.version < last.version || c.version == last.version && !(last.found && c.equal(last.document))
	if c.found && t.row.stored && anew {
		t.row.former = max(t.row.former, last.version)
	}
	t.row.stored, t.row.cloud = true, c
}

// lost: the cloud's document was deleted.
func (t *turn) lost() {
	unseen := !t.local.equal(t.row.cloud.document)
	switch {
	case t.direction == Up:
	case t.direction == Down || !unseen:
		t.local = local{deleted: true, version: t.local.version}
	default:
		t.clash(t.local.state(), nil, localWins)
	}
}

// found: the cloud has a document, the gateway has none.
func (t *turn) found(c cloudSide, sent []document) {
	last := t.row.cloud
	known := last.found && c.equal(last.document) || slices.ContainsFunc(sent, c.equal)
	switch {
	case t.direction == Up:
	case t.direction == Both && t.deleted() && known:
	default:
		if t.deleted() && last.found {
			t.clash(nil, c.state(), cloudWins)
		}
		t.become(c.document)
	}
}

// wrote takes account of an update that the cloud took.
func (t *turn) wrote(version int64, doc document, state *node) {
	c := cloudSide{found: true, version: version, document: doc}
	// The times of what was sent came with the answer.
	if d, ok := patched(t.row.cloud.document, state); ok && d.equal(doc) {
		c.document = d
	}
	t.has(c)
	t.row.sent, t.row.blocked = nil, ""
}

// made takes account of an empty document that the cloud made because we asked
// for it. It reports false when there may have been one already.
func (t *turn) made(version int64) (certain bool) {
	if version != 1 && (!t.row.stored || version != t.row.cloud.version+1) {
		return false
	}
	t.has(cloudSide{found: true, version: version})
	t.row.sent, t.row.blocked = nil, ""
	return true
}

// hear takes account of notifications, sorted by version. It returns those that
// it cannot place yet, and false when the cloud must be asked.
func (t *turn) hear(notes []note) (rest []note, ok bool) {
	for i, n := range notes {
		c := t.row.cloud
		switch {
		case !t.row.stored:
			return nil, false
		case n.deleted, !c.found:
			// Of a deletion too the cloud's own answer counts: an old message of one may
			// come again, when versions have begun anew, and nothing brings a document back.
			return nil, false
		case n.version <= c.version:
			// Told already. A version that began anew follows a deletion, which is told too.
		case n.version > c.version+1:
			return notes[i:], true
		case n.version <= t.row.former:
			// It may be an old message of a document that is gone.
			return nil, false
		default:
			d, certain := patched(c.document, n.state)
			if !certain {
				return nil, false
			}
			t.learn(cloudSide{found: true, version: n.version, document: d}, n.ours)
		}
	}
	return nil, true
}

// erased takes account of the cloud's deletion that we asked for. What others
// wrote between the question and the deletion, which nobody here has seen,
// survives: notes tell it.
func (t *turn) erased(version int64, notes []note) {
	unseen := t.row.cloud.document
	for _, n := range notes {
		switch {
		case n.deleted && n.version >= t.row.cloud.version:
			unseen = document{}
		case !n.deleted && !n.ours && n.version > t.row.cloud.version:
			unseen, _ = patched(unseen, n.state) // nobody is left to ask
		}
	}
	if t.row.cloud.found && !unseen.equal(t.row.cloud.document) && !unseen.equal(document{}) {
		t.learn(cloudSide{found: true, version: version, document: unseen}, false)
	}
	t.row.cloud = cloudSide{version: version}
	t.row.sent, t.row.blocked = nil, ""
}

// refused takes account of a write that the cloud will never take. An empty document
// that it will not make stands for all that could be in it.
func (t *turn) refused(why string, p plan) {
	t.unsent(p.doc)
	t.tried = true
	t.row.blocked, t.row.blockedAt, t.row.stored = why, 0, true
	if p.do == create || !t.local.exists || t.local.equal(p.doc) {
		t.row.blockedAt = t.local.mark()
	}
}

// retries tells whether what is here has changed since what was refused.
func (t *turn) retries() bool { return t.tried && t.row.blocked != "" && t.row.blockedAt == 0 }

// reverted tells whether the direction has the change of one side put back.
func (t *turn) reverted() bool {
	switch t.direction {
	case Up:
		return t.news && t.ahead()
	case Down:
		return !t.news && (t.local.exists != t.was.exists || !t.local.equal(t.was.document))
	}
	return false
}

// unsent takes back a state that did certainly not arrive.
func (t *turn) unsent(doc document) {
	t.row.sent = slices.DeleteFunc(slices.Clone(t.row.sent), doc.equal)
}

// finish decides what follows.
func (t *turn) finish() {
	l, r := &t.local, &t.row
	if !t.ahead() {
		r.blocked = ""
		r.stored = r.stored && (l.exists || r.cloud.found)
		return
	}
	if r.blocked != "" && !t.force && (t.tried || r.blockedAt == t.was.mark()) {
		t.next = plan{do: stuck}
		return
	}
	r.blocked = ""
	switch {
	case !r.stored:
		t.next = plan{do: ask}
	case l.exists && !r.cloud.found:
		t.next = plan{do: create, version: r.cloud.version}
	case !l.exists && !t.fresh:
		t.next = plan{do: ask}
	case !l.exists:
		t.next = plan{do: erase, version: r.cloud.version}
	default:
		t.next = plan{do: write, version: r.cloud.version, doc: l.document, state: difference(r.cloud.document, l.document)}
		if !t.offline && !slices.ContainsFunc(r.sent, l.document.equal) {
			t.next.marked = true
			r.sent = append(slices.Clone(r.sent), l.document)
			r.sent = r.sent[max(0, len(r.sent)-maxSent):]
		}
	}
}

// ahead tells whether the cloud lacks something that it may have.
func (t *turn) ahead() bool { return ahead(t.direction, &t.local, &t.row) }

func ahead(dir Direction, l *local, r *row) bool {
	switch {
	case dir == Down:
		return false
	case l.exists != r.cloud.found:
		return l.exists || l.deleted || r.gone
	}
	return l.exists && !l.equal(r.cloud.document)
}

// edit is what the turn makes of the local document.
func (t *turn) edit() localshadow.Edit {
	e := localshadow.Edit{Source: source}
	for _, c := range t.conflicts {
		e.Conflicts = append(e.Conflicts, c.journal())
	}
	switch {
	case t.was.exists && !t.local.exists:
		e.Delete = true
	case !t.was.exists && t.local.exists:
		e.Patch = `{"state":` + string(t.local.state().json()) + `}`
	case t.local.exists:
		if d := difference(t.was.document, t.local.document); d != nil {
			e.Patch = `{"state":` + string(d.json()) + `}`
		}
	}
	return e
}
