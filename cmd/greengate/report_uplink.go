package main

import (
	"time"

	"greengate/core/admin/client"
)

// reportUplink tells of the link and of what waits for it.
func (g *gateway) reportUplink(s *client.Status) {
	link := g.uplink.link.Status()
	s.Cloud.Connected, s.Cloud.Error, s.Cloud.Unacknowledged = link.Connected, link.LastError, link.Unacked
	s.Cloud.Session = link.Session
	if !link.Since.IsZero() {
		s.Cloud.Since = &link.Since
	}
	if !link.Connected && !link.NextAttempt.IsZero() {
		s.Cloud.NextAttempt = &link.NextAttempt
	}
	st := g.uplink.spool.Stats()
	s.Spool = client.Spool{
		Messages: st.Messages, Bytes: st.Bytes, OldestSeconds: int64(st.OldestAge / time.Second),
		DiskBytes: st.DiskBytes, MaxBytes: st.MaxBytes, Quarantined: st.Quarantined, Sent: st.Sent, Resent: st.Resent,
		FullInSeconds: seconds(st.Forecast.FullIn), DrainedInSeconds: seconds(st.Forecast.DrainedIn),
	}
	for _, text := range g.uplink.link.Faults() {
		s.Faults = append(s.Faults, client.Fault{Component: "cloud", Message: text})
	}
	for _, text := range g.uplink.spool.Faults() {
		s.Faults = append(s.Faults, client.Fault{Component: "spool", Message: text})
	}
}

// seconds is a forecast in whole seconds; -1: never, or not known.
func seconds(d time.Duration) int64 {
	if d < 0 {
		return -1
	}
	return int64(d / time.Second)
}
