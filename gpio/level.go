package gpio

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// level is what an output is at: off, or on with an amount, which is 0 for one
// that knows on and off only, percent of a PWM and degrees of a servo. The zero
// value is off. Two levels are the same when they are ==.
type level struct {
	on     bool
	amount float64
}

// scale is how an output of a kind reads and writes its levels.
type scale interface {
	// command returns what a word of a message asks of an output that is at now.
	command(word []byte, now level) (level, error)
	// desired returns what a value of a shadow's key asks for, and whether it asks
	// for anything that there is.
	desired(value json.RawMessage) (level, bool)
	// tell writes a level and its unit, for `gpio list`.
	tell(level) (value, unit string)
	// report writes a level as the reported value of the key.
	report(level) json.RawMessage
}

var (
	_ scale = onOff{}
	_ scale = percent{}
	_ scale = degrees{}
)

// onOff is on or off; its value of the key is on at that text.
type onOff struct{ at string }

func (s onOff) command(word []byte, now level) (level, error) {
	c, ok := commandOf(word)
	if !ok {
		return level{}, fmt.Errorf("%q is no command (write on, off or toggle)", clip(string(word)))
	}
	return level{on: c == turnOn || c == toggle && !now.on}, nil
}

func (s onOff) desired(value json.RawMessage) (level, bool) {
	return level{on: lit(s.at, value)}, true
}

func (s onOff) tell(l level) (string, string) { return word(l.on, "on", "off"), "" }

// report knows a word for on only; it is off at every other.
func (s onOff) report(l level) json.RawMessage {
	switch {
	case s.at == "true":
		return json.RawMessage(strconv.FormatBool(l.on))
	case !l.on:
		return nil
	case json.Valid([]byte(s.at)) && s.at != "null" && s.at[0] != '{' && s.at[0] != '[':
		return json.RawMessage(s.at) // a number stays one
	}
	text, err := json.Marshal(s.at)
	if err != nil {
		panic(err) // a string
	}
	return text
}

// percent is 0 to 100; 0 is off.
type percent struct{}

func (percent) command(word []byte, now level) (level, error) {
	if len(word) > 1 && word[len(word)-1] == '%' {
		word = word[:len(word)-1]
	}
	if l, ok := number(word, 100); ok {
		return l, nil
	}
	if c, ok := commandOf(word); ok && (c == turnOff || c == toggle && now.on) {
		return level{}, nil
	} else if ok {
		return level{on: true, amount: 100}, nil
	}
	return level{}, fmt.Errorf("%q is no command (write 0 to 100 percent, on, off or toggle)", clip(string(word)))
}

func (percent) desired(value json.RawMessage) (level, bool) {
	if l, ok := number(value, 100); ok {
		return l, true
	}
	switch string(value) {
	case "true", `"on"`:
		return level{on: true, amount: 100}, true
	case "false", `"off"`:
		return level{}, true
	}
	return level{}, false
}

func (percent) tell(l level) (string, string) { return decimal(l.amount), "%" }

func (percent) report(l level) json.RawMessage { return json.RawMessage(decimal(l.amount)) }

// degrees is an angle from 0 to its most, or off.
type degrees struct{ most float64 }

func (s degrees) command(word []byte, _ level) (level, error) {
	if l, ok := s.angle(word); ok {
		return l, nil
	}
	return level{}, fmt.Errorf("%q is no command (write 0 to %s degrees, or off)", clip(string(word)), decimal(s.most))
}

func (s degrees) desired(value json.RawMessage) (level, bool) { return s.angle(unquote(value)) }

func (s degrees) angle(word []byte) (level, bool) {
	if string(word) == "off" {
		return level{}, true
	}
	l, ok := number(word, s.most)
	l.on = true // at 0 degrees, too
	return l, ok
}

func (degrees) tell(l level) (string, string) {
	if !l.on {
		return "off", ""
	}
	return decimal(l.amount), "degrees"
}

func (degrees) report(l level) json.RawMessage {
	if !l.on {
		return json.RawMessage(`"off"`)
	}
	return json.RawMessage(decimal(l.amount))
}

// number reads an amount from 0 to most, in the notation of JSON.
func number(word []byte, most float64) (level, bool) {
	var f float64
	if len(word) == 0 || len(word) > 32 || json.Unmarshal(word, &f) != nil || string(word) == "null" || f < 0 || f > most {
		return level{}, false
	}
	f += 0 // a zero has no sign
	return level{on: f > 0, amount: f}, true
}

// decimal writes a number in as few digits as say it.
func decimal(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
