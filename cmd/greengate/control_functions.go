package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"

	"greengate/core/admin"
	"greengate/core/admin/client"
	"greengate/core/message"
	"greengate/functions"
)

// serveFunctionCommands hangs `greengate function` on the control socket.
func (g *gateway) serveFunctionCommands() {
	h := g.functions
	g.admin.Handle("GET /v1/functions", http.HandlerFunc(h.answerList))
	g.admin.Handle("GET /v1/functions/{name}/logs", http.HandlerFunc(h.answerLogs))
	g.admin.Handle("POST /v1/functions/{name}/invoke", http.HandlerFunc(h.answerInvoke))
	g.admin.Handle("GET /v1/functions/quarantine", http.HandlerFunc(h.answerQuarantine))
	g.admin.Handle("POST /v1/functions/requeue", http.HandlerFunc(h.answerRequeue))
	g.admin.Handle("POST /v1/functions/discard", http.HandlerFunc(h.answerDiscard))
}

func (h *host) answerList(w http.ResponseWriter, _ *http.Request) {
	admin.Answer(w, http.StatusOK, client.FunctionList{
		Functions: append([]client.Function{}, h.list()...), Isolation: isolation(h.sandbox.Confinement()),
	})
}

// refuseFunction answers with an error of the manager.
func (h *host) refuseFunction(w http.ResponseWriter, function string, err error) {
	code := http.StatusInternalServerError
	switch {
	case errors.Is(err, functions.ErrNoFunction):
		code, err = http.StatusNotFound, fmt.Errorf("no function is called %q (the group file has %s)", function, h.names())
	case errors.Is(err, functions.ErrTooLarge):
		code = http.StatusRequestEntityTooLarge
	case errors.Is(err, functions.ErrStopped), errors.Is(err, functions.ErrFull):
		code = http.StatusServiceUnavailable
	}
	admin.Refuse(w, code, err)
}

// names lists the functions of the file for a sentence.
func (h *host) names() string {
	names := h.g.current().config.Names().Functions
	if len(names) == 0 {
		return "none"
	}
	return fmt.Sprintf("%q", names)
}

// maxLines bounds how many lines of a function one answer has.
const maxLines = 100_000

// answerLogs sends the last lines of a function, and, for those who follow, the next.
func (h *host) answerLogs(w http.ResponseWriter, r *http.Request) {
	function, q := r.PathValue("name"), r.URL.Query()
	n, err := strconv.Atoi(cmp.Or(q.Get("n"), "100"))
	if err != nil || n < 0 || n > maxLines {
		admin.Refuse(w, http.StatusBadRequest, fmt.Errorf("n is no number from 0 to %d", maxLines))
		return
	}
	// Before the old lines are read, so that none is missing in between.
	var next <-chan functions.Line
	if q.Get("follow") == "true" {
		if next, err = h.manager.FollowLogs(r.Context(), function); err != nil {
			h.refuseFunction(w, function, err)
			return
		}
	}
	lines, err := h.manager.Logs(function, n)
	if err != nil {
		h.refuseFunction(w, function, err)
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	out, flusher := json.NewEncoder(w), http.NewResponseController(w)
	var last time.Time
	for _, l := range lines {
		last = l.Time
		if out.Encode(client.FunctionLine(l)) != nil {
			return
		}
	}
	if next == nil {
		return
	}
	_ = flusher.Flush() // one who has gone is noticed at the next line
	for l := range next {
		if !l.Time.After(last) && slices.Contains(lines, l) {
			continue // it was among the old ones
		}
		if out.Encode(client.FunctionLine(l)) != nil || flusher.Flush() != nil {
			return
		}
	}
}

// maxCall bounds the request of a call: a payload as base64, and its topic.
const maxCall = 16 << 20

func (h *host) answerInvoke(w http.ResponseWriter, r *http.Request) {
	function := r.PathValue("name")
	var call client.Call
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxCall)).Decode(&call); err != nil {
		admin.Refuse(w, http.StatusBadRequest, fmt.Errorf("read the event: %w", err))
		return
	}
	if i := slices.IndexFunc(h.g.current().config.Functions, func(c functions.Config) bool { return c.Name == function }); i >= 0 &&
		h.g.current().config.Functions[i].Encoding == functions.EncodingJSON && len(call.Payload) > 0 && !json.Valid(call.Payload) {
		admin.Refuse(w, http.StatusBadRequest, fmt.Errorf("the event is no JSON, and %s takes nothing else (give it `encoding: binary`, or mend the event)", function))
		return
	}
	result, err := h.manager.Invoke(r.Context(), function, call.Payload, call.Topic)
	h.g.audit("function", "invoke", err, "function", function, "topic", call.Topic)
	if err != nil {
		h.refuseFunction(w, function, err)
		return
	}
	admin.Answer(w, http.StatusOK, called(function, &result))
}

