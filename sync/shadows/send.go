package shadows

import (
	"context"
	"errors"
	"strconv"
	"time"
)

// send sends the requests, one after another: the link keeps the limits by
// holding Send up.
func (r *Reconciler) send(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		e, req, wait := r.nextRequest()
		if e != nil {
			topic, payload := e.topic(req.op), req.payload()
			err := r.o.Link.Send(ctx, topic, payload, func(err error) { r.acknowledged(e, req, err) })
			r.left(e, req, err)
			continue
		}
		timer.Stop()
		if wait > 0 {
			timer.Reset(wait)
		}
		select {
		case <-ctx.Done():
		case <-r.sends:
		case <-timer.C:
		}
	}
}

// nextRequest takes the request that leaves next.
func (r *Reconciler) nextRequest() (*entry, *request, time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.online {
		return nil, nil, 0
	}
	now := time.Now()
	if wait := r.mute.Sub(now); wait > 0 {
		return nil, nil, wait
	}
	e, wait := r.schedule.next(now)
	if e == nil {
		return nil, nil, wait
	}
	r.requests++
	r.passed(false)
	if e.request.op != opGet {
		e.planned = time.Time{}
	}
	e.request.token = r.prefix + strconv.FormatUint(r.requests, 36)
	e.request.at, e.request.seen, e.request.alone = now, e.seen, r.schedule.alone == e
	switch e.request.op {
	case opGet:
		// What was heard before is in the answer, unless we may have deleted it.
		if e.gapUntil = (time.Time{}); !e.erasing {
			e.notes, e.news = nil, false
		}
		r.figures.asked++
	case opDelete:
		e.erasing = true
	}
	return e, e.request, 0
}

func (q *request) payload() []byte {
	switch {
	case q.op != opUpdate:
		return payload(q.token, nil, -1)
	case q.plan.do == create:
		return payload(q.token, emptyObject, -1)
	}
	return payload(q.token, q.plan.state, q.plan.version)
}

// left is told how Send ended.
func (r *Reconciler) left(e *entry, req *request, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e.request != req || e.place != flying { // it is answered already, or the link went down
		if err != nil && req.plan.marked && r.schedule.entries[e.key] == e {
			e.unsent = &req.plan.doc // so it was not on its way after all
		}
		return
	}
	var never *Never
	switch {
	case err == nil:
		r.schedule.at(e, time.Now().Add(r.o.Timing.Answer))
		trigger(r.turns)
	case errors.Is(err, ErrOffline), errors.Is(err, ErrLost), errors.Is(err, context.Canceled):
		// The link will say when it is there again; until then nothing leaves.
		r.online = false
		r.again(e)
	case errors.As(err, &never):
		r.refuse(e, err.Error())
	default:
		r.fail(e, err.Error())
		r.again(e)
	}
}

// acknowledged is told whether the cloud has a request; what it makes of it comes
// as a message.
func (r *Reconciler) acknowledged(e *entry, req *request, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.schedule.entries[e.key] == e {
		switch {
		case err == nil:
			r.proved(e, req)
		case errors.Is(err, ErrLost):
			r.cut(e, req)
			r.advance(e)
		}
	}
	if err == nil || e.request != req || e.place != flying {
		return
	}
	var never *Never
	switch {
	case errors.Is(err, ErrLost), errors.Is(err, ErrOffline):
		r.figures.unknown++
		r.schedule.land(e)
		e.ask = true
		r.advance(e)
	case errors.As(err, &never):
		r.refuse(e, err.Error())
	default:
		r.fail(e, err.Error())
		r.again(e)
	}
}

// again has an entry begin anew: its request did not arrive. It expects mu to be
// held, as the others do.
func (r *Reconciler) again(e *entry) {
	e.ask = e.ask || e.request.op == opGet
	e.forgo()
	r.landed(e)
}

// landed ends a request.
func (r *Reconciler) landed(e *entry) {
	r.schedule.land(e)
	trigger(r.sends) // there may be room for another of the thing
	r.advance(e)
}

// unanswered is called when the time for an answer is over.
func (r *Reconciler) unanswered(e *entry) {
	r.figures.unknown++
	r.fail(e, "the cloud did not answer")
	e.ask = true
	r.schedule.land(e)
	trigger(r.sends)
}

// refuse ends a request that the cloud will never take. A write becomes a blocked
// state in the table; a question waits for the next change. The reason is logged
// once, however many changes there are.
func (r *Reconciler) refuse(e *entry, why string) {
	if e.logged != why {
		e.logged = why
		r.o.Log.Error("The cloud refuses a shadow", "thing", e.thing, "shadow", e.name, "op", e.request.op, "err", why)
	}
	r.hold(e, &e.lookAt)
	if e.request.op == opGet {
		e.barred = why
		e.ask = true
	} else {
		e.reply = &reply{kind: refused, plan: e.request.plan, why: why}
	}
	r.landed(e)
}
