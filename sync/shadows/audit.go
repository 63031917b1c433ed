package shadows

import (
	"context"
	"time"
)

// What the cloud tells may get lost while the connection lives: AWS discards what is
// more than 100 messages a second of a connection, up and down together (aws-iot.md
// 2.1). The next change of the shadow shows it; for one that nobody changes any more,
// each is asked for once in auditPeriod, spread over it, and all of them soon after a
// second in which much was told. A new connection asks for all anyway.
const (
	auditPeriod = 24 * time.Hour
	// crowd messages of shadows in a second, of which crowdTold are changes of others,
	// may have been too many: it is less than AWS lets pass, as telemetry shares that.
	// Our own requests and their answers are paced, and are no reason by themselves.
	crowd      = 60
	crowdTold  = 20
	crowdPause = 5 * time.Second // until all are asked for
	// crowdShare is the time between two such rounds for each shadow, and a minute: each
	// takes 20 ms of what the connection may carry.
	crowdShare = 200 * time.Millisecond
)

// traffic watches the messages of shadows. It is guarded by Reconciler.mu.
type traffic struct {
	second    time.Time // its beginning
	all, told int       // in it
	crowded   time.Time // when there were too many; zero: never since all were asked for
}

// passed counts a message, and whether it tells a change of somebody else.
func (r *Reconciler) passed(told bool) {
	t, now := &r.traffic, time.Now()
	if now.Sub(t.second) >= time.Second {
		t.second, t.all, t.told = now, 0, 0
	}
	if t.all++; told {
		t.told++
	}
	if t.all >= crowd && t.told >= crowdTold && t.crowded.IsZero() {
		t.crowded = now
		trigger(r.turns)
	}
}

// audit is what the pump knows of asking without a reason. Nobody else uses it.
type audit struct {
	next  time.Time // when the next shadow is asked for; zero: not decided
	after key       // the last one that was
	again time.Time // all are not asked for before
}

// look asks for what is due, and says how long until more is.
func (a *audit) look(ctx context.Context, r *Reconciler) time.Duration {
	r.mu.Lock()
	online, crowded := r.online, r.traffic.crowded
	r.mu.Unlock()
	now := time.Now()
	if !online { // a new connection asks for all
		a.next = time.Time{}
		return auditPeriod
	}
	wait := auditPeriod
	if !crowded.IsZero() {
		if wait = max(crowded.Add(crowdPause).Sub(now), a.again.Sub(now)); wait <= 0 {
			a.again, wait = now.Add(time.Minute+time.Duration(r.rowCount())*crowdShare), auditPeriod
			r.o.Log.Info("So many shadows changed at once that some of it may be lost: asking for all")
			r.askAll(ctx)
		}
	}
	if !a.next.After(now) {
		if !a.next.IsZero() {
			a.ask(ctx, r)
		}
		a.next = now.Add(auditPeriod / time.Duration(r.rowCount()+1))
	}
	return min(wait, a.next.Sub(now))
}

// ask asks for the next shadow.
func (a *audit) ask(ctx context.Context, r *Reconciler) {
	keys, err := r.rows(ctx, sqlKeys, a.after.thing, a.after.name, 1)
	r.failed(ctx, err)
	r.mu.Lock()
	things := r.things
	r.mu.Unlock()
	switch {
	case err != nil:
	case len(keys) > 0:
		a.after = keys[0]
		if _, ours := things[a.after.thing]; ours {
			r.question(a.after, true)
		}
	default: // round once; and is there something that nobody here knows of?
		a.after = key{}
		for thing := range things {
			r.discovered(ctx, key{thing: thing})
		}
		r.relist()
	}
}

func (r *Reconciler) rowCount() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.totals().rows
}