// called is what came of a call in the words of the control socket.
func called(function string, r *functions.Result) client.Called {
	c := client.Called{Function: function, DurationMS: milliseconds(r.Duration), Logs: make([]client.FunctionLine, len(r.Logs))}
	for i, l := range r.Logs {
		c.Logs[i] = client.FunctionLine(l)
	}
	switch {
	case r.Failure != nil:
		c.Failure = &client.FunctionFault{Type: r.Failure.Type, Message: r.Failure.Message, Trace: r.Failure.Trace}
	case json.Valid(r.Payload):
		c.Payload = r.Payload
	default:
		c.Base64 = r.Payload
	}
	return c
}

func (h *host) answerQuarantine(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.Atoi(cmp.Or(r.URL.Query().Get("n"), "20"))
	if err == nil {
		err = checkLimit(n)
	}
	if err != nil {
		admin.Refuse(w, http.StatusBadRequest, err)
		return
	}
	function := r.URL.Query().Get("function")
	records, err := h.manager.Quarantined(r.Context(), function, n)
	if err == nil && function != "" && len(records) == 0 && !h.has(function) {
		err = functions.ErrNoFunction
	}
	if err != nil {
		h.refuseFunction(w, function, err)
		return
	}
	list := client.QuarantineList{Calls: make([]client.QuarantinedCall, len(records))}
	for i, q := range records {
		list.Calls[i] = client.QuarantinedCall{
			Seq: q.Seq, Function: q.Function, Row: q.Route, Reason: q.Reason, Cause: q.Cause, At: q.At, ID: q.ID,
			Source: q.Source, Topic: q.Topic, Payload: q.Payload,
		}
	}
	admin.Answer(w, http.StatusOK, list)
}

// has tells whether the file in force has a function.
func (h *host) has(function string) bool {
	return slices.Contains(h.g.current().config.Names().Functions, function)
}

// callRequest reads which calls in quarantine are meant, and refuses words that mean none:
// a number that no call has, a function that there is not.
func (h *host) callRequest(w http.ResponseWriter, r *http.Request) (meant func(*functions.Record) bool, ok bool) {
	which, err := quarantined(w, r)
	if err != nil {
		admin.Refuse(w, http.StatusBadRequest, err)
		return nil, false
	}
	records, err := h.manager.Quarantined(r.Context(), which.Function, math.MaxInt)
	if err == nil && which.Function != "" && len(records) == 0 && !h.has(which.Function) {
		err = functions.ErrNoFunction
	}
	if err != nil {
		h.refuseFunction(w, which.Function, err)
		return nil, false
	}
	for _, seq := range which.Seqs {
		if !slices.ContainsFunc(records, func(q functions.Record) bool { return q.Seq == seq }) {
			admin.Refuse(w, http.StatusNotFound, fmt.Errorf("no call in quarantine has the number %d, and nothing was done (`greengate function quarantine` lists them)", seq))
			return nil, false
		}
	}
	return func(q *functions.Record) bool {
		return which.All || slices.Contains(which.Seqs, q.Seq) || which.Function != "" && which.Function == q.Function ||
			which.Topic != "" && message.Match(which.Topic, q.Topic)
	}, true
}

// answerRequeue puts calls back to the ends of their queues, by the rows in force.
func (h *host) answerRequeue(w http.ResponseWriter, r *http.Request) {
	meant, ok := h.callRequest(w, r)
	if !ok {
		return
	}
	stay := map[int64]bool{} // no row; asked again, a call is still one
	n, err := h.manager.Requeue(context.WithoutCancel(r.Context()), func(q functions.Record) (string, bool) {
		if !meant(&q) {
			return "", false
		}
		from, err := message.ParseEndpoint(q.Source)
		if err == nil {
			if way := h.lane(from, q.Topic, functionEnd(q.Function)); way != nil {
				return way.key, true
			}
		}
		stay[q.Seq] = true
		return "", false
	})
	h.g.audit("function", "requeue", err, "calls", n, "no_row", len(stay))
	answerQuarantine(w, client.Requeued{Messages: n, NoRow: len(stay)}, err)
}

// answerDiscard deletes calls in quarantine.
func (h *host) answerDiscard(w http.ResponseWriter, r *http.Request) {
	meant, ok := h.callRequest(w, r)
	if !ok {
		return
	}
	n, err := h.manager.Discard(context.WithoutCancel(r.Context()), func(q functions.Record) bool { return meant(&q) })
	h.g.audit("function", "discard", err, "calls", n)
	answerQuarantine(w, client.Requeued{Messages: n}, err)
}
