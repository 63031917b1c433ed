package main

import (
	"cmp"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"greengate/core/admin/client"
	"greengate/sync/telemetry"
)

// reportUplink tells of the link and of what waits for it.
func (g *gateway) reportUplink(s *client.Status) {
	s.Cloud = g.uplink.cloudStatus()
	s.Spool = g.uplink.spoolStatus(g.uplink.spool.Stats())
	for _, text := range g.uplink.link.Faults() {
		if strings.HasPrefix(text, "the core's certificate ") {
			continue // that its end is near is told with the ends of the others
		}
		s.Faults = append(s.Faults, client.Fault{Component: "cloud", Message: text, NextStep: aboutLink(text)})
	}
	for _, text := range g.uplink.spool.Faults() {
		s.Faults = append(s.Faults, client.Fault{
			Component: "spool", Message: text, NextStep: cmp.Or(aboutDisk(text), "`greengate spool stats` tells more"),
		})
	}
}

// aboutLink is what to do about a fault of the link.
func aboutLink(fault string) string {
	switch {
	case says(fault, "subscription"):
		return "`greengate cloud policy` prints the policy that the core needs"
	case says(fault, "another client"):
		return "stop the other one: two gateways cannot have one identity"
	case says(fault, "quota"):
		return "nothing is lost, it waits; `greengate spool stats` tells how much"
	}
	return "`greengate doctor` looks for the reason"
}

// aboutDisk is what to do about a fault of a store that the disk does not take; "" when the
// fault is another.
func aboutDisk(fault string) string {
	switch {
	case says(fault, "disk is full", "no space left", "no room", "only its reserve left"):
		return makeRoom
	case says(fault, "updates are rejected", "cannot write", "written to disk", "not on disk"):
		return "`greengate doctor` looks at the disk, and dmesg tells of its errors"
	}
	return ""
}

// says tells whether one of the words stands in a text.
func says(text string, words ...string) bool {
	return slices.ContainsFunc(words, func(word string) bool { return strings.Contains(text, word) })
}

// cloudStatus tells of the link.
func (u *uplink) cloudStatus() client.Cloud {
	link, c := u.link.Status(), u.g.begun.Cloud
	s := client.Cloud{
		Configured: true, Connected: link.Connected, Endpoint: net.JoinHostPort(c.Endpoint, strconv.Itoa(c.Port)),
		Error: link.LastError, Attempts: link.Attempts, Session: link.Session, Unacknowledged: link.Unacked,
	}
	if !link.Since.IsZero() {
		s.Since = &link.Since
	}
	if !link.Connected && !link.NextAttempt.IsZero() {
		s.NextAttempt = &link.NextAttempt
	}
	return s
}

// spoolStatus tells how much waits, and what comes of it.
func (u *uplink) spoolStatus(st telemetry.Stats) client.Spool {
	return client.Spool{
		Messages: st.Messages, Unreadable: st.Unreadable, Bytes: st.Bytes, OldestSeconds: int64(st.OldestAge / time.Second),
		DiskBytes: st.DiskBytes, MaxBytes: st.MaxBytes, Quarantined: st.Quarantined, Sent: st.Sent, Resent: st.Resent,
		FullInSeconds: seconds(st.Forecast.FullIn), DrainedInSeconds: seconds(u.drainedIn(st)),
	}
}

// drainedIn is how long the link needs for what waits, by the bytes too that it
// may send; negative: it never comes to the end.
func (u *uplink) drainedIn(st telemetry.Stats) time.Duration {
	in := st.Forecast.DrainedIn
	if in <= 0 || st.Messages == 0 {
		return in
	}
	left := float64(u.g.begun.Cloud.Rate.Bytes)
	if mean := float64(st.Bytes) / float64(st.Messages); mean > 0 {
		left -= st.Forecast.IntakeRate * mean
	}
	if left <= 0 {
		return -1
	}
	const far = 365 * 24 * time.Hour
	return max(in, time.Duration(min(float64(st.Bytes)/left, far.Seconds())*float64(time.Second)))
}

// seconds is a forecast in whole seconds; -1: never, or not known.
func seconds(d time.Duration) int64 {
	if d < 0 {
		return -1
	}
	return int64((d + time.Second - 1) / time.Second)
}
