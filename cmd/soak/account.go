package main

import (
	"fmt"
	"math"
	"strings"

	"greengate/core/admin/client"
)

// account is what the soak itself knows of a row: what the gateway counts for the
// row must be the same.
type account struct {
	row   string
	flows []*flow
	// heard counts what arrived along the row, each as often as the gateway may count
	// it as delivered; nil: nobody can tell.
	heard func() int
	// open: more may be accepted than the flows have (answers, copies of what is
	// retained, what the cloud sends again).
	open bool
	// lossy: some may be dropped.
	lossy bool
	// away: its receiver is, mostly. A message that somebody else is there for is not
	// counted in the row of who is not.
	away bool
}

// openAccounts makes the accounts of all rows, with the flows along them.
func (s *soak) openAccounts() {
	add := func(row string, size int, names ...string) *account {
		a := &account{row: row}
		for _, name := range names {
			a.flows = append(a.flows, s.flows.add(name, size))
			s.kinds[name], _, _ = strings.Cut(strings.Replace(name, ":", "-", 1), "-")
		}
		a.heard = func() int { return sum(a.flows).Arrived }
		s.accounts = append(s.accounts, a)
		return a
	}
	prefixed := func(prefix string, names []string) (all []string) {
		for _, n := range names {
			all = append(all, prefix+n)
		}
		return all
	}
	add(rowLine, 200, s.plan.kind("press")...)
	add(rowMeter, 64, s.plan.kind("meter")...)
	add(rowTelemetry, 300, s.plan.kind("sensor")...)
	add(rowSale, 200, s.plan.kind("till")...)
	add(rowTask, 200, prefixed("task:", s.plan.kind("node"))...)
	commands := add(rowCommand, 200, prefixed("cmd:", s.plan.kind("node"))...)
	// The cloud may send again what was not acknowledged when the link broke.
	commands.open = true
	commands.heard = func() int { t := sum(commands.flows); return t.Arrived + t.Unmarked }
	add(rowRover, 150, s.plan.kind("rover")...)
	add(rowREST, 200, "rest")
	add(rowWill, 100, s.plan.kind("mortal")...)
	state := add(rowState, 200, "state")
	s.accounts = append(s.accounts, &account{row: rowVisitor, flows: state.flows, open: true, lossy: true, away: true})
	work := add(rowWork, 200, "work")
	// Each call is answered once, and counts as delivered then.
	s.accounts = append(s.accounts, &account{row: rowDone, flows: work.flows, open: true, heard: func() int {
		t := sum(work.flows)
		return t.Arrived + t.Again
	}})
	add(rowPin, 3, "pin").heard = nil
	// The sensor begins before the wall has subscribed.
	s.accounts = append(s.accounts, &account{row: rowClimate, open: true, lossy: true, heard: func() int {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.climates
	}})
	add(rowSlow1, 500, "slow")
	add(rowSlow0, floodSize, "flood").lossy = true
	own := add(rowOwn, 300, prefixed("shadow:", s.plan.kind("lamp"))...)
	own.open = true
	// An update is delivered to the service, and its answer to the lamp.
	own.heard = func() int { t := sum(own.flows); return t.Acked + t.Arrived }
	own.lossy = true // nobody has subscribed to the other answers
	s.flows.add("stranger", 100)
}

// check compares an account with the ledger of its row.
func (a *account) check(l client.Ledger) (wrong []string) {
	say := func(format string, args ...any) {
		wrong = append(wrong, fmt.Sprintf("row %s: ", a.row)+fmt.Sprintf(format, args...))
	}
	t := sum(a.flows)
	least, most := t.Acked, t.Sent
	if a.open {
		most = math.MaxInt
	}
	if a.away {
		least = 0
	}
	if n := int(l.Accepted); n < least || n > most {
		say("accepted %d, but %d were acknowledged and %d sent", n, least, t.Sent)
	}
	if !balances(l) {
		say("it does not balance: %+v", l)
	}
	if l.Refused+l.Expired > 0 || l.Dropped > 0 && !a.lossy {
		say("refused %d, expired %d, dropped %d, want none", l.Refused, l.Expired, l.Dropped)
	}
	if l.Waiting > 0 {
		say("%d still wait", l.Waiting)
	}
	if a.heard == nil {
		return wrong
	}
	if n := a.heard(); n != int(l.Delivered) {
		say("delivered %d, but %d arrived", l.Delivered, n)
	}
	return wrong
}

func balances(l client.Ledger) bool {
	return l.Accepted == l.Delivered+l.Refused+l.Expired+l.Dropped+l.Waiting
}
