package main

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"greengate/core/admin/client"
	"greengate/core/router"
	"greengate/localshadow"
)

// reportSite tells who this gateway is and which table is in force.
func (g *gateway) reportSite(s *client.Status) {
	now := g.current()
	s.Group, s.Core, s.Version = g.begun.Group, g.begun.Core, version()
	s.UptimeSeconds = int64(time.Since(g.started) / time.Second)
	s.Config = client.Config{
		File: g.begun.File, Generation: now.generation, LoadedAt: now.loadedAt, Rows: now.rows,
	}
	if now.err != nil {
		s.Config.Error = now.err.Error()
	}
	s.Cloud.Configured = g.begun.Cloud != nil
	if g.uplink != nil {
		g.reportUplink(s)
	} else {
		g.left.report(s)
	}
}

// reportDevices lists the things of the file, in its order.
func (g *gateway) reportDevices(s *client.Status) {
	at := map[string]int{}
	for i, d := range g.current().config.Devices {
		at[d.Thing] = i
		s.Devices = append(s.Devices, client.Device{Thing: d.Thing, Labels: d.Labels})
	}
	for _, live := range g.broker.Devices() {
		i, ok := at[live.Thing]
		if !ok {
			continue // removed, and on its way out
		}
		d := &s.Devices[i]
		d.Connected, d.Address, d.Protocol, d.Waiting = live.Connected, live.Addr, live.Version, live.Waiting
		if !live.Since.IsZero() {
			d.Since = &live.Since
		}
	}
}

func (g *gateway) reportLedger(s *client.Status) {
	probes := g.probes() // before the sum, which then has them all
	s.Ledger = ledger(g.router.Ledger())
	s.Ledger.Accepted -= probes.Accepted
	s.Ledger.Delivered -= probes.Delivered
	s.Ledger.Dropped -= probes.Dropped
	g.router.Reasons(func(v router.Verdict, why router.Reason, n uint64) {
		r := client.Reason{Reason: string(why), Count: n}
		switch v {
		case router.Refused:
			s.Refusals = append(s.Refusals, r)
		case router.Dropped:
			s.Drops = append(s.Drops, r)
		}
	})
	s.TurnedAway = g.turnedAway()
	s.LogDropped = logDropped(g.log)
	most := func(a, b client.Reason) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Reason, b.Reason))
	}
	slices.SortFunc(s.Refusals, most)
	slices.SortFunc(s.Drops, most)
	slices.SortFunc(s.TurnedAway, most)
}

// turnedAway are the connections and requests that discovery, the status page and the
// control socket refused.
// Those of the broker and of the data plane stand among the reasons of the router.
func (g *gateway) turnedAway() (list []client.Reason) {
	add := func(door string, refused map[string]uint64) {
		for reason, n := range refused {
			list = append(list, client.Reason{Reason: door + reason, Count: n})
		}
	}
	if g.discovery != nil { // nil: the port is about to open
		add("discovery-", g.discovery.Stats().Refused)
	}
	if g.page != nil {
		add("page-", g.page.Refused())
	}
	if g.admin != nil {
		add("socket-", g.admin.Refused())
	}
	return list
}

// probes counts the messages that the heartbeat has sent to itself: the status
// tells of those of others. One that is on its way counts like any.
func (g *gateway) probes() (sum router.Counts) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	own := g.force.table.Len()
	g.router.Rows(func(row int, n router.Counts) {
		if row == own {
			n.Accepted -= n.Waiting
			sum = n
		}
	})
	return sum
}

func ledger(n router.Counts) client.Ledger {
	return client.Ledger{
		Accepted: n.Accepted, Delivered: n.Delivered, Refused: n.Refused,
		Expired: n.Expired, Dropped: n.Dropped, Waiting: n.Waiting,
	}
}

// reportRoutes lists the rows that were used.
func (g *gateway) reportRoutes(s *client.Status) {
	g.mu.RLock() // so that the numbers of rows are those of this table
	defer g.mu.RUnlock()
	table := g.force.table
	g.router.Rows(func(row int, n router.Counts) {
		if row == table.Len() {
			return // the probe's
		}
		s.Routes = append(s.Routes, client.Route{Line: table.Line(row), Text: table.Text(row), Ledger: ledger(n)})
	})
}

// listedShadows bounds how many shadows a status lists.
const listedShadows = 200

