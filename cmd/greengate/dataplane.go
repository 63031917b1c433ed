package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"greengate/core/dataplane"
	"greengate/core/message"
	"greengate/core/router"
	"greengate/discovery"
	"greengate/localshadow"
)

// newDataPlane makes a data plane: the REST API of AWS IoT, through the same
// gate as all else.
func (g *gateway) newDataPlane(limits dataplane.Limits) (*dataplane.Handler, error) {
	return dataplane.New(dataplane.Options{
		Publish:  g.publishData,
		Shadows:  dataShadows{g},
		Retained: dataRetained{g},
		Note:     func(reason string) { g.router.Note(router.Refused, router.Reason(reason)) },
		Limits:   limits,
		Log:      g.log,
	})
}

// fromDevices has the data plane answer the devices that discovery recognises.
func fromDevices(h *dataplane.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		thing, _ := discovery.ThingFrom(r.Context())
		h.Serve(w, r, message.DeviceEndpoint(thing))
	})
}

var errUnavailable = &dataplane.Error{Status: http.StatusServiceUnavailable, Type: "ServiceUnavailableException", Message: "Service temporarily unavailable"}

// publishData sends a message of the data plane through the gate.
func (g *gateway) publishData(ctx context.Context, from message.Endpoint, m *message.Message) (allowed bool, err error) {
	allowed, receipt, err := g.sendData(g.router.Port(from), m)
	if err == nil && m.QoS > 0 {
		err = untilSafe(ctx, receipt)
	}
	return allowed, err
}

// sendData sends a message through the gate. The receipt is nil when it is safe.
func (g *gateway) sendData(port *router.Port, m *message.Message) (allowed bool, receipt *router.Receipt, err error) {
	way, err := port.Route([]byte(m.Topic), message.CheckTopic)
	if err != nil {
		return false, nil, err
	}
	receipt = g.broker.Publish(port, m, way)
	port.Flush()
	if !way.Allowed {
		receipt = nil
	}
	return way.Allowed, receipt, nil
}

// untilSafe waits until a message is safe.
func untilSafe(ctx context.Context, receipt *router.Receipt) error {
	if receipt == nil {
		return nil
	}
	safe := make(chan struct{})
	receipt.Then(func() { close(safe) })
	select {
	case <-safe:
	case <-ctx.Done():
		return ctx.Err()
	}
	if receipt.Failed() {
		return errUnavailable
	}
	return nil
}

// dataShadows are the shadows as the data plane may use them: a request is
// judged, and counted, as if it had come by MQTT on the topic of its kind.
type dataShadows struct{ g *gateway }

var shadowEnd = message.Endpoint{Kind: message.Shadow}

// admit returns how the request is settled, when the gate lets it pass.
func (s dataShadows) admit(from message.Endpoint, thing, name string, op localshadow.Op, request []byte) (settle func(error), err error) {
	topic, err := shadowRequest(thing, name, op)
	if err != nil {
		return nil, &dataplane.Error{Status: http.StatusBadRequest, Type: "InvalidRequestException", Message: err.Error()}
	}
	r := s.g.router
	m := &message.Message{Source: from, Topic: topic, Payload: request}
	cell, ok := r.Judge(from, topic, shadowEnd)
	if !ok {
		s.refuse(m)
		return nil, dataplane.Forbidden()
	}
	cell.Queue()
	r.Watched(router.Queued, m, shadowEnd)
	return func(err error) {
		verdict, why := shadowVerdict(err)
		r.Settle(cell, verdict, why, m, shadowEnd)
	}, nil
}

// refuse counts a request that no row leads to the shadow service.
func (s dataShadows) refuse(m *message.Message) {
	port := s.g.router.Port(m.Source)
	way, err := port.Route([]byte(m.Topic), message.CheckTopic)
	if err != nil || way.Allowed { // a row leads elsewhere, and that is not what was asked for
		s.g.router.Note(router.Refused, router.NoRow)
		return
	}
	port.Publish(m, way)
}

// shadowRequest is the topic of a request.
func shadowRequest(thing, name string, op localshadow.Op) (string, error) {
	if err := message.CheckThing(thing); err != nil {
		return "", err
	}
	topic := "$aws/things/" + thing + "/shadow/"
	if name != "" {
		if err := localshadow.CheckName(name); err != nil {
			return "", err
		}
		topic += "name/" + name + "/"
	}
	return topic + op.String(), nil
}

