package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"greengate/core/admin"
	"greengate/core/admin/client"
	"greengate/core/message"
	"greengate/sync/telemetry"
)

// maxQuarantineRequest bounds the words of a request, in bytes.
const maxQuarantineRequest = 1 << 20

// quarantined reads the words of a request.
func quarantined(w http.ResponseWriter, r *http.Request) (which client.Quarantined, err error) {
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxQuarantineRequest)).Decode(&which); err != nil {
		return which, fmt.Errorf("read which messages are meant: %w", err)
	}
	if which.Topic != "" {
		err = message.CheckFilter(which.Topic)
	}
	return which, err
}

// quarantineRequest reads which messages are meant.
func quarantineRequest(w http.ResponseWriter, r *http.Request) (meant func(*telemetry.Record) bool, err error) {
	which, err := quarantined(w, r)
	return meantBy(which), err
}

func meantBy(which client.Quarantined) (meant func(*telemetry.Record) bool) {
	return func(m *telemetry.Record) bool {
		return which.All || slices.Contains(which.Seqs, m.Seq) || which.Topic != "" && message.Match(which.Topic, m.Topic)
	}
}

// answerRequeue puts messages in quarantine back to the end of the queue, by the rows in
// force: one that no row leads to the cloud stays.
func (u *uplink) answerRequeue(w http.ResponseWriter, r *http.Request) {
	meant, err := quarantineRequest(w, r)
	if err != nil {
		admin.Refuse(w, http.StatusBadRequest, err)
		return
	}
	stay := map[int64]bool{} // no row; asked again, a message is still one
	n, err := u.spool.Requeue(context.WithoutCancel(r.Context()), func(m telemetry.Record) (telemetry.Route, bool) {
		if !meant(&m) {
			return telemetry.Route{}, false
		}
		from, err := message.ParseEndpoint(m.Source)
		if err == nil {
			if way := u.road(from, m.Topic); way != nil {
				return way.route, true
			}
		}
		stay[m.Seq] = true
		return telemetry.Route{}, false
	})
	u.g.audit("spool", "requeue", err, "messages", n, "no_row", len(stay))
	if errors.Is(err, telemetry.ErrNoRoom) {
		admin.Refuse(w, http.StatusConflict, fmt.Errorf("put messages back: %w (name fewer, or let the spool drain)", err))
		return
	}
	if errors.Is(err, telemetry.ErrNoKey) {
		admin.Refuse(w, http.StatusConflict, fmt.Errorf("%w (`greengate status` tells where it is looked for)", err))
		return
	}
	answerQuarantine(w, client.Requeued{Messages: n, NoRow: len(stay)}, err)
}

// answerDiscard deletes messages in quarantine, or those that cannot be read.
func (u *uplink) answerDiscard(w http.ResponseWriter, r *http.Request) {
	which, err := quarantined(w, r)
	if err != nil {
		admin.Refuse(w, http.StatusBadRequest, err)
		return
	}
	n, ctx := 0, context.WithoutCancel(r.Context())
	if which.Unreadable {
		n, err = u.spool.DiscardUnreadable(ctx)
	} else {
		meant := meantBy(which)
		n, err = u.spool.Discard(ctx, func(m telemetry.Record) bool { return meant(&m) })
	}
	u.g.audit("spool", "discard", err, "messages", n)
	answerQuarantine(w, client.Requeued{Messages: n}, err)
}

func answerQuarantine(w http.ResponseWriter, done client.Requeued, err error) {
	if err != nil {
		admin.Refuse(w, http.StatusInternalServerError, err)
		return
	}
	admin.Answer(w, http.StatusOK, done)
}
