package gpio

import (
	"encoding/json"
	"strconv"
	"time"
)

// button is an input that publishes when it is pressed and released, and when it
// is pressed for long or twice.
type button struct {
	*contact
	silent
	long, double time.Duration // as in Button

	// Of the goroutine that reads it.
	press   change    // the one that lasts; zero: none, or it began before the start
	wasLong bool      // it was told to be a long one
	first   time.Time // of a press that the next one may make a double one; zero: none
}

func newButton(b *Bank, c Button, path string) *button {
	k := &button{long: c.Long, double: c.Double}
	k.contact = newContact(b, &contact{
		name: c.Name, kind: "button", path: path, pin: c.Pin, pull: c.Pull,
		topic: c.Topic, thing: c.Thing, key: c.Key, listener: k,
	}, c.Debounce)
	return k
}

// isPressed tells what a level means: a button pulls the line away from where
// its resistor pulls it. Without one, high is pressed.
func (k *button) isPressed(high bool) bool { return high != (k.pull == "up") }

// begin reports the state. That a button is held down at start is no press.
func (k *button) begin(level bool) { k.shadow.owe(boolean(k.isPressed(level))) }

func (k *button) change(c change) {
	pressed := k.isPressed(c.level)
	k.shadow.owe(boolean(pressed))
	if !pressed {
		var held time.Duration
		if !k.press.at.IsZero() {
			held = c.at.Sub(k.press.at)
			k.tellLong(c.at)
		}
		k.tell("release", false, held, c.at, c.looked)
		k.press = change{}
		return
	}
	k.tell("press", true, 0, c.at, c.looked)
	k.press, k.wasLong = c, false
	if k.double == 0 {
		return
	}
	if !k.first.IsZero() && c.at.Sub(k.first) <= k.double {
		k.tell("double", true, 0, c.at, c.looked)
		k.first = time.Time{} // a third press begins anew
		return
	}
	k.first = c.at
}

// due is when the press becomes a long one.
func (k *button) due() time.Time {
	if k.long == 0 || k.press.at.IsZero() || k.wasLong {
		return time.Time{}
	}
	return k.press.at.Add(k.long)
}

func (k *button) rest(until time.Time) {
	if !k.press.at.IsZero() {
		k.tellLong(k.steady.certain(until))
	}
}

// tellLong tells a long press if the button was held down until then for so long.
func (k *button) tellLong(until time.Time) {
	if k.long == 0 || k.wasLong || until.Sub(k.press.at) < k.long {
		return
	}
	k.wasLong = true
	k.tell("long", true, k.long, k.press.at.Add(k.long), k.press.looked)
}

func (k *button) tell(what string, pressed bool, held time.Duration, at time.Time, looked bool) {
	k.publish(buttonEvent{k.name, pressed, what, held.Round(time.Microsecond).Seconds(), k.stamp(at, looked)})
}

func (k *button) state(mode string) State {
	s := k.common(mode)
	s.Level = word(k.isPressed(k.now()), "pressed", "released")
	return s
}

func boolean(b bool) json.RawMessage { return strconv.AppendBool(nil, b) }
