package shadows

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"greengate/localshadow"
)

// Receive takes a message of the cloud, if it is one of the shadow service. It
// does not wait, and may keep the payload. When a message it took is lost in a
// crash, nothing is: the next connection asks.
func (r *Reconciler) Receive(topic string, payload []byte) (taken bool) {
	k, op, accepted, ok := parseTopic(topic)
	if !ok {
		return false
	}
	r.mu.Lock()
	_, synced := r.things[k.thing]
	synced = synced && r.running
	r.mu.Unlock()
	if !synced {
		return true
	}
	if k.name != "" {
		if err := localshadow.CheckName(k.name); err != nil {
			r.garbage(k, false, err) // of another there is nothing here, and nothing to ask
			return true
		}
	}
	var a answer
	var state *node
	err := json.Unmarshal(payload, &a)
	ours := strings.HasPrefix(a.Token, r.prefix)
	if err == nil && accepted && (op == opUpdate || op == opGet && ours) {
		state, err = a.tree()
	}
	if err != nil {
		r.garbage(k, accepted && op != opGet, err)
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.schedule.entries[k]
	own := e != nil && e.place == flying && e.request.op == op &&
		(e.request.token == a.Token || !accepted && a.Token == "" && op == opGet && a.Code == 404)
	r.passed(!ours && accepted && op != opGet)
	switch {
	case own && accepted:
		r.accepted(e, &a, state)
	case own:
		r.rejected(e, &a)
	case accepted && op != opGet:
		r.notified(k, note{version: a.Version, deleted: op == opDelete, state: state, ours: op == opUpdate && ours})
	}
	return true
}

// garbage notes a message that cannot be read. If it was an answer, its time runs
// out; if it may tell a change, the cloud is asked what it is.
func (r *Reconciler) garbage(k key, tells bool, err error) {
	r.mu.Lock()
	r.figures.garbage++
	if tells && !r.full(k) {
		e := r.schedule.entry(k)
		e.ask = true
		r.advance(e)
	}
	r.mu.Unlock()
	r.o.Log.Warn("Could not read a message of the shadow service", "thing", k.thing, "shadow", k.name, "err", err)
}

// accepted takes the answer to a request. It expects mu to be held, as the others
// do.
func (r *Reconciler) accepted(e *entry, a *answer, state *node) {
	p := e.request.plan
	switch {
	case e.request.op == opGet:
		c := cloudSide{found: true, version: a.Version, document: newDocument(state)}
		e.reply = &reply{kind: got, cloud: c, seen: e.request.seen}
	case e.request.op == opDelete:
		r.figures.written++
		e.erasing = false
		e.reply = &reply{kind: erased, version: a.Version, plan: p}
		if !e.told() {
			e.gapUntil = time.Now().Add(r.o.Timing.Answer)
		}
	case p.do == create:
		r.figures.written++
		e.reply = &reply{kind: made, version: a.Version, plan: p}
	default:
		r.figures.written++
		p.state = state // the same, with its times
		e.reply = &reply{kind: wrote, version: a.Version, plan: p}
	}
	r.landed(e)
}

// rejected takes the refusal of a request.
func (r *Reconciler) rejected(e *entry, a *answer) {
	r.figures.rejected[known(a.Code)]++
	why := fmt.Sprintf("%d: %.200s", a.Code, a.Message)
	op := e.request.op
	switch {
	case a.Code == 404 && op != opUpdate:
		e.reply = &reply{kind: got}
	case a.Code == 409:
		r.contested(e)
	case a.Code == 429 || a.Code == 503:
		r.fail(e, why)
		r.again(e)
		return
	case a.Code >= 500: // it may have taken it all the same
		r.fail(e, why)
		e.ask = true
	default:
		r.refuse(e, why)
		return
	}
	r.landed(e)
}

// known is a code to count: those that are none of HTTP's are one, lest the cloud make
// the figures grow for ever.
func known(code int) int {
	if code < 100 || code > 599 {
		return 0
	}
	return code
}

// contested: somebody else has changed the document. If the notification that
// said so is here, there is nothing to ask.
func (r *Reconciler) contested(e *entry) {
	e.forgo()
	e.look = len(e.notes) > 0
	e.attempts++
	if e.attempts > 3 {
		r.fail(e, "others change it all the time")
	}
	if len(e.notes) > 0 {
		e.news = true
	} else {
		e.ask = true
	}
}

// maxEntries bounds what a cloud that tells of ever new shadows can make us keep; each
// takes some 500 bytes. The next connection asks for those that really are.
const maxEntries = 100_000

// full tells whether there is no place for another shadow to be kept in mind.
func (r *Reconciler) full(k key) bool {
	return r.schedule.entries[k] == nil && len(r.schedule.entries) >= maxEntries
}

// notified takes what somebody else has done, or we ourselves when we had given
// it up.
func (r *Reconciler) notified(k key, n note) {
	if r.full(k) {
		r.figures.garbage++
		return
	}
	e := r.schedule.entry(k)
	r.schedule.promote(e)
	e.pardon()
	e.seen = max(e.seen, n.version)
	switch {
	case e.ask && e.place != flying && e.place != turning && e.reply == nil && r.online:
		// The answer to come has it.
	case !e.hear(n):
		e.ask = true
	}
	r.withdraw(e)
	r.advance(e)
}
