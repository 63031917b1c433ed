package shadows

import (
	"cmp"
	"fmt"
	"time"
)

// A request that the cloud answers by closing the connection (in MQTT 3.1.1 that is
// how AWS says that the policy forbids it) must not keep the others from it, nor
// telemetry. A shadow whose request was not acknowledged at suspectAfter ends of the
// connection is asked for alone from then on, so that the blame is its own. An end
// counts if it comes soon, which that of a dead link does not. Who was blamed least is
// asked for first: the innocent do not wait for the guilty. When lostLimit requests in a
// row were not acknowledged, the next goes alone too: with many shadows it would take
// long until one is a suspect.
//
// A shadow that was blamed blameLimit times is left alone for as long as leaveAlone, or
// until Refresh: another try costs everybody the connection, so that a change of it is no
// reason. When streakLimit ends in a row are to blame on streakShadows or more, and the
// cloud took nothing in between, it is likely that it takes no request for any shadow,
// and none is sent.
const (
	suspectAfter  = 2
	lostLimit     = 8
	blameLimit    = 5
	soon          = 5 * time.Second
	leaveAlone    = time.Hour
	streakLimit   = 20
	streakShadows = 3
	// otherRequests go before a suspect when they do not end.
	otherRequests = 100
)

// suspicion is what is known of requests at which the connection ended.
type suspicion struct {
	cuts  int       // ends of the connection before the acknowledgement
	blame int       // of them, alone and soon
	write bool      // one of them was an update or a deletion; that gets pass says nothing then
	until time.Time // nothing is sent for the shadow until then
}

// suspect tells whether the shadow's next request goes alone.
func (e *entry) suspect() bool { return e.cuts >= suspectAfter }

// banned tells whether nothing may be sent for the shadow, whatever changes.
func (e *entry) banned(now time.Time) bool { return now.Before(e.until) }

// pardon has a shadow be tried again, unless it is banned: something has changed.
// While its changes wait, that is at the end of the wait.
func (e *entry) pardon() {
	switch now := time.Now(); {
	case e.banned(now):
	case e.barred != "" && e.lookAt.After(now):
		e.until = e.lookAt
	default:
		e.barred, e.until = "", time.Time{}
	}
}

// proved takes account of an acknowledgement: the cloud takes such a request. It
// expects mu to be held, as the others do.
func (r *Reconciler) proved(e *entry, req *request) {
	if r.schedule.lost > 0 {
		r.schedule.lost = 0
		trigger(r.sends)
	}
	if write := req.op != opGet; write || !e.write {
		e.suspicion = suspicion{until: e.until}
	}
	if req.op != opGet || !r.streak.writes {
		r.streak.clear()
	}
	if r.schedule.alone == e {
		r.schedule.alone = nil
		trigger(r.sends)
	}
}

// cut takes account of the end of the connection before the acknowledgement of a
// request.
func (r *Reconciler) cut(e *entry, req *request) {
	r.schedule.lost++
	e.cuts++
	e.write = e.write || req.op != opGet
	if !req.alone || time.Since(req.at) > soon {
		return
	}
	if r.streak.add(e.key, req.op != opGet) {
		r.mute = time.Now().Add(leaveAlone)
		r.o.Log.Error("The cloud closes the connection for all requests for shadows: none is sent for an hour")
	}
	if e.blame++; e.blame < blameLimit {
		return
	}
	// After the time that it is left alone, one more end is enough.
	e.blame, e.until = blameLimit-1, time.Now().Add(leaveAlone)
	e.barred = fmt.Sprintf("the cloud closes the connection each time for %s (does the policy of the core allow it?)", e.topic(req.op))
	e.ask = true
	r.o.Log.Error("The cloud closes the connection for a request, which is left out for an hour",
		"thing", e.thing, "shadow", e.name, "op", req.op)
}

// streak is the ends of the connection to blame on a shadow, since the cloud took
// something. After an hour without requests, one more is enough for another hour.
type streak struct {
	ends   int
	keys   map[key]struct{} // some of the shadows
	writes bool             // the last one for a write; that gets pass says nothing then
}

// add counts an end, and tells whether it is likely that no request passes.
func (s *streak) add(k key, write bool) bool {
	s.writes = write
	s.ends++
	if len(s.keys) < streakShadows {
		s.keys[k] = struct{}{}
	}
	return s.ends >= streakLimit && len(s.keys) >= streakShadows
}

func (s *streak) clear() {
	s.ends = 0
	clear(s.keys)
}

// muted says why nothing is sent for any shadow; "" when that is not so.
func (r *Reconciler) muted() string {
	if !time.Now().Before(r.mute) {
		return ""
	}
	return "the cloud closes the connection for each request (does the policy of the core allow them?)"
}

// absolve forgets every suspicion: the policy may have been put right.
func (r *Reconciler) absolve() {
	r.mute = time.Time{}
	r.streak.clear()
	for _, e := range r.schedule.entries {
		e.suspicion, e.barred, e.logged = suspicion{}, "", ""
		e.unhold()
	}
}

// refusal says why nothing is sent for a shadow, or why it waits.
func (r *Reconciler) refusal(e *entry) string { return cmp.Or(e.barred, r.muted(), e.why) }
