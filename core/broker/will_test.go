package broker

import (
	"log/slog"
	"testing"
	"time"

	"greengate/core/router"
)

// A delayed will goes with the end of its session, unless its client has taken the session
// over before: also when the connection that was taken over notices it after that end.
func TestDelayedWillAtTheEnd(t *testing.T) {
	for _, c := range []struct {
		name                   string
		delay                  time.Duration
		mine, takenOver, ended bool
		goes, waits            bool
	}{
		{name: "cut, session goes on", delay: time.Hour, mine: true, waits: true},
		{name: "cut, session ends", delay: time.Hour, mine: true, ended: true, goes: true},
		{name: "session ended under it", delay: time.Hour, ended: true, goes: true},
		{name: "taken over", delay: time.Hour, takenOver: true},
		{name: "taken over, then ended", delay: time.Hour, takenOver: true, ended: true},
		{name: "taken over, no delay", takenOver: true, goes: true},
		{name: "taken over, then ended, no delay", takenOver: true, ended: true, goes: true},
	} {
		b := &Broker{router: router.New(slog.New(slog.DiscardHandler))}
		s := &session{thing: "lamp", b: b, ended: c.ended}
		old := &conn{thing: "lamp", sess: s}
		old.head.will = &will{delay: c.delay}
		switch {
		case c.takenOver:
			s.conn = &conn{}
		case !c.mine:
			s.conn = old
		}
		if publish := b.leave(old, c.mine); (publish != nil) != c.goes {
			t.Errorf("%s: it goes: %v", c.name, publish != nil)
		}
		if (s.will != nil) != c.waits {
			t.Errorf("%s: it waits: %v", c.name, s.will != nil)
		}
		if s.will != nil {
			s.will.timer.Stop()
		}
	}
}
