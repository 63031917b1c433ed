package shadows

import "time"

// What comes to nothing is not done at full speed, however often its cause comes
// again: a change of a shadow that the cloud refuses, or a change that the direction
// has put back, to which a device or a rule answers with the next. Such changes of
// the one side wait, from Timing.Retry on and twice as long each time, for longestHold
// at most; those of the other pass.
const longestHold = time.Minute

// hold has the changes of one side wait: until is lookAt or newsAt of the entry. It
// expects mu to be held.
func (r *Reconciler) hold(e *entry, until *time.Time) {
	now := time.Now()
	if now.Sub(*until) > longestHold { // the last one was long ago
		e.vain = 0
	}
	*until = now.Add(min(r.o.Timing.Retry<<e.vain, longestHold))
	e.vain = min(e.vain+1, 16)
}

// heldUntil is when the first of the sides that wait does so no more, or zero.
func (e *entry) heldUntil(now time.Time) (first time.Time) {
	for _, t := range []time.Time{e.lookAt, e.newsAt} {
		if t.After(now) && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}

// unhold lets the changes of both sides pass.
func (e *entry) unhold() { e.lookAt, e.newsAt = time.Time{}, time.Time{} }

// planLimit is how long a plan for the cloud is dropped for a better one, each time
// that the document changes before it has left. Then it leaves, and the rest
// follows: with a slow disk and a busy shadow there would never be one that lasts.
const planLimit = time.Second

// overdue tells whether the request that is planned leaves, although the document
// here has changed since. With news of the cloud it would be refused.
func (e *entry) overdue(now time.Time) bool {
	return e.request != nil && e.request.op == opUpdate && !e.news && !e.planned.IsZero() && now.Sub(e.planned) >= planLimit
}
