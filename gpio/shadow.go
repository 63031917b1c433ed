package gpio

import (
	"bytes"
	"context"
	"encoding/json"
	"reflect"
	"strconv"
	"sync"
)

// binding is one top-level key of a thing's classic shadow with the LEDs that
// it drives: `property: R` of a traffic light has three.
type binding struct {
	thing, key string
	leds       []*led

	mu    sync.Mutex
	value json.RawMessage // the desired value that drives them; nil: none so far
	owed  bool            // the value is to be reported once all of them have it
}

// bind adds l to the binding of its thing and key.
func (b *Bank) bind(l *led) {
	for _, x := range b.bindings[l.Thing] {
		if x.key == l.Key {
			x.leds = append(x.leds, l)
			return
		}
	}
	b.bindings[l.Thing] = append(b.bindings[l.Thing], &binding{thing: l.Thing, key: l.Key, leds: []*led{l}})
}

// Bound tells whether a shadow of that thing drives a pin: only then need
// Desired be called for it.
func (b *Bank) Bound(thing string) bool { return len(b.bindings[thing]) > 0 }

// Desired tells the `desired` and the `reported` section of a thing's classic
// shadow, as JSON objects; nil is an empty one. The pins follow before it
// returns; it waits for nothing else, and may be called from where shadows are
// committed. Calls for one thing come one after another.
//
// A key drives its LEDs when its value changes, and is then reported once, by
// Run, when all of them have taken their level and it is not reported already.
// So what a message does to such an LED lasts until the next change, and nobody
// who reports something else is contradicted. A key that is not desired leaves
// its LEDs as they are. Of the LEDs of a key those that go out do so first.
func (b *Bank) Desired(thing string, desired, reported json.RawMessage) {
	if !b.Bound(thing) {
		return
	}
	want, have := keysOf(desired), keysOf(reported)
	for _, x := range b.bindings[thing] {
		if x.desire(want[x.key], have[x.key]) {
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
// one is to be reported.
func (x *binding) desire(value, reported json.RawMessage) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case value == nil || string(value) == "null":
		x.value, x.owed = nil, false
		return false
	case x.value != nil && sameJSON(value, x.value):
		if sameJSON(reported, value) {
			x.owed = false // somebody else, say a second light, has reported it
		}
		return false
	}
	x.value = bytes.Clone(value)
	x.owed = !sameJSON(reported, value)
	for _, on := range []bool{false, true} {
		for _, l := range x.leds {
			if lit(l.On, value) == on {
				l.follow(on)
			}
		}
	}
	return x.owed
}

// report reports what is owed until ctx is cancelled.
func (b *Bank) report(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-b.owed:
		}
		for _, list := range b.bindings {
			for _, x := range list {
				if value := x.take(); value != nil {
					b.o.Report(x.thing, x.key, value)
				}
			}
		}
	}
}

// take returns the value to report, nil when there is none.
func (x *binding) take() json.RawMessage {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.owed {
		return nil
	}
	for _, l := range x.leds {
		if !l.works() {
			return nil // reported is what the pins show
		}
	}
	x.owed = false
	return x.value
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
