package admin

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"sync"

	"greengate/core/admin/client"
)

func gauge(name, help string, labels ...string) *Metric {
	return &Metric{Name: "greengate_" + name, Help: help, Labels: labels}
}

func counter(name, help string, labels ...string) *Metric {
	return &Metric{Name: "greengate_" + name, Help: help, Labels: labels, Counter: true}
}

// What the status tells, as metrics.
var (
	buildInfo     = gauge("build_info", "The running version; always 1.", "version", "group", "core")
	configRows    = gauge("config_rows", "Rows of the subscription table.")
	configTable   = gauge("config_generation", "Number of the table in force; it rises with every reload.")
	configLoaded  = gauge("config_loaded_timestamp_seconds", "When the group file in force was read.")
	configFailed  = gauge("config_reload_failed", "1 when the last reload failed and the old table is in force.")
	devicesKnown  = gauge("devices", "Devices of the group file.")
	devicesHere   = gauge("devices_connected", "Devices that are connected.")
	deviceHere    = gauge("device_connected", "1 while the device is connected.", "thing")
	deviceWaiting = gauge("device_waiting_messages", "Messages queued for the device or not yet acknowledged by it.", "thing")

	accepted    = counter("messages_accepted_total", "Messages, counted per target.")
	messages    = counter("messages_total", "What became of messages, counted per target.", "verdict")
	waiting     = gauge("messages_waiting", "Messages that are neither delivered nor given up.")
	refused     = counter("messages_refused_total", "Messages that the table refused.", "reason")
	dropped     = counter("messages_dropped_total", "Messages that were dropped.", "reason")
	rowMessages = counter("route_messages_total", "What became of the messages of a row of the subscription table.", "row", "verdict")
	rowWaiting  = gauge("route_messages_waiting", "Messages of a row that are neither delivered nor given up.", "row")

	shadowCount    = gauge("shadows", "Shadows that exist.")
	shadowBytes    = gauge("shadow_bytes", "Bytes of the documents of all shadows.")
	shadowWaiting  = gauge("shadow_requests_waiting", "Requests to the shadow service that have no answer yet.")
	shadowAccepted = counter("shadow_requests_accepted_total", "Requests that the shadow service accepted.")
	shadowRejected = counter("shadow_requests_rejected_total", "Requests that the shadow service rejected.", "code")
	syncShadows    = gauge("shadow_sync_shadows", "Shadows that are synced with the cloud.", "state")
	syncDone       = counter("shadow_sync_operations_total", "Requests to the cloud, and changes of it that were taken over.", "operation")
	syncConflicts  = counter("shadow_sync_conflicts_total", "Values of shadows that both sides had changed.")
	syncRejected   = counter("shadow_sync_rejected_total", "Requests that the cloud rejected.", "code")
	syncUnknown    = counter("shadow_sync_unanswered_total", "Requests whose answer did not come.")
	syncRetries    = counter("shadow_sync_retries_total", "Requests that were made again.")

	spoolMessages = gauge("spool_messages", "Messages that wait on disk for the cloud.")
	spoolBytes    = gauge("spool_bytes", "Bytes of the messages that wait for the cloud.")
	spoolOldest   = gauge("spool_oldest_age_seconds", "How long the oldest message has waited for the cloud.")
	spoolDisk     = gauge("spool_disk_bytes", "Bytes that the spool takes on disk.")
	spoolLimit    = gauge("spool_limit_bytes", "Bytes that the spool may take on disk.")
	spoolAside    = gauge("spool_quarantined_messages", "Messages that the cloud can never take.")
	spoolSent     = counter("spool_sent_total", "Messages that the cloud acknowledged.")
	spoolResent   = counter("spool_resent_total", "Messages that were sent again.")
	spoolFull     = gauge("spool_full_forecast_seconds", "When the spool is full at the rates of the last minute; absent: never, or not known.")
	spoolEmpty    = gauge("spool_drained_forecast_seconds", "When the spool is empty at the rates of the last minute; absent: never, or not known.")

	cloudSet      = gauge("cloud_configured", "1 when the group file has a cloud.")
	cloudHere     = gauge("cloud_connected", "1 while the cloud is connected.")
	cloudAttempts = gauge("cloud_failed_attempts", "Attempts that failed since the last connection.")
	cloudUnacked  = gauge("cloud_unacknowledged_messages", "Messages under way to the cloud without its acknowledgement.")

	logDropped = counter("log_dropped_lines_total", "Lines that the log lacks.", "reason")

	faults = gauge("faults", "What is wrong and needs a person.", "component")
)

// fromStatus turns the status into figures.
func (m *scrapes) fromStatus(emit Emit) {
	s := m.page.snapshots.status()
	emit(buildInfo, 1, s.Version, s.Group, s.Core)
	emit(configRows, float64(s.Config.Rows))
	emit(configTable, float64(s.Config.Generation))
	emit(configLoaded, float64(s.Config.LoadedAt.Unix()))
	emit(configFailed, truth(s.Config.Error != ""))
	for _, r := range s.LogDropped {
		emit(logDropped, float64(r.Count), r.Reason)
	}
	deviceFigures(s.Devices, emit)
	ledgerFigures(s, emit)
	m.routeFigures(s.Routes, emit)
	shadowFigures(&s.Shadows, emit)
	emit(cloudSet, truth(s.Cloud.Configured))
	if s.Cloud.Configured {
		emit(cloudHere, truth(s.Cloud.Connected))
		emit(cloudAttempts, float64(s.Cloud.Attempts))
		emit(cloudUnacked, float64(s.Cloud.Unacknowledged))
		spoolFigures(&s.Spool, emit)
	}
	pinFigures(s.GPIO, emit)
	by := map[string]int{}
	for _, f := range s.Faults {
		by[f.Component]++
	}
	for component, n := range by {
		emit(faults, float64(n), component)
	}
}

