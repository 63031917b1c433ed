package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"greengate/configs"
	"greengate/core/message"
	"greengate/core/router"
	"greengate/gpio"
	"greengate/localshadow"
)

// openPins claims the pins of the group file and puts them at their safe level.
// It is the first step of a start: periph's own start closes descriptors that
// are not its own.
func (g *gateway) openPins(c *configs.Config) error {
	pins := gpio.Config{Driver: "sim"}
	if c.GPIO != nil {
		pins = *c.GPIO
	}
	doors := map[string]*door{} // by pin; filled before the pins run
	g.pins = gpio.New(gpio.Options{
		Config:  pins,
		Publish: func(topic string, payload []byte, from string) { doors[from].publish(topic, payload, 1) },
		Report:  g.reportPin,
		Log:     g.log.With("component", "gpio"),
	})
	g.router.Register(message.GPIO, pinTarget{g.pins})
	for _, name := range pins.Names() {
		doors[name] = newDoor(g.router, message.Endpoint{Kind: message.GPIO, Name: name})
	}
	return pinFaults(c, g.pins.Open())
}

// pinFaults names the places in the group file of the pins that cannot be had.
func pinFaults(c *configs.Config, err error) error {
	var wrong gpio.PinErrors
	if !errors.As(err, &wrong) {
		return err
	}
	faults := make(configs.Faults, len(wrong))
	for i, e := range wrong {
		faults[i] = c.FaultAt(e.Path, e.Problem, e.Hint)
	}
	slices.SortStableFunc(faults, func(x, y configs.Fault) int { // as the file has them
		return cmp.Or(cmp.Compare(x.Line, y.Line), cmp.Compare(x.Column, y.Column))
	})
	return inputError{faults}
}

// bindPins has the shadows drive the pins that are bound to them, from the
// state of now on.
func (g *gateway) bindPins(c *configs.Config) error {
	g.shadows.Watch(func(change localshadow.Change) {
		if change.Name == "" && g.pins.Bound(change.Thing) {
			g.pins.Desired(change.Thing, json.RawMessage(change.Current.Desired), json.RawMessage(change.Current.Reported))
		}
	})
	if c.GPIO == nil {
		return nil
	}
	seen := map[string]bool{}
	for _, use := range c.GPIO.Things() {
		if seen[use.Thing] || !g.pins.Bound(use.Thing) {
			continue
		}
		seen[use.Thing] = true
		d, err := g.shadows.Document(context.Background(), use.Thing, "")
		var none *localshadow.Rejection
		if errors.As(err, &none) {
			continue // a thing without a shadow drives nothing
		}
		if err != nil {
			return err
		}
		if d.Exists() {
			g.pins.Desired(use.Thing, json.RawMessage(d.Desired), json.RawMessage(d.Reported))
		}
	}
	return nil
}

// reportTimeout bounds how long a pin waits for its report to be on disk.
const reportTimeout = 30 * time.Second

// reportPin makes a value the reported state of a key to which pins are bound.
func (g *gateway) reportPin(ctx context.Context, thing, key string, value json.RawMessage) error {
	body, err := json.Marshal(map[string]any{"state": map[string]any{"reported": map[string]any{key: value}}})
	if err != nil {
		return gpio.Final(err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, reportTimeout, fmt.Errorf("the shadow service does not answer in %v", reportTimeout))
	defer cancel()
	_, err = g.shadows.Update(ctx, thing, "", body, localshadow.Source{Kind: message.GPIO.String(), Name: key})
	if errors.Is(err, context.DeadlineExceeded) {
		return context.Cause(ctx)
	}
	return whyNotReported(thing, err)
}

// whyNotReported tells the pins whether it makes sense to report again, and a person
// what to do.
func whyNotReported(thing string, err error) error {
	var r *localshadow.Rejection
	switch {
	case errors.Is(err, localshadow.ErrStopped):
		return context.Canceled
	case !errors.As(err, &r):
		return err
	case r.Code == http.StatusNotFound:
		return gpio.Final(fmt.Errorf("%w (%s has `shadow: none`: write another, or take `thing` and `key` from the pin)", err, thing))
	case r.Code == http.StatusBadRequest:
		return gpio.Final(err)
	case r.Code == http.StatusRequestEntityTooLarge:
		return fmt.Errorf("%w (make room: `greengate shadow list` shows what the shadows hold)", err)
	}
	return err
}

// pinTarget carries out messages for gpio:NAME.
type pinTarget struct{ pins *gpio.Bank }

func (t pinTarget) Deliver(d *router.Delivery, h *router.Hop) (router.Verdict, router.Reason) {
	err := t.pins.Deliver(h.To.Name, d.Payload)
	var refusal *gpio.Refusal
	switch {
	case err == nil:
		return router.Delivered, ""
	case errors.As(err, &refusal):
		return router.Refused, router.Reason(refusal.Reason)
	}
	return router.Dropped, "pin-fault"
}
