package gpio

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strconv"
	"sync"
	"sync/atomic"
)

// binding is one top-level key of a thing's classic shadow with the outputs that
// it drives: `property: R` of a traffic light has three.
type binding struct {
	*reporter
	pins []*actuator
	// moved is set when a contract has moved a pin away from what is desired, or
	// back.
	moved atomic.Bool

	mu       sync.Mutex
	value    json.RawMessage // the desired value that drives them; nil: none so far
	reported json.RawMessage // the value that is reported, or on its way there; nil: none
	before   json.RawMessage // what was reported before the one that is on its way
	owed     bool            // what the pins show is to be reported once all of them work
}

// bind adds a to the binding of its thing and key.
func (b *Bank) bind(a *actuator) {
	for _, x := range b.bindings[a.thing] {
		if x.key == a.key {
			x.pins, a.binding = append(x.pins, a), x
			return
		}
	}
	a.binding = &binding{reporter: &reporter{bank: b, thing: a.thing, key: a.key}, pins: []*actuator{a}}
	b.bindings[a.thing] = append(b.bindings[a.thing], a.binding)
	b.debtors = append(b.debtors, a.binding)
}

// Bound tells whether a shadow of that thing drives a pin: only then need
// Desired be called for it.
func (b *Bank) Bound(thing string) bool { return len(b.bindings[thing]) > 0 }

// Desired tells the `desired` and the `reported` section of a thing's classic
// shadow, as JSON objects; nil is an empty one. The pins follow before it
// returns; it waits for nothing else, and may be called from where shadows are
// committed. Calls for one thing come one after another.
//
// A key drives its outputs when its value changes, and is then reported once, by
// Run, when all of them have taken their level and it is not reported already.
// So what a message does to such an output lasts until the next change, and nobody
// who reports something else is contradicted. A key that is not desired leaves
// its outputs as they are. Of the outputs of a key those that go off do so first.
//
// Where a contract holds an output back or moves it, what the pins really show is
// reported instead, null when that is no value of the key. An output that is held
// back takes the desired level as soon as its contract allows it.
func (b *Bank) Desired(thing string, desired, reported json.RawMessage) {
	if !b.Bound(thing) {
		return
	}
	want, have := keysOf(desired), keysOf(reported)
	for _, x := range b.bindings[thing] {
		if x.desire(want[x.key], have[x.key]) {
			x.hurry()
			wake(b.owed)
		}
	}
}

// keysOf splits a JSON object; anything else has no keys.
func keysOf(object json.RawMessage) map[string]json.RawMessage {
	var keys map[string]json.RawMessage
	if json.Unmarshal(object, &keys) != nil {
		return nil
	}
	return keys
}

// desire takes the values of the key, nil where there is none, and tells whether
// something is to be reported.
func (x *binding) desire(value, reported json.RawMessage) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.reported = nil
	if !isNull(reported) {
		x.reported = bytes.Clone(reported)
	}
	x.before = x.reported
	switch {
	case isNull(value):
		x.value, x.owed = nil, false
		return false
	case x.value != nil && sameJSON(value, x.value):
		if sameJSON(reported, value) {
			x.owed = false // somebody else, say a second light, has reported it
		}
		return false
	}
	x.value = bytes.Clone(value)
	for _, on := range []bool{false, true} {
		for _, a := range x.pins {
			l, ok := a.scale.desired(x.value)
			switch {
			case ok && l.on == on:
				a.follow(l)
			case !ok && on:
				a.misread(x.value)
			}
		}
	}
	there, _ := x.look()
	x.owed = !there || !sameJSON(reported, value)
	return x.owed
}

func isNull(value json.RawMessage) bool { return value == nil || string(value) == "null" }

// look tells whether all pins are to be at the level that is desired, and whether
// all of them work; x is locked.
func (x *binding) look() (there, work bool) {
	there, work = true, true
	for _, a := range x.pins {
		l, ok := a.scale.desired(x.value)
		at, works := a.at(l)
		there, work = there && ok && at, work && works
	}
	return there, work
}

// take returns the value to report, nil when there is none.
func (x *binding) take() json.RawMessage {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.moved.Swap(false) && x.value != nil {
		x.owed = true
	}
	if !x.owed {
		return nil
	}
	there, work := x.look()
	if !work {
		return nil // reported is what the pins show
	}
	x.owed = false
	shown := x.value
	if !there {
		shown = x.shown()
	}
	if sameJSON(shown, x.reported) {
		return nil
	}
	x.before, x.reported = x.reported, shown
	if shown == nil {
		return json.RawMessage("null")
	}
	return shown
}

// back has what the pins show reported later, if the key is still desired.
func (x *binding) back(json.RawMessage) (newer bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	newer = x.owed || x.moved.Load()
	x.reported, x.owed = x.before, x.value != nil
	return newer
}

// shown returns the value of the key that the pins show, nil when there is none:
// a traffic light that is dark, or has two lamps on.
func (x *binding) shown() (value json.RawMessage) {
	for _, a := range x.pins {
		one := a.scale.report(a.now())
		switch {
		case one == nil:
		case value == nil:
			value = one
		case !sameJSON(value, one):
			return nil
		}
	}
	return value
}

// lit tells whether an LED with that `on` is lit by a value of its key: when the
// value is a string, number or boolean that reads like it. The default `true`
// is anything that turns an output on: true, "on", 1.
func lit(on string, value json.RawMessage) bool {
	text := string(value)
	switch text[0] {
	case '{', '[', 'n':
		return false
	case '"':
		if json.Unmarshal(value, &text) != nil {
			return false
		}
	}
	if on == "true" {
		c, ok := commandOf([]byte(text))
		return ok && c == turnOn
	}
	if text == on {
		return true
	}
	if value[0] == '"' {
		return false
	}
	a, errA := strconv.ParseFloat(text, 64)
	b, errB := strconv.ParseFloat(on, 64)
	return errA == nil && errB == nil && a == b
}

// sameJSON tells whether two values mean the same; nil is the same as nil only.
func sameJSON(a, b json.RawMessage) bool {
	if a == nil || b == nil || bytes.Equal(a, b) {
		return bytes.Equal(a, b)
	}
	x, errX := decode(a)
	y, errY := decode(b)
	return errX == nil && errY == nil && reflect.DeepEqual(x, y)
}

func decode(value json.RawMessage) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(value))
	d.UseNumber() // a float would make two long numbers the same
	return v, d.Decode(&v)
}
