package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"greengate/configs"
	"greengate/core/admin"
	"greengate/core/admin/client"
	"greengate/gpio"
)

// servePinCommands hangs `greengate gpio` on the control socket.
func (g *gateway) servePinCommands() {
	g.admin.Handle("GET /v1/gpio", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		admin.Answer(w, http.StatusOK, client.PinList{
			Board: g.pins.Board(), Header: gpio.Header(g.pins.List()), GPIO: g.listPins(),
		})
	}))
	g.handlePin("set", g.setPin)
	g.handlePin("press", g.pressPin)
	g.handlePin("identify", func(ctx context.Context, p client.Pin, _ url.Values) error {
		if !isOutput(p) {
			return g.noOutput(p)
		}
		return g.pins.Identify(ctx, p.Name)
	})
}

// listPins returns the pins in the order of the file, never nil.
func (g *gateway) listPins() []client.Pin {
	states := g.pins.List()
	list := make([]client.Pin, len(states))
	for i, p := range states {
		list[i] = client.Pin{
			Name: p.Name, Kind: p.Kind, Pin: p.Pin, Header: p.Header, Mode: p.Mode, PWM: p.PWM,
			Level: p.Level, Unit: p.Unit, Safe: p.Safe, Pending: p.Pending, Thing: p.Thing, Key: p.Key, Topic: p.Topic,
			Interlock: p.Interlock, Violations: p.Violations, MaxOn: p.MaxOn, Held: p.Held, Lost: p.Lost,
			At: p.At, Errors: p.Errors, Fault: p.Fault,
		}
		for _, v := range p.Values {
			list[i].Values = append(list[i].Values, client.Reading(v))
		}
	}
	return list
}

// handlePin serves a command for one pin, which it finds by the name that is
// asked for. The answer is the pin as it is afterwards.
func (g *gateway) handlePin(op string, work func(context.Context, client.Pin, url.Values) error) {
	g.admin.Handle("POST /v1/gpio/"+op, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		p, err := g.findPin(q.Get("name"))
		if err == nil {
			err = work(r.Context(), p, q)
		}
		about := []any{"pin", q.Get("name")}
		if level := q.Get("level"); level != "" {
			about = append(about, "level", level)
		}
		g.audit("gpio", op, err, about...)
		if err != nil {
			admin.Refuse(w, pinCode(err), err)
			return
		}
		if now, err := g.findPin(p.Name); err == nil {
			p = now
		}
		admin.Answer(w, http.StatusOK, p)
	}))
}

// findPin returns the pin of that name; the error names the nearest one.
func (g *gateway) findPin(name string) (client.Pin, error) {
	list := g.listPins()
	names := make([]string, len(list))
	for i, p := range list {
		if p.Name == name {
			return p, nil
		}
		names[i] = p.Name
	}
	hint := "the group file has none"
	if len(names) > 0 {
		hint = configs.DidYouMean(name, names, "`greengate gpio list` shows all of them")
	}
	return client.Pin{}, badInput("there is no pin %.40q (%s)", name, hint)
}

func (g *gateway) setPin(_ context.Context, p client.Pin, q url.Values) error {
	if !isOutput(p) {
		return g.noOutput(p)
	}
	return g.pins.Deliver(p.Name, []byte(q.Get("level")))
}

// maxHold is the longest press: somebody else may wait for the button.
const maxHold = time.Minute

func (g *gateway) pressPin(ctx context.Context, p client.Pin, q url.Values) error {
	hold, err := time.ParseDuration(q.Get("hold"))
	if err == nil {
		err = checkHold(hold)
	}
	switch {
	case err != nil:
		return inputError{err}
	case !canBePressed(p):
		return badInput("%q is no input (%s)", p.Name, inputsOf(g.listPins()))
	case p.Mode != "sim":
		return badInput("the %s %q is not simulated: somebody has to press it", p.Kind, p.Name)
	}
	times, err := strconv.Atoi(cmp.Or(q.Get("times"), "1"))
	if err == nil {
		err = checkTimes(times)
	}
	if err != nil {
		return inputError{err}
	}
	return g.pins.Press(ctx, p.Name, times, hold)
}

// maxTimes is the most pulses of one press.
const maxTimes = 10_000

func checkTimes(times int) error {
	if times < 1 || times > maxTimes {
		return fmt.Errorf("an input is not pressed %d times (write 1 to %d)", times, maxTimes)
	}
	return nil
}

func canBePressed(p client.Pin) bool {
	return p.Kind == "button" || p.Kind == "input" || p.Kind == "counter"
}

func checkHold(hold time.Duration) error {
	if hold < time.Millisecond || hold > maxHold {
		return fmt.Errorf("an input is not held down for %v (write 1ms to 1m)", hold)
	}
	return nil
}

// isOutput tells whether a pin can be set: only outputs have a safe level.
func isOutput(p client.Pin) bool { return p.Safe != "" }

func (g *gateway) noOutput(p client.Pin) error {
	return badInput("%q is no output but %s (%s)", p.Name, indefinite(p.Kind), namesOf(g.listPins(), isOutput, "outputs are ", "the group file has none"))
}

// indefinite puts the article before a kind of pin.
func indefinite(kind string) string {
	if kind == "input" {
		return "an input"
	}
	return "a " + kind
}

// inputsOf tells which pins can be pressed.
func inputsOf(list []client.Pin) string {
	return namesOf(list, canBePressed, "inputs are ", "the group file has no button, input or counter")
}

// namesOf lists the pins of a sort behind a few words, or says that there is none.
func namesOf(list []client.Pin, sort func(client.Pin) bool, words, none string) string {
	var names []string
	for _, p := range list {
		if sort(p) {
			names = append(names, p.Name)
		}
	}
	if names == nil {
		return none
	}
	return words + strings.Join(names, ", ")
}

// pinCode is the HTTP status of a command that was not carried out: below 500
// when the one who asked has to ask otherwise.
func pinCode(err error) int {
	var refusal *gpio.Refusal
	switch {
	case errors.As(err, new(inputError)):
		return http.StatusBadRequest
	case !errors.As(err, &refusal):
		return http.StatusInternalServerError
	}
	switch refusal.Reason {
	case gpio.NoOutput, gpio.BadPayload:
		return http.StatusBadRequest
	case gpio.MinOff, gpio.Interlocked:
		return http.StatusConflict
	case gpio.PinStopped:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}
