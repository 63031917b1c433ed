package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"

	"greengate/core/dataplane"
	"greengate/core/message"
	"greengate/core/router"
	"greengate/functions"
	"greengate/functions/endpoint"
)

// functionEnd is a function as the gate knows it.
func functionEnd(name string) message.Endpoint {
	return message.Endpoint{Kind: message.Function, Name: name}
}

// home is what a function can reach. All of it passes the gate, under its name.
func (h *host) home(function string) endpoint.Home {
	from := functionEnd(function)
	return endpoint.Home{
		Data: func(w http.ResponseWriter, r *http.Request) { h.data.Serve(w, r, from) },
		Publish: func(ctx context.Context, topic string, payload []byte) error {
			_, err := h.publish(ctx, function, topic, payload)
			return err
		},
		Shadow: func(ctx context.Context, op, thing string, payload []byte) ([]byte, error) {
			return h.shadow(ctx, from, op, thing, payload)
		},
		Invoke: func(ctx context.Context, other string, payload []byte, async bool) ([]byte, error) {
			return h.invoke(ctx, from, other, payload, async)
		},
	}
}

// publish sends a message of a function through the gate, and waits until it is safe.
func (h *host) publish(ctx context.Context, function, topic string, payload []byte) (allowed bool, err error) {
	from := functionEnd(function)
	pool, ok := h.ports.Load(function)
	if !ok {
		pool, _ = h.ports.LoadOrStore(function, &sync.Pool{New: func() any { return h.g.router.Port(from) }})
	}
	port := pool.(*sync.Pool).Get().(*router.Port)
	allowed, receipt, err := h.g.sendData(port, &message.Message{Topic: topic, Payload: payload, QoS: 1})
	pool.(*sync.Pool).Put(port)
	if err == nil {
		err = untilSafe(ctx, receipt)
	}
	return allowed, err
}

var errNoRow = errors.New("no row of the table lets the answer pass")

// reply publishes the answer of a function.
func (h *host) reply(ctx context.Context, function, topic string, payload []byte) error {
	allowed, err := h.publish(ctx, function, topic, payload)
	if err == nil && !allowed {
		return errNoRow
	}
	return err
}

// shadow does what greengrasssdk asks of the shadow of a thing.
func (h *host) shadow(ctx context.Context, from message.Endpoint, op, thing string, payload []byte) (document []byte, err error) {
	shadows := dataShadows{h.g}
	switch op {
	case "get":
		document, err = shadows.Get(ctx, from, thing, "")
	case "update":
		document, err = shadows.Update(ctx, from, thing, "", payload)
	case "delete":
		document, err = shadows.Delete(ctx, from, thing, "")
	default:
		err = &dataplane.Error{Status: http.StatusBadRequest, Message: "there is no " + op + " of a shadow"}
	}
	var refusal *dataplane.Error
	if errors.As(err, &refusal) {
		return nil, &endpoint.ShadowError{Code: refusal.Status, Message: refusal.Message}
	}
	return document, err
}

// invokeTopic is the topic on which a function calls another, in the words of AWS
// Lambda's API: {from: function:A, topic: $functions/B/invocations, to: function:B} is the row.
func invokeTopic(function string) string { return "$functions/" + function + "/invocations" }

// invoke calls another function, if a row allows it.
func (h *host) invoke(ctx context.Context, from message.Endpoint, function string, payload []byte, async bool) ([]byte, error) {
	topic, to := invokeTopic(function), functionEnd(function)
	cell, ok := h.g.router.Judge(from, topic, to)
	if !ok {
		port := h.g.router.Port(from) // which counts and tells the refusal
		if way, err := port.Route([]byte(topic), message.CheckTopic); err == nil && !way.Allowed {
			port.Publish(&message.Message{Topic: topic, Payload: payload}, way)
		} else {
			h.g.router.Note(router.Refused, router.NoRow)
		}
		return nil, functionError("AccessDeniedException", "no row lets "+from.String()+" call "+to.String()+" on "+topic)
	}
	if async {
		_, err := h.publish(ctx, from.Name, topic, payload)
		return nil, err
	}
	cell.Queue()
	m := &message.Message{Source: from, Topic: topic, Payload: payload}
	result, err := h.manager.InvokeFrom(ctx, from.String(), function, payload, topic)
	switch {
	case err != nil:
		h.g.router.Settle(cell, router.Dropped, invokeReason(err), m, to)
		return nil, err
	case result.Failure != nil:
		h.g.router.Settle(cell, router.Dropped, functions.ReasonError, m, to)
		return nil, functionError(result.Failure.Type, result.Failure.Message)
	}
	h.g.router.Settle(cell, router.Delivered, "", m, to)
	h.g.router.Watched(router.Delivered, m, to)
	return result.Payload, nil
}

// invokeReason is why an invocation came to nothing.
func invokeReason(err error) router.Reason {
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return "function-abandoned"
	case errors.Is(err, functions.ErrNoRow):
		return functions.ReasonNoRow
	case errors.Is(err, functions.ErrFull):
		return functions.ReasonNewest
	}
	return callReason(err)
}

// functionError is what a function that called another gets of its failure.
func functionError(kind, text string) error {
	document, err := json.Marshal(map[string]string{"errorType": kind, "errorMessage": text})
	if err != nil {
		return err
	}
	return &endpoint.FunctionError{Unhandled: strings.HasPrefix(kind, "Sandbox.") || strings.HasPrefix(kind, "Runtime."), Payload: document}
}
