package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Pin is one pin or sensor. What it has not is absent.
type Pin struct {
	Name   string `json:"name"`
	Kind   string `json:"kind"`             // led, output, pwm, servo, button, input, counter or sensor
	Pin    string `json:"pin"`              // as the group file names it; of a sensor its kind and place
	Header string `json:"header,omitempty"` // its place on the header of a Pi: P1_11
	Mode   string `json:"mode"`             // sim, or the driver
	PWM    string `json:"pwm,omitempty"`    // who makes the pulses: kernel pwmchip0/0, or software
	// Level is on, off, pressed, released, a number in Unit, or unknown.
	Level   string `json:"level"`
	Unit    string `json:"unit,omitempty"`
	Safe    string `json:"safe,omitempty"`    // of an output, as Level
	Pending string `json:"pending,omitempty"` // the level that its shadow desires and its contract holds back
	Thing   string `json:"thing,omitempty"`   // whose shadow it is bound to
	Key     string `json:"key,omitempty"`     // of that shadow
	Topic   string `json:"topic,omitempty"`   // where it publishes

	Interlock  []string          `json:"interlock,omitempty"`
	Violations map[string]uint64 `json:"violations,omitempty"`     // commands that its contract refused, by reason
	MaxOn      uint64            `json:"max_on_reached,omitempty"` // how often it was turned off because it was on for long
	Held       uint64            `json:"held_back,omitempty"`      // changes that a storm of edges kept an input from telling
	Lost       uint64            `json:"lost_edges,omitempty"`     // edges that came faster than they could be read

	Values []Reading  `json:"values,omitempty"` // of the last good reading
	At     *time.Time `json:"at,omitempty"`     // of that reading
	Errors uint64     `json:"errors,omitempty"` // readings that failed
	Fault  string     `json:"fault,omitempty"`  // what is wrong with it
}

// Reading is one quantity that a sensor has measured.
type Reading struct {
	Quantity string  `json:"quantity"`
	Value    float64 `json:"value"`
	Unit     string  `json:"unit"`
}

// PinList is the answer of `greengate gpio list --json`.
type PinList struct {
	Board  string `json:"board"`
	Header string `json:"header"` // a drawing of the header of a Raspberry Pi, in lines
	GPIO   []Pin  `json:"gpio"`
}

// Pins lists the pins in the order of the group file.
func (c *Client) Pins(ctx context.Context) (list PinList, err error) {
	err = c.call(ctx, http.MethodGet, "/v1/gpio", nil, nil, &list)
	return list, err
}

// SetPin sets an output: on, off, toggle, the percentage of a PWM or the angle of a
// servo. It returns the pin as it is then.
func (c *Client) SetPin(ctx context.Context, name, level string) (Pin, error) {
	return c.onPin(ctx, "set", url.Values{"name": {name}, "level": {level}})
}

// PressPin presses a simulated input so many times, holding it down for that long
// and letting go of it for as long. It returns when the last press has taken effect:
// a button has published it, a counter has counted it.
func (c *Client) PressPin(ctx context.Context, name string, times int, hold time.Duration) (Pin, error) {
	return c.onPin(ctx, "press", url.Values{"name": {name}, "times": {strconv.Itoa(times)}, "hold": {hold.String()}})
}

// IdentifyPin blinks an output for two seconds, and returns when that is done.
func (c *Client) IdentifyPin(ctx context.Context, name string) (Pin, error) {
	return c.onPin(ctx, "identify", url.Values{"name": {name}})
}

func (c *Client) onPin(ctx context.Context, what string, q url.Values) (p Pin, err error) {
	err = c.call(ctx, http.MethodPost, "/v1/gpio/"+what, q, nil, &p)
	return p, err
}
