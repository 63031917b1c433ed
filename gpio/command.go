package gpio

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// command is what a message tells an output to do.
type command uint8

const (
	turnOff command = iota
	turnOn
	toggle
)

// maxCommand is the longest payload in bytes that may be a command.
const maxCommand = 256

// Why a command is refused: stable words to count by.
const (
	BadPayload = "bad-payload" // the payload is no command
	NoOutput   = "no-output"   // there is no output of that name
	PinFault   = "pin-fault"   // the pin does not work; see Faults
	PinStopped = "pin-stopped" // the gateway is about to end, or not yet open
	// By the contract of the pin; State.Violations counts them.
	MinOff      = "min-off"   // it has not been off for long enough
	Interlocked = "interlock" // another of its interlock is on
)

// Refusal is the error of a command that changed nothing.
type Refusal struct {
	Reason string // one of the words above
	Detail string // for a person
}

func (r *Refusal) Error() string { return r.Detail }

// refused returns err if it is a refusal, else nil.
func refused(err error) *Refusal {
	r, _ := err.(*Refusal)
	return r
}

func refuse(reason, format string, args ...any) *Refusal {
	return &Refusal{Reason: reason, Detail: fmt.Sprintf(format, args...)}
}

// Deliver carries out the payload of a message for the output of that name. It
// is done when Deliver returns. Its error is a *Refusal.
//
// A payload is one word, in either case, with or without quotes or space around
// it: on, true, 1; off, false, 0; toggle. A PWM takes a number from 0 to 100, the
// percentage, and on, off and toggle; there 1 is one percent. A servo takes an
// angle in degrees, or off. Or the payload is a JSON object of one key, `state`
// or `level`, with such a word, number or boolean.
func (b *Bank) Deliver(name string, payload []byte) error {
	word, err := wordOf(payload)
	if err != nil {
		return refuse(BadPayload, "%v", err)
	}
	a, err := b.output(name)
	if err != nil {
		return err
	}
	return a.command(word)
}

// Set turns the output of that name on or off. Its error is a *Refusal.
func (b *Bank) Set(name string, on bool) error {
	a, err := b.output(name)
	if err != nil {
		return err
	}
	return a.command([]byte(word(on, "on", "off")))
}

// output finds an output by its name; else the error is a *Refusal.
func (b *Bank) output(name string) (*actuator, error) {
	switch p := b.byName[name].(type) {
	case *actuator:
		return p, nil
	case nil:
		return nil, refuse(NoOutput, "there is no pin %q", clip(name))
	case *sensor:
		return nil, refuse(NoOutput, "%q is a sensor", name)
	default:
		return nil, refuse(NoOutput, "%q is an input", name)
	}
}

// wordOf returns the word of a payload, without quotes.
func wordOf(payload []byte) ([]byte, error) {
	if len(payload) > maxCommand {
		return nil, fmt.Errorf("%d bytes are no command (write on, off or toggle)", len(payload))
	}
	text := bytes.TrimSpace(payload)
	if len(text) > 0 && text[0] == '{' {
		value, err := onlyValue(text)
		if err != nil {
			return nil, fmt.Errorf("%q is no command: %w (write {\"state\": \"on\"})", clip(string(text)), err)
		}
		text = value
	}
	return unquote(text), nil
}

// onlyValue returns the value of a JSON object whose one key is `state` or
// `level`. A key more is an error: what it asks for would not be done.
func onlyValue(object []byte) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(object))
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	key, err := d.Token()
	if err != nil {
		return nil, err
	}
	if key != "state" && key != "level" {
		return nil, errors.New("its key is not state or level")
	}
	var value json.RawMessage
	if err := d.Decode(&value); err != nil {
		return nil, err
	}
	if d.More() {
		return nil, errors.New("it has more than one key")
	}
	if end, err := d.Token(); err != nil || end != json.Delim('}') || d.InputOffset() != int64(len(object)) {
		return nil, errors.New("it does not end where it should")
	}
	return value, nil
}

// commandOf reads a word, in either case.
func commandOf(word []byte) (command, bool) {
	if len(word) > len("toggle") {
		return 0, false
	}
	var lower [len("toggle")]byte
	for i, c := range word {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		lower[i] = c
	}
	switch string(lower[:len(word)]) {
	case "on", "true", "1":
		return turnOn, true
	case "off", "false", "0":
		return turnOff, true
	case "toggle":
		return toggle, true
	}
	return 0, false
}

// unquote takes the quotes off a JSON string of plain letters.
func unquote(text []byte) []byte {
	if n := len(text); n >= 2 && text[0] == '"' && text[n-1] == '"' {
		return text[1 : n-1]
	}
	return text
}

// clip shortens what somebody has sent for an error text.
func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "..."
	}
	return s
}
