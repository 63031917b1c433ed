package main

import (
	"time"

	"greengate/core/admin"
	"greengate/core/sqlite"
	"greengate/sync/cloud"
)

// Figures that the status has not, as metrics.
var (
	storeCommits = &admin.Metric{Name: "greengate_store_commits_total", Counter: true, Labels: []string{"store"}, Help: "Groups of changes that a database committed."}
	storeFailed  = &admin.Metric{Name: "greengate_store_failed_commits_total", Counter: true, Labels: []string{"store"}, Help: "Groups of changes that the disk did not take."}
	storeTime    = &admin.Metric{Name: "greengate_store_commit_seconds_total", Counter: true, Labels: []string{"store"}, Help: "Time that the commits of a database took; divided by the commits it is their mean latency."}
	storeLatency = &admin.Metric{Name: "greengate_store_commit_duration_seconds", Labels: []string{"store"}, Help: "How long the commits of a database took."}
	storeWaiting = &admin.Metric{Name: "greengate_store_changes_waiting", Labels: []string{"store"}, Help: "Changes that wait for their commit."}
	storeBytes   = &admin.Metric{Name: "greengate_store_bytes", Labels: []string{"store"}, Help: "Size of a database with its log."}
	storeWritten = &admin.Metric{Name: "greengate_store_written_bytes_total", Counter: true, Labels: []string{"store"}, Help: "Bytes that the commits of a database wrote to the disk."}
	storeWell    = &admin.Metric{Name: "greengate_store_writable", Labels: []string{"store"}, Help: "1 while the disk takes the changes of a database."}
	diskWritten  = &admin.Metric{Name: "greengate_disk_written_bytes_total", Counter: true, Help: "Bytes that the gateway wrote to disks, by the kernel's count."}

	certificateNotAfter = &admin.Metric{Name: "greengate_certificate_not_after_timestamp_seconds", Labels: []string{"certificate"}, Help: "When a certificate ends."}
	clockBelieved       = &admin.Metric{Name: "greengate_clock_plausible", Help: "1 while the clock of the machine can be right."}

	spoolIntake    = &admin.Metric{Name: "greengate_spool_intake_messages_per_second", Help: "Messages that came into the spool, mean of the last minute."}
	spoolDrain     = &admin.Metric{Name: "greengate_spool_drain_messages_per_second", Help: "Messages that left the spool, mean of the last minute."}
	spoolExpired   = &admin.Metric{Name: "greengate_spool_expired_total", Counter: true, Help: "Messages whose time to live ended in the spool."}
	spoolDropped   = &admin.Metric{Name: "greengate_spool_dropped_total", Counter: true, Labels: []string{"reason"}, Help: "Messages that the spool gave up."}
	spoolThrottled = &admin.Metric{Name: "greengate_spool_throttled_total", Counter: true, Help: "Messages that waited because the cloud, or the rate of the group file, allowed no more."}

	cloudConnections = &admin.Metric{Name: "greengate_cloud_connections_total", Counter: true, Help: "Connections to the cloud that were made."}
	cloudRoundTrip   = &admin.Metric{Name: "greengate_cloud_round_trip_seconds", Help: "Time from a message to the cloud to its acknowledgement."}
	cloudThrottled   = &admin.Metric{Name: "greengate_cloud_throttled_total", Counter: true, Labels: []string{"reason"}, Help: "Messages and requests that the cloud sent back (quota), or that waited for a limit (rate, window, shadow-requests)."}

	shadowOperations = &admin.Metric{Name: "greengate_shadow_operations_total", Counter: true, Labels: []string{"operation"}, Help: "Requests of each kind that the shadow service accepted."}

	discoveryServed  = &admin.Metric{Name: "greengate_discovery_served_total", Counter: true, Help: "Discovery requests that told a device its core."}
	discoveryRefused = &admin.Metric{Name: "greengate_discovery_refused_total", Counter: true, Labels: []string{"reason"}, Help: "Discovery connections and requests that were refused."}
	dataServed       = &admin.Metric{Name: "greengate_data_plane_served_total", Counter: true, Labels: []string{"operation"}, Help: "Data plane requests that were carried out."}
	dataRefused      = &admin.Metric{Name: "greengate_data_plane_refused_total", Counter: true, Labels: []string{"error"}, Help: "Data plane requests that were not carried out."}
)