func (g *gateway) reportShadows(s *client.Status) {
	st := g.shadows.Stats()
	s.Shadows = client.Shadows{Count: st.Shadows, Bytes: st.Bytes, Waiting: st.Waiting, Accepted: st.Accepted, Rejected: map[string]uint64{}}
	for code, n := range st.Rejected {
		s.Shadows.Rejected[strconv.Itoa(code)] = n
	}
	if st.Throttled > 0 {
		s.Shadows.Rejected["429"] += st.Throttled
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	synced := g.reportSync(ctx, s)
	err := g.shadows.List(ctx, "", func(i localshadow.Info) bool {
		one := shadowInfo(i)
		one.Sync = synced[shadowKey{i.Thing, i.Name}]
		s.Shadows.List = append(s.Shadows.List, one)
		return len(s.Shadows.List) < listedShadows
	})
	if err != nil {
		s.Faults = append(s.Faults, client.Fault{Component: "shadow", Message: "the shadows cannot be listed: " + err.Error()})
	}
	g.listUrgent(ctx, s)
}

func shadowInfo(i localshadow.Info) client.Shadow {
	return client.Shadow{
		Thing: i.Thing, Name: i.Name, Version: i.Version, Updated: time.Unix(i.Updated, 0).UTC(), Bytes: i.Bytes, Delta: i.Delta,
	}
}

func (g *gateway) reportPins(s *client.Status) { s.GPIO = g.listPins() }

func (g *gateway) reportListeners(s *client.Status) {
	for _, a := range g.broker.Addrs() {
		s.Listeners = append(s.Listeners, client.Address{Service: "mqtt", Address: a.String()})
	}
	for _, a := range g.discovery.Addrs() {
		s.Listeners = append(s.Listeners, client.Address{Service: "discovery", Address: a.String()})
	}
}

// notInForce is said of a key that waits for a restart.
const notInForce = " changed in the group file and is not in force"

// reportFaults tells what stays wrong until somebody acts, and what to do.
func (g *gateway) reportFaults(s *client.Status) {
	now := g.current()
	if now.err != nil {
		s.Faults = append(s.Faults, client.Fault{
			Component: "config", Message: "the group file was not taken up: " + now.err.Error(), Since: &now.failedAt,
			NextStep: "mend " + g.begun.File + " (`greengate check` tells when it is right), then `greengate reload`",
		})
	}
	for _, key := range now.waiting {
		next := "restart greengate"
		if key == "cloud" && leavesCloud(g.begun, now.config) && s.Spool.Messages > 0 {
			next += "; " + waits(s.Spool.Messages) + " for the cloud: what is not sent by then " + staysIn(spoolFile(g.begun))
		}
		s.Faults = append(s.Faults, client.Fault{
			Component: "config", Message: key + notInForce, Since: &now.loadedAt, NextStep: next,
		})
	}
	for _, text := range g.identities.Faults() {
		s.Faults = append(s.Faults, client.Fault{Component: "pki", Message: text, NextStep: clockNext})
	}
	for _, text := range g.server.Faults() {
		s.Faults = append(s.Faults, client.Fault{Component: "pki", Message: text, NextStep: aboutDisk(text)})
	}
	for _, text := range looseKeys(g.begun) {
		s.Faults = append(s.Faults, client.Fault{Component: "pki", Message: text, NextStep: tightenKeys(g.begun)})
	}
	for _, k := range looseSpoolKeys(g.begun) {
		s.Faults = append(s.Faults, client.Fault{Component: "spool", Message: k.problem, NextStep: k.next})
	}
	g.expiry.report(s)
	g.audits.report(s)
	for _, text := range g.shadows.Faults() {
		s.Faults = append(s.Faults, client.Fault{Component: "shadow", Message: text, NextStep: aboutDisk(text)})
	}
	for _, text := range g.broker.Faults() {
		s.Faults = append(s.Faults, client.Fault{Component: "broker", Message: text, NextStep: aboutDisk(text)})
	}
	for _, f := range g.pins.Faults() {
		fault := client.Fault{Component: "gpio", Message: f.Name + " " + f.Pin + ": " + f.Problem}
		if !f.Since.IsZero() {
			fault.Since = &f.Since
		}
		s.Faults = append(s.Faults, fault)
	}
	g.reportFunctionFaults(s)
	g.reportSyncFaults(s)
}
