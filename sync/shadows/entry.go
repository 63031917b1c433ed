package shadows

import (
	"container/list"
	"time"
)

// place is where an entry is. It is in one place at a time, and that is what
// makes exchanges of one shadow follow each other.
type place uint8

const (
	idle    place = iota // nowhere, or waiting for its time or for the link
	ready                // to be looked at in a transaction
	turning              // in a transaction
	queued               // its request waits to be sent
	flying               // its request was sent; the answer is awaited
)

// entry is a shadow of which something is to be done. A shadow in step has none.
// All fields are guarded by Reconciler.mu.
type entry struct {
	key
	place   place
	live    bool // somebody waits for the change: before all that an outage left behind
	counted bool // in the window of exchanges
	stored  bool // it has a row, as far as is known
	blocked bool // and that says that the cloud takes nothing
	ahead   bool // the cloud lacks something, as its last turn saw it

	look  bool   // the local document may differ from the cloud's
	ask   bool   // the cloud is to be asked
	force bool   // try what is blocked
	news  bool   // notes has something that no turn has seen
	notes []note // heard and not placed yet, by version
	seen  int64  // the highest version heard of
	reply *reply // to the last request, for the next turn

	request *request  // queued, flying, or planned
	planned time.Time // when the first plan was made that has not left
	unsent  *document // that did certainly not arrive: a turn has to know
	erasing bool      // a deletion may have arrived

	gapUntil  time.Time // when to ask, if notes has a gap until then
	notBefore time.Time // after a failure
	attempts  int       // that failed in a row
	lookAt    time.Time // when look counts, see patience.go
	newsAt    time.Time // when news counts
	vain      int       // waits of these two that followed each other
	logged    string    // the last refusal that was logged
	why       string    // of the last failure
	barred    string    // why the cloud may not be asked; the next change asks again, but see suspicion
	suspicion

	deadline time.Time     // of place idle or flying, in timers
	index    int           // in timers, -1 when it is not there
	element  *list.Element // in the list of ready or queued
	lane     *list.List    // of element
}

// request is one message to the cloud.
type request struct {
	op    string
	token string
	plan  plan
	at    time.Time // when it left
	seen  int64     // of the entry, at that time
	alone bool      // nothing else was under way
}

// forgo gives up a request that did certainly not arrive; the next turn plans
// anew.
func (e *entry) forgo() {
	if e.request != nil && e.request.plan.marked {
		e.unsent = &e.request.plan.doc
	}
	e.request, e.look = nil, true
}

// reply is what the cloud said to a request, in the words of a turn.
type reply struct {
	kind    replyKind
	cloud   cloudSide // got
	seen    int64     // got: the highest version that was heard of when the question left
	version int64     // wrote, made, erased
	plan    plan      // what was asked for
	why     string    // refused
}

type replyKind uint8

const (
	got replyKind = iota + 1
	wrote
	made
	erased
	refused
)

// timers is a heap of entries by deadline.
type timers []*entry

func (t timers) Len() int           { return len(t) }
func (t timers) Less(i, j int) bool { return t[i].deadline.Before(t[j].deadline) }
func (t timers) Swap(i, j int) {
	t[i], t[j] = t[j], t[i]
	t[i].index, t[j].index = i, j
}
func (t *timers) Push(x any) {
	e := x.(*entry)
	e.index = len(*t)
	*t = append(*t, e)
}
func (t *timers) Pop() any {
	old := *t
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*t = old[:len(old)-1]
	e.index = -1
	return e
}
