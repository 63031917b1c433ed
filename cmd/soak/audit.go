package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"greengate/core/admin/client"
)

// audit tells what is wrong with the messages, by what the soak knows and by a
// status of the gateway. While something is under way, much is.
func (s *soak) audit(st *client.Status) (wrong []string) {
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	routes := map[string]client.Ledger{}
	for _, r := range st.Routes {
		routes[r.Text] = r.Ledger
	}
	all := client.Ledger{}
	for _, a := range s.accounts {
		l := routes[a.row]
		wrong = append(wrong, a.check(l)...)
		all.Accepted += l.Accepted
		all.Refused += l.Refused
		all.Dropped += l.Dropped
		all.Delivered += l.Delivered
		delete(routes, a.row)
	}
	for row := range routes {
		say("row %s was used by nobody, and has counts", row)
	}
	// What no row allows is counted once, as refused, and belongs to no row.
	strangers := uint64(s.flows["stranger"].count().Acked)
	all.Accepted += strangers
	all.Refused += strangers
	if all != st.Ledger {
		say("the ledger is %+v, its rows and the refused messages are %+v", st.Ledger, all)
	}
	if !balances(st.Ledger) {
		say("the ledger does not balance: %+v", st.Ledger)
	}
	wrong = append(wrong, s.auditReasons(st)...)
	for name, f := range s.flows {
		wrong = append(wrong, s.auditFlow(name, f)...)
	}
	if n := st.Spool.Messages + st.Spool.Quarantined; n > 0 {
		say("%d messages are in the spool", n)
	}
	for _, f := range st.Functions {
		if f.Quarantined+f.Durable > 0 {
			say("function %s has %d calls on the disk, %d in quarantine", f.Name, f.Durable, f.Quarantined)
		}
	}
	return append(wrong, s.auditShadows(st)...)
}

// Why messages may have been refused or dropped, in a soak.
var (
	refusalsExpected = []string{"no-row"}
	dropsExpected    = []string{
		"slow-reader",                              // the flood
		"no-subscriber", "offline", "session-over", // the visitor, and answers that no lamp wants
	}
)

func (s *soak) auditReasons(st *client.Status) (wrong []string) {
	for what, c := range map[string]struct {
		got  []client.Reason
		want []string
	}{"refused": {st.Refusals, refusalsExpected}, "dropped": {st.Drops, dropsExpected}} {
		for _, r := range c.got {
			if r.Count > 0 && !slices.Contains(c.want, r.Reason) {
				wrong = append(wrong, fmt.Sprintf("%d messages were %s: %s", r.Count, what, r.Reason))
			}
		}
	}
	return wrong
}

// auditFlow tells whether what was acknowledged has arrived, in order, and no more
// often than the protocol allows.
func (s *soak) auditFlow(name string, f *flow) (wrong []string) {
	say := func(format string, args ...any) {
		wrong = append(wrong, "flow "+name+": "+fmt.Sprintf(format, args...))
	}
	t := f.count()
	silent := name == "pin" || name == "stranger" // nobody can hear them
	if t.Lost > 0 && !silent && name != "flood" {
		say("%d messages were acknowledged and did not arrive, the first are %s", t.Lost, f.firstMissing())
	}
	if t.Phantoms > 0 {
		say("%d messages arrived that were never sent", t.Phantoms)
	}
	if t.Reordered > 0 {
		say("%d messages were overtaken by later ones", t.Reordered)
	}
	if again, bound := s.repeats(name, t); again > bound {
		say("%d messages came twice, allowed are %d", again, bound)
	}
	return wrong
}

// underWay bounds what is under way to or from the cloud and not acknowledged, and so
// may be sent again when the link breaks: AWS's window.
const underWay = 100

// repeats are the messages that came again without reason, and how many may.
func (s *soak) repeats(name string, t tally) (again, bound int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch s.kinds[name] {
	case "sensor", "cmd": // at least once: again after each break of the link
		return t.Again, underWay * s.events["cloud away"]
	case "task": // marked as sent again, after the connection of a node broke
		return t.Unmarked, 0
	case "work": // called again when an instance has ended in the middle
		return t.Again, s.restarts
	}
	return t.Again, 0
}

// auditShadows tells whether the cloud has what the lamps reported last.
func (s *soak) auditShadows(st *client.Status) (wrong []string) {
	if y := st.Shadows.Sync; y == nil || y.InStep != y.Shadows {
		wrong = append(wrong, fmt.Sprintf("not all shadows are in step with the cloud: %+v", y))
	}
	for _, lamp := range s.plan.kind("lamp") {
		last := s.flows["shadow:"+lamp].lastAcked()
		text, err := s.cloud.GetShadow(lamp, "")
		var d struct {
			State struct{ Reported struct{ N int } }
		}
		if err == nil {
			err = json.Unmarshal(text, &d)
		}
		if n := d.State.Reported.N; err != nil || n != last {
			wrong = append(wrong, fmt.Sprintf("the shadow of %s says %d in the cloud, the lamp reported %d last (%v)", lamp, n, last, err))
		}
	}
	return wrong
}

// settling is how long what is under way may take to arrive at the end.
const settling = 2 * time.Minute

// judge waits until nothing is wrong with the messages any more, or for long, and
// reports.
func (s *soak) judge(took time.Duration) (*report, error) {
	ctx, cancel := context.WithTimeout(s.life, settling)
	defer cancel()
	again := time.NewTicker(200 * time.Millisecond)
	defer again.Stop()
	for {
		st, err := s.site.control.Status(s.life)
		if err != nil {
			return nil, err
		}
		s.mu.Lock()
		s.restarts = 0
		for _, f := range st.Functions {
			s.restarts += int(f.Restarts)
		}
		s.mu.Unlock()
		wrong := s.audit(st)
		if len(wrong) == 0 || ctx.Err() != nil {
			return s.report(took, st, wrong), nil
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return s.report(took, st, wrong), nil
		}
	}
}