// collectFigures hangs the figures of the rooms on the page.
func (g *gateway) collectFigures() {
	for _, source := range []func(admin.Emit){g.storeFigures, g.certificateFigures, g.spoolFigures, g.cloudFigures, g.shadowFigures, g.doorFigures} {
		g.page.Collect(source)
	}
	g.page.CollectHistograms(g.latencies)
}

// latencies are those of what the gateway waits for: the disk and the cloud.
func (g *gateway) latencies(emit admin.EmitHistogram) {
	for _, st := range g.stores {
		s := st.db.Stats()
		emit(storeLatency, histogram(s.Commits, s.CommitTime, sqlite.CommitBounds[:], s.CommitTimes[:]), st.component)
	}
	if g.uplink != nil {
		c := g.uplink.link.Counts()
		emit(cloudRoundTrip, histogram(c.RoundTripCount, c.RoundTripTime, cloud.RoundTripBounds[:], c.RoundTrips[:]))
	}
}

// histogram tells durations in seconds. The counters are not read at one instant, so the
// count is that of the largest bucket at least.
func histogram(n uint64, sum time.Duration, bounds []time.Duration, counts []uint64) admin.Histogram {
	h := admin.Histogram{Count: max(n, counts[len(counts)-1]), Sum: sum.Seconds(), Buckets: make(map[float64]uint64, len(bounds))}
	for i, bound := range bounds {
		h.Buckets[bound.Seconds()] = counts[i]
	}
	return h
}

func (g *gateway) storeFigures(emit admin.Emit) {
	for _, st := range g.stores {
		s := st.db.Stats()
		emit(storeCommits, float64(s.Commits), st.component)
		emit(storeFailed, float64(s.FailedCommits), st.component)
		emit(storeTime, s.CommitTime.Seconds(), st.component)
		emit(storeWaiting, float64(s.Waiting), st.component)
		emit(storeBytes, float64(s.FileBytes+s.WALBytes), st.component)
		emit(storeWritten, float64(s.WrittenBytes), st.component)
		well := 1.0
		if s.Failure != nil {
			well = 0
		}
		emit(storeWell, well, st.component)
	}
	emit(diskWritten, float64(processWrites()))
}

func (g *gateway) certificateFigures(emit admin.Emit) {
	ends := append(g.expiry.ends(), certificateEnd{what: "the server certificate", end: g.server.Expires()})
	for _, c := range ends {
		emit(certificateNotAfter, float64(c.end.Unix()), c.what)
	}
	believed := 0.0
	if _, _, ok := g.authority.Time(); ok {
		believed = 1
	}
	emit(clockBelieved, believed)
}

func (g *gateway) spoolFigures(emit admin.Emit) {
	if g.uplink == nil {
		return
	}
	st := g.uplink.spool.Stats()
	emit(spoolIntake, st.Forecast.IntakeRate)
	emit(spoolDrain, st.Forecast.DrainRate)
	emit(spoolExpired, float64(st.Expired))
	emit(spoolThrottled, float64(st.Throttled))
	for reason, n := range st.Dropped {
		emit(spoolDropped, float64(n), reason)
	}
}

func (g *gateway) cloudFigures(emit admin.Emit) {
	if g.uplink == nil {
		return
	}
	c := g.uplink.link.Counts()
	emit(cloudConnections, float64(c.Connections))
	for reason, n := range map[string]uint64{
		"quota": c.Throttled.Quota, "rate": c.Throttled.Rate, "window": c.Throttled.Window, "shadow-requests": c.Throttled.Shadows,
	} {
		emit(cloudThrottled, float64(n), reason)
	}
}

func (g *gateway) shadowFigures(emit admin.Emit) {
	for operation, n := range g.shadows.Stats().Operations {
		emit(shadowOperations, float64(n), operation)
	}
}

// doorFigures are those of the doors beside MQTT.
func (g *gateway) doorFigures(emit admin.Emit) {
	if g.discovery == nil || g.data == nil {
		return // the ports are about to open
	}
	d := g.discovery.Stats()
	emit(discoveryServed, float64(d.Served))
	for reason, n := range d.Refused {
		emit(discoveryRefused, float64(n), reason)
	}
	data := g.data.Stats()
	for operation, n := range data.Served {
		emit(dataServed, float64(n), operation)
	}
	for what, n := range data.Refused {
		emit(dataRefused, float64(n), what)
	}
}
