package client

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Pin is one GPIO line.
type Pin struct {
	Name   string `json:"name"`
	Kind   string `json:"kind"`             // led or button
	Pin    string `json:"pin"`              // as the group file names it
	Header string `json:"header,omitempty"` // its place on the header of a Pi: P1_11
	Level  string `json:"level"`            // on, off, pressed, released, or unknown
	Mode   string `json:"mode"`             // sim, or the driver
	Safe   string `json:"safe,omitempty"`   // of an LED: on or off
	Thing  string `json:"thing,omitempty"`  // whose shadow drives the LED
	Key    string `json:"key,omitempty"`    // of that shadow
	Topic  string `json:"topic,omitempty"`  // where the button publishes
	Fault  string `json:"fault,omitempty"`  // what is wrong with it
}

// PinList is the answer of `greengate gpio list --json`.
type PinList struct {
	GPIO []Pin `json:"gpio"`
}

// Pins lists the pins in the order of the group file, LEDs first.
func (c *Client) Pins(ctx context.Context) (list PinList, err error) {
	err = c.call(ctx, http.MethodGet, "/v1/gpio", nil, nil, &list)
	return list, err
}

// SetPin turns an LED on or off. It returns the pin as it is then.
func (c *Client) SetPin(ctx context.Context, name string, on bool) (Pin, error) {
	level := "off"
	if on {
		level = "on"
	}
	return c.onPin(ctx, "set", url.Values{"name": {name}, "level": {level}})
}

// PressPin presses a simulated button and holds it down for that long. It returns
// when the button has published that it was pressed and released.
func (c *Client) PressPin(ctx context.Context, name string, hold time.Duration) (Pin, error) {
	return c.onPin(ctx, "press", url.Values{"name": {name}, "hold": {hold.String()}})
}

// IdentifyPin blinks an LED for two seconds, and returns when that is done.
func (c *Client) IdentifyPin(ctx context.Context, name string) (Pin, error) {
	return c.onPin(ctx, "identify", url.Values{"name": {name}})
}

func (c *Client) onPin(ctx context.Context, what string, q url.Values) (p Pin, err error) {
	err = c.call(ctx, http.MethodPost, "/v1/gpio/"+what, q, nil, &p)
	return p, err
}