// shadowVerdict is what became of a request, by the service's answer. A
// rejection is one too, unless it says that the service could not look at it.
func shadowVerdict(err error) (router.Verdict, router.Reason) {
	var rejection *localshadow.Rejection
	switch {
	case err == nil:
		return router.Delivered, ""
	case !errors.As(err, &rejection) || rejection.Code >= http.StatusInternalServerError:
		return router.Dropped, storeFault
	case rejection.Code == http.StatusTooManyRequests:
		return router.Dropped, busy
	}
	return router.Delivered, ""
}

// dataError is an error of the shadow service in the words of the data plane.
func dataError(err error) error {
	var rejection *localshadow.Rejection
	switch {
	case errors.As(err, &rejection):
		return &dataplane.Error{Status: rejection.Code, Type: rejection.ErrorType(), Message: rejection.Message}
	case errors.Is(err, localshadow.ErrStopped):
		return errUnavailable
	}
	return err
}

func (s dataShadows) Get(ctx context.Context, from message.Endpoint, thing, name string) ([]byte, error) {
	settle, err := s.admit(from, thing, name, localshadow.OpGet, nil)
	if err != nil {
		return nil, err
	}
	document, err := s.g.shadows.Get(ctx, thing, name, nil)
	settle(err)
	return document, dataError(err)
}

func (s dataShadows) Update(ctx context.Context, from message.Endpoint, thing, name string, request []byte) ([]byte, error) {
	return s.change(ctx, from, thing, name, localshadow.OpUpdate, request)
}

func (s dataShadows) Delete(ctx context.Context, from message.Endpoint, thing, name string) ([]byte, error) {
	return s.change(ctx, from, thing, name, localshadow.OpDelete, nil)
}

// change is settled when the service is done with it, also when nobody waits
// for the answer any more.
func (s dataShadows) change(ctx context.Context, from message.Endpoint, thing, name string, op localshadow.Op, request []byte) ([]byte, error) {
	settle, err := s.admit(from, thing, name, op, request)
	if err != nil {
		return nil, err
	}
	type result struct {
		accepted []byte
		err      error
	}
	done := make(chan result, 1)
	s.g.shadows.Handle(thing, name, op, request, s.g.identities.source(from), func(accepted []byte, err error) {
		settle(err)
		done <- result{accepted, err}
	})
	select {
	case r := <-done:
		return r.accepted, dataError(r.err)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// List needs the row that a get of the classic shadow needs.
func (s dataShadows) List(ctx context.Context, from message.Endpoint, thing string, size int, token string) ([]byte, error) {
	settle, err := s.admit(from, thing, "", localshadow.OpGet, nil)
	if err != nil {
		return nil, err
	}
	names, err := s.g.shadows.ListNamed(ctx, thing, size, token)
	settle(err)
	if err != nil {
		return nil, dataError(err)
	}
	return json.Marshal(names)
}

// dataRetained are the retained messages as the data plane may read them: those
// that a row of today leads from their publisher to the reader.
type dataRetained struct{ g *gateway }

func (d dataRetained) List(from message.Endpoint, after string, n int) (list []dataplane.Kept) {
	d.g.broker.RetainedAfter(after, func(m *message.Message, stored time.Time) bool {
		if _, ok := d.g.router.Judge(m.Source, m.Topic, from); ok {
			list = append(list, dataplane.Kept{Message: m, Stored: stored})
		}
		return len(list) < n
	})
	return list
}

func (d dataRetained) Get(from message.Endpoint, topic string, use func(dataplane.Kept) error) error {
	m, stored, ok := d.g.broker.RetainedOn(topic)
	if !ok {
		return dataplane.NotFound("no message is retained on this topic")
	}
	cell, ok := d.g.router.Judge(m.Source, topic, from)
	if !ok {
		return dataplane.Unreadable()
	}
	if err := use(dataplane.Kept{Message: m, Stored: stored}); err != nil {
		return err
	}
	cell.Queue()
	d.g.router.Settle(cell, router.Delivered, "", m, from)
	d.g.router.Watched(router.Delivered, m, from)
	return nil
}
