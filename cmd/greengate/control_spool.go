package main

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"greengate/core/admin"
	"greengate/core/admin/client"
	"greengate/sync/telemetry"
)

// serveSpoolCommands hangs `greengate spool` on the control socket. They change nothing
// but what is in quarantine.
func (g *gateway) serveSpoolCommands() {
	g.admin.Handle("GET /v1/spool", g.ofSpool((*uplink).answerStats))
	g.admin.Handle("GET /v1/spool/list", g.ofSpool((*uplink).answerList))
	g.admin.Handle("GET /v1/spool/export", g.ofSpool((*uplink).answerExport))
	g.admin.Handle("POST /v1/spool/requeue", g.ofSpool((*uplink).answerRequeue))
	g.admin.Handle("POST /v1/spool/discard", g.ofSpool((*uplink).answerDiscard))
}

var errNoCloud = errors.New("the gateway has no cloud: its group file has no cloud section, so nothing waits for one")

func (g *gateway) ofSpool(answer func(*uplink, http.ResponseWriter, *http.Request)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.uplink == nil {
			admin.Refuse(w, http.StatusNotFound, g.left.refusal())
			return
		}
		answer(g.uplink, w, r)
	})
}

// shownQuarantine is how many messages in quarantine the stats show.
const shownQuarantine = 20

func (u *uplink) answerStats(w http.ResponseWriter, r *http.Request) {
	quarantine, err := u.spool.Quarantine(r.Context(), shownQuarantine)
	if err != nil {
		admin.Refuse(w, http.StatusInternalServerError, err)
		return
	}
	st, rate := u.spool.Stats(), u.g.begun.Cloud.Rate
	answer := client.SpoolStats{
		Spool: u.spoolStatus(st), InFlight: st.Unsettled, UnackedSeconds: int64(st.Unacked / time.Second), Cloud: u.cloudStatus(),
		IntakeRate: st.Forecast.IntakeRate, DrainRate: st.Forecast.DrainRate,
		AllowedMessages: rate.Messages, AllowedBytes: rate.Bytes, Sent: st.Sent, Spared: st.Spared, Expired: st.Expired,
		Faults: slices.Concat(u.link.Faults(), u.spool.Faults()),
	}
	if st.Oldest != nil {
		answer.OldestAt, answer.Clock = &st.Oldest.Time, st.Oldest.Clock
	}
	for _, p := range []telemetry.Priority{telemetry.High, telemetry.Normal, telemetry.Low} {
		n := st.ByPriority[p.String()]
		answer.Priorities = append(answer.Priorities, client.SpoolPriority{Priority: p.String(), Messages: n.Messages, Bytes: n.Bytes})
	}
	for row, n := range st.Routes {
		answer.Rows = append(answer.Rows, client.SpoolRow{Row: row, Messages: n.Messages, Bytes: n.Bytes})
	}
	slices.SortFunc(answer.Rows, func(a, b client.SpoolRow) int {
		return cmp.Or(cmp.Compare(b.Messages, a.Messages), cmp.Compare(a.Row, b.Row))
	})
	for reason, n := range st.Dropped {
		answer.Dropped = append(answer.Dropped, client.Reason{Reason: reason, Count: n})
	}
	slices.SortFunc(answer.Dropped, func(a, b client.Reason) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Reason, b.Reason))
	})
	for _, m := range quarantine {
		answer.Quarantine = append(answer.Quarantine, spoolMessage(m))
	}
	admin.Answer(w, http.StatusOK, answer)
}

func spoolMessage(r telemetry.Record) client.SpoolMessage {
	return client.SpoolMessage{
		Seq: r.Seq, Source: r.Source, Topic: r.Topic, Priority: r.Priority, Row: r.Route, Time: r.Time, Clock: r.Clock,
		TTLSeconds: r.TTL.Seconds(), Retain: r.Retain, Bytes: r.Bytes, Quarantine: r.Quarantine, Locked: r.Locked,
	}
}

// maxListed bounds the answer of one list.
const maxListed = 10_000

// errListed ends a walk that has seen enough.
var errListed = errors.New("listed")

func (u *uplink) answerList(w http.ResponseWriter, r *http.Request) {
	limit, err := strconv.Atoi(r.URL.Query().Get("limit"))
	if err == nil {
		err = checkLimit(limit)
	}
	if err != nil {
		admin.Refuse(w, http.StatusBadRequest, err)
		return
	}
	st := u.spool.Stats()
	list := client.SpoolList{Messages: []client.SpoolMessage{}, Waiting: st.Messages, Quarantined: st.Quarantined}
	// Not List, which would hold all the payloads.
	err = u.spool.Walk(r.Context(), func(m telemetry.Record) error {
		if len(list.Messages) == limit {
			return errListed
		}
		list.Messages = append(list.Messages, spoolMessage(m))
		return nil
	})
	if err != nil && !errors.Is(err, errListed) {
		admin.Refuse(w, http.StatusInternalServerError, err)
		return
	}
	admin.Answer(w, http.StatusOK, list)
}

func (u *uplink) answerExport(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	if err := u.spool.Export(r.Context(), w); err != nil {
		if r.Context().Err() == nil {
			u.g.log.Error("the spool could not be exported", "component", "spool", "err", err)
		}
		// The one way to say, in the middle of an answer, that it is not whole.
		panic(http.ErrAbortHandler)
	}
}