func deviceFigures(devices []client.Device, emit Emit) {
	here := 0
	for i := range devices {
		d := &devices[i]
		if d.Connected {
			here++
		}
		emit(deviceHere, truth(d.Connected), d.Thing)
		emit(deviceWaiting, float64(d.Waiting), d.Thing)
	}
	emit(devicesKnown, float64(len(devices)))
	emit(devicesHere, float64(here))
}

func ledgerFigures(s *client.Status, emit Emit) {
	emit(accepted, float64(s.Ledger.Accepted))
	emit(waiting, float64(s.Ledger.Waiting))
	verdicts(&s.Ledger, func(verdict string, n uint64) { emit(messages, float64(n), verdict) })
	for _, r := range s.Refusals {
		emit(refused, float64(r.Count), r.Reason)
	}
	for _, r := range s.Drops {
		emit(dropped, float64(r.Count), r.Reason)
	}
}

func verdicts(l *client.Ledger, each func(verdict string, n uint64)) {
	each("delivered", l.Delivered)
	each("refused", l.Refused)
	each("expired", l.Expired)
	each("dropped", l.Dropped)
}

// routeFigures sums the rows that bear the same label.
func (m *scrapes) routeFigures(routes []client.Route, emit Emit) {
	sums := map[string]*client.Ledger{}
	for i := range routes {
		r, label := &routes[i], m.rows.label(routes[i].Text)
		sum := sums[label]
		if sum == nil {
			sum = new(client.Ledger)
			sums[label] = sum
		}
		sum.Delivered += r.Delivered
		sum.Refused += r.Refused
		sum.Expired += r.Expired
		sum.Dropped += r.Dropped
		sum.Waiting += r.Waiting
	}
	for label, sum := range sums {
		verdicts(sum, func(verdict string, n uint64) { emit(rowMessages, float64(n), label, verdict) })
		emit(rowWaiting, float64(sum.Waiting), label)
	}
}

// Bounds of the labels that rows have.
const (
	mostRows    = 200
	longestText = 100 // bytes of a row that a label shows
	otherRows   = "other"
)

// rowLabels gives rows their labels: the text, which lasts when lines move. The
// first rows in use have one of their own for as long as the daemon runs; all others
// share one. A counter that moved from one label to another would look reset.
type rowLabels struct {
	mu   sync.Mutex
	have map[string]string // guarded by mu: by the text of the row
}

func (l *rowLabels) label(text string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if label, ok := l.have[text]; ok {
		return label
	}
	if len(l.have) >= mostRows {
		return otherRows
	}
	label := text
	if len(text) > longestText {
		sum := sha256.Sum256([]byte(text))
		label = text[:longestText] + "... " + hex.EncodeToString(sum[:4])
	}
	if l.have == nil {
		l.have = map[string]string{}
	}
	l.have[text] = label
	return label
}

func shadowFigures(s *client.Shadows, emit Emit) {
	emit(shadowCount, float64(s.Count))
	emit(shadowBytes, float64(s.Bytes))
	emit(shadowWaiting, float64(s.Waiting))
	emit(shadowAccepted, float64(s.Accepted))
	for code, n := range s.Rejected {
		emit(shadowRejected, float64(n), code)
	}
	y := s.Sync
	if y == nil {
		return
	}
	for state, n := range map[string]int{"in-step": y.InStep, "ahead": y.Ahead, "behind": y.Behind, "asking": y.Asking, "blocked": y.Blocked} {
		emit(syncShadows, float64(n), state)
	}
	for operation, n := range map[string]uint64{"asked": y.Asked, "written": y.Written, "applied": y.Applied} {
		emit(syncDone, float64(n), operation)
	}
	emit(syncConflicts, float64(y.Conflicts))
	emit(syncUnknown, float64(y.Unknown))
	emit(syncRetries, float64(y.Retries))
	for code, n := range y.Rejected {
		emit(syncRejected, float64(n), code)
	}
}

func spoolFigures(s *client.Spool, emit Emit) {
	emit(spoolMessages, float64(s.Messages))
	emit(spoolBytes, float64(s.Bytes))
	emit(spoolOldest, float64(s.OldestSeconds))
	emit(spoolDisk, float64(s.DiskBytes))
	emit(spoolLimit, float64(s.MaxBytes))
	emit(spoolAside, float64(s.Quarantined))
	emit(spoolSent, float64(s.Sent))
	emit(spoolResent, float64(s.Resent))
	if s.FullInSeconds >= 0 {
		emit(spoolFull, float64(s.FullInSeconds))
	}
	if s.DrainedInSeconds >= 0 {
		emit(spoolEmpty, float64(s.DrainedInSeconds))
	}
}

func truth(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// number reads the level of a pin.
func number(level string) (float64, bool) {
	switch level {
	case "on", "pressed":
		return 1, true
	case "off", "released":
		return 0, true
	}
	n, err := strconv.ParseFloat(level, 64)
	return n, err == nil
}
