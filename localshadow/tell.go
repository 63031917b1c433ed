package localshadow

import (
	"slices"
	"strconv"
	"sync"
)

// Change is an accepted update or deletion, after its commit.
type Change struct {
	Thing, Name string // Name is "" for the classic shadow
	// Version of the document; that of the deleted one when Deleted.
	Version           int64
	Deleted           bool
	Previous, Current State
	Source            Source
}

// State is a document without its times: compact JSON objects, "" for a section
// that is not there.
type State struct{ Desired, Reported string }

func newChange(thing, name string, old, d *Document, from Source) *Change {
	return &Change{
		Thing: thing, Name: name, Version: d.Version, Deleted: d.Deleted,
		Previous: State{old.Desired, old.Reported}, Current: State{d.Desired, d.Reported},
		Source: from,
	}
}

// watchers are the functions that are told of changes.
type watchers struct {
	mu  sync.Mutex
	all []func(Change) // replaced, never changed
}

// Watch has f told of every change, in order, after its commit and its answers.
// f is called from the goroutine of Run: it must not wait, and asks the service
// for something by Handle or Deliver only.
func (s *Service) Watch(f func(Change)) {
	s.watchers.mu.Lock()
	defer s.watchers.mu.Unlock()
	s.watchers.all = append(slices.Clone(s.watchers.all), f)
}

// tell publishes the answers to a job and ends it.
func (s *Service) tell(j *job) {
	if j.decide != nil {
		s.tellEdit(j)
		return
	}
	if j.rejection != nil && j.rejection.Token == "" && !j.throttled {
		j.rejection.Token = tokenOf(j.payload, &s.o.Limits)
	}
	switch {
	case j.rejection == nil:
		s.accept(j)
	case j.answered == nil:
		s.o.Publish(j.base+"/"+j.op.String()+"/rejected", j.rejection.JSON(s.o.Now().Unix()))
	}
	if j.throttled {
		return
	}
	s.note(j)
	if j.change != nil {
		s.changed(j)
	}
	s.settle(j)
	switch {
	case j.settled != nil:
		j.settled(j.err)
	case j.answered != nil && j.rejection != nil:
		j.answered(nil, j.rejection)
	case j.answered != nil:
		j.answered(j.answer.Accepted, nil)
	}
}

// changed tells the watchers.
func (s *Service) changed(j *job) {
	s.watchers.mu.Lock()
	all := s.watchers.all
	s.watchers.mu.Unlock()
	for _, f := range all {
		f(*j.change)
	}
}

// accept publishes what an accepted request has to tell: the delta before
// accepted, since there are clients that drop a delta whose version accepted has
// told them already (aws-iot.md 1.1; embedded C SDK #90, #127).
func (s *Service) accept(j *job) {
	if j.answered != nil && j.op == OpGet {
		return
	}
	if j.answer.Delta != nil {
		s.o.Publish(j.base+"/update/delta", j.answer.Delta)
	}
	if j.op == OpUpdate {
		s.o.Offer(j.base+"/update/documents", j.answer.Documents)
	}
	s.o.Publish(j.base+"/"+j.op.String()+"/accepted", j.answer.Accepted)
}

// note counts what became of a job.
func (s *Service) note(j *job) {
	f := &s.figures
	if j.err != nil {
		f.fault(j.err, s.o.Now())
	} else if j.change != nil {
		f.fault(nil, s.o.Now())
		s.journalled(j)
	}
	if j.rejection == nil {
		f.accepted[j.op].Add(1)
		return
	}
	f.reject(j.rejection.Code)
	s.o.Log.Debug("Rejected a shadow request", "thing", j.thing, "shadow", j.name, "op", j.op.String(),
		"code", strconv.Itoa(j.rejection.Code), "err", j.rejection.Message)
}
