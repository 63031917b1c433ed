package shadows_test

import (
	"context"
	"errors"
	"fmt"
	"testing/synctest"
	"time"

	"greengate/localshadow"
	"greengate/sync/cloud"
	"greengate/sync/cloud/cloudtest"
	"greengate/sync/shadows"
)

// What a test does with a site, and waits for.

// within waits for a condition and fails when it takes longer than d.
func (s *site) within(d time.Duration, what string, met func() bool) {
	s.Helper()
	poll := 100 * time.Millisecond
	if !s.virtual {
		poll = 2 * time.Millisecond
	}
	for end := time.Now().Add(d); ; {
		if s.virtual {
			synctest.Wait()
		}
		if met() {
			return
		}
		if !time.Now().Before(end) {
			s.Fatalf("not within %v: %s; link %+v; %s", d, what, s.link.Status(), s.report())
		}
		<-time.After(poll)
	}
}

// report is what the reconciler says of itself, for a failure.
func (s *site) report() (text string) {
	_ = s.rec.Status(context.Background(), "", func(x shadows.State) bool {
		if x.State != shadows.InStep {
			text += fmt.Sprintf("\n  %+v", x)
		}
		return len(text) < 4000
	})
	return fmt.Sprintf("faults %q, stats %+v, not in step:%s", s.rec.Faults(), s.rec.Stats(), text)
}

// rests waits until all is in step and stays so for some seconds: names of
// shadows are listed meanwhile.
func (s *site) rests(d time.Duration) {
	s.Helper()
	for end := time.Now().Add(d); ; {
		s.within(time.Until(end), "in step", func() bool { return s.inStep() && len(s.rec.Faults()) == 0 })
		sent := s.sent.Load()
		<-time.After(10 * time.Second)
		if s.inStep() && s.sent.Load() == sent {
			return
		}
	}
}

// inStep tells whether the reconciler says that all is in step, and has nothing
// under way.
func (s *site) inStep() bool {
	n := s.rec.Stats()
	ok := n.Ahead+n.Behind+n.Asking+n.Blocked == 0 && !n.Listing && s.link.Status().Unacked == 0
	if !ok {
		return false
	}
	err := s.rec.Status(context.Background(), "", func(x shadows.State) bool {
		ok = x.State == shadows.InStep
		return ok
	})
	return ok && err == nil && s.link.Connected()
}

// cloudHas reads a shadow in the cloud.
func (s *site) cloudHas(thing, name string) (state, int64) {
	s.Helper()
	answer, err := s.cloud.GetShadow(thing, name)
	var rejected *cloudtest.ShadowError
	if errors.As(err, &rejected) && rejected.Code == 404 {
		return nil, 0
	}
	if err != nil {
		s.Fatal(err)
	}
	return readState(answer)
}

// localHas reads a shadow of the gateway.
func (s *site) localHas(thing, name string) (state, int64) {
	s.Helper()
	answer, err := s.local.Get(context.Background(), thing, name, nil)
	var rejected *localshadow.Rejection
	if errors.As(err, &rejected) && rejected.Code == 404 {
		d, err := s.local.Document(context.Background(), thing, name)
		if err != nil {
			s.Fatal(err)
		}
		return nil, d.Version
	}
	if err != nil {
		s.Fatal(err)
	}
	return readState(answer)
}

// equal tells whether both sides have the same document.
func (s *site) equal(thing, name string) bool {
	l, _ := s.localHas(thing, name)
	c, _ := s.cloudHas(thing, name)
	return sameState(l, c)
}

var byDevice = localshadow.Source{Kind: "device", Name: "test"}

// change does an update on one side; document is the value of `state`.
func (s *site) change(side, thing, name, document string) {
	s.Helper()
	payload := []byte(`{"state":` + document + `}`)
	var err error
	if side == "local" {
		_, err = s.local.Update(context.Background(), thing, name, payload, byDevice)
	} else {
		_, err = s.cloud.UpdateShadow(thing, name, payload)
	}
	if err != nil {
		s.Fatalf("update %s/%s on the %s side with %s: %v", thing, name, side, document, err)
	}
}

// remove deletes a shadow on one side; one that is not there is no error.
func (s *site) remove(side, thing, name string) {
	s.Helper()
	var err error
	if side == "local" {
		_, err = s.local.Delete(context.Background(), thing, name, nil, byDevice)
	} else {
		_, err = s.cloud.DeleteShadow(thing, name)
	}
	var l *localshadow.Rejection
	var c *cloudtest.ShadowError
	if errors.As(err, &l) && l.Code == 404 || errors.As(err, &c) && c.Code == 404 {
		return
	}
	if err != nil {
		s.Fatalf("delete %s/%s on the %s side: %v", thing, name, side, err)
	}
}

// away cuts the link until back.
func (s *site) away() {
	s.Helper()
	s.cloud.Change(func(f *cloudtest.Faults) { f.Refuse = true })
	s.cloud.Cut(core, true)
	s.within(time.Minute, "the link is down", func() bool { return !s.link.Connected() })
}

func (s *site) back() {
	s.Helper()
	s.cloud.Change(func(f *cloudtest.Faults) { f.Refuse = false })
	s.link.Refresh() // do not wait for the next attempt
}

// replay has the cloud send messages once more.
func (s *site) replay(messages ...cloud.Publish) {
	s.Helper()
	for _, m := range messages {
		if err := s.cloud.Publish(m.Topic, m.Payload, 1, false); err != nil {
			s.Fatal(err)
		}
	}
}
