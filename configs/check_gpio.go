package configs

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"greengate/gpio"
)

// pinChecker judges the `gpio` section. Names are unique over all lists, and so
// are the pins.
type pinChecker struct {
	*checker
	names, pins map[string]string   // which entry has them
	outputs     map[string]path     // the entries that an interlock may name
	places      map[string]placed   // where sensors are
	keys        map[boundKey]string // the first entry that is bound to a key of a shadow
}

func (k *checker) gpio() {
	g := k.c.GPIO
	k.oneOf(path{"gpio", "driver"}, g.Driver, "auto", "sim")
	p := pinChecker{k, map[string]string{}, map[string]string{}, map[string]path{}, map[string]placed{}, map[boundKey]string{}}
	for i := range g.LEDs {
		p.output(path{"gpio", "leds", i}, &g.LEDs[i])
	}
	for i := range g.Outputs {
		p.output(path{"gpio", "outputs", i}, &g.Outputs[i])
	}
	for i := range g.PWM {
		p.pwm(path{"gpio", "pwm", i}, &g.PWM[i])
	}
	for i := range g.Servos {
		p.servo(path{"gpio", "servo", i}, &g.Servos[i])
	}
	p.interlocks()
	for i := range g.Buttons {
		p.button(path{"gpio", "buttons", i}, &g.Buttons[i])
	}
	for i := range g.Inputs {
		p.input(path{"gpio", "inputs", i}, &g.Inputs[i])
	}
	for i := range g.Counters {
		p.counter(path{"gpio", "counters", i}, &g.Counters[i])
	}
	for i := range g.Sensors {
		p.sensor(path{"gpio", "sensors", i}, &g.Sensors[i])
	}
	p.pinRows()
}

func (k *pinChecker) output(p path, o *gpio.Output) {
	k.name(p, o.Name, k.names)
	k.pin(p, o.Pin)
	k.outputs[o.Name] = p
	k.bound(p, o.Thing, o.Key, drives)
	k.oneOf(p.to("safe"), o.Safe, "on", "off")
	k.contract(p, o.Safe == "on", o.Hold, o.MaxOn, o.MinOff)
}

func (k *pinChecker) pwm(p path, o *gpio.PWM) {
	k.name(p, o.Name, k.names)
	k.pin(p, o.Pin)
	k.outputs[o.Name] = p
	k.bound(p, o.Thing, o.Key, drives)
	k.oneOf(p.to("mode"), o.Mode, "auto", "kernel", "software")
	k.between(p.to("frequency"), float64(o.Frequency), 1, 10_000_000, "Hz")
	if o.Mode == "software" && o.Frequency > gpio.MaxSoftware {
		k.check(p.to("frequency"), fmt.Sprintf("PWM in software reaches %d Hz", gpio.MaxSoftware), "write less, or `mode: auto` on a pin with the kernel's PWM")
	}
	k.between(p.to("safe"), o.Safe, 0, 100, "percent")
	k.contract(p, o.Safe > 0, o.Hold, o.MaxOn, o.MinOff)
}

func (k *pinChecker) servo(p path, s *gpio.Servo) {
	k.name(p, s.Name, k.names)
	k.pin(p, s.Pin)
	k.bound(p, s.Thing, s.Key, drives)
	k.oneOf(p.to("mode"), s.Mode, "auto", "kernel", "software")
	k.within(p.to("min_pulse"), s.MinPulse, 100*time.Microsecond, 10*time.Millisecond)
	k.within(p.to("max_pulse"), s.MaxPulse, 100*time.Microsecond, 10*time.Millisecond)
	if s.MaxPulse <= s.MinPulse {
		k.check(p.to("max_pulse"), fmt.Sprintf("%s is not more than min_pulse, %s", formatDuration(s.MaxPulse), formatDuration(s.MinPulse)), "a servo that turns the other way is mounted the other way")
	}
	k.between(p.to("range"), s.Range, 1, 3600, "degrees")
	if angle, err := strconv.ParseFloat(s.Safe, 64); s.Safe != "off" && (err != nil || !(angle >= 0 && angle <= s.Range)) {
		k.check(p.to("safe"), fmt.Sprintf("%q is no angle of this servo", clip(s.Safe)), fmt.Sprintf("write off, or 0 to %g degrees", s.Range))
	}
	k.within(p.to("hold"), s.Hold, 0, year)
}

// year bounds the times of contracts: what is longer was hardly meant.
const year = 366 * 24 * time.Hour

// contract checks the times of an output.
func (k *pinChecker) contract(p path, safeOn bool, hold, maxOn, minOff time.Duration) {
	k.within(p.to("hold"), hold, 0, year)
	k.within(p.to("max_on"), maxOn, 0, year)
	k.within(p.to("min_off"), minOff, 0, year)
	if safeOn && maxOn > 0 {
		k.check(p.to("max_on"), "is nothing for an output that is on when it is safe", "write `safe: off`, or take max_on out")
	}
}

// interlocks checks the names in the interlocks, when all outputs are known, and
// that no two of one are on together when they are safe.
func (k *pinChecker) interlocks() {
	g := k.c.GPIO
	known := make([]string, 0, len(k.outputs))
	safeOn := map[string]bool{}
	each := func(do func(p path, name string, partners []string, safeOn bool)) {
		for _, list := range []struct {
			name string
			all  []gpio.Output
		}{{"leds", g.LEDs}, {"outputs", g.Outputs}} {
			for i, o := range list.all {
				do(path{"gpio", list.name, i}, o.Name, o.Interlock, o.Safe == "on")
			}
		}
		for i, o := range g.PWM {
			do(path{"gpio", "pwm", i}, o.Name, o.Interlock, o.Safe > 0)
		}
	}
	each(func(_ path, name string, _ []string, on bool) {
		known, safeOn[name] = append(known, name), on
	})
	each(func(p path, name string, partners []string, on bool) {
		for i, other := range partners {
			at := append(p.to("interlock"), i)
			switch {
			case k.outputs[other] == nil:
				k.check(at, fmt.Sprintf("there is no output %q", clip(other)), DidYouMean(other, known, "name a LED, an output or a PWM of this file"))
			case slices.Index(partners, other) < i:
				k.check(at, fmt.Sprintf("the output %q is in the list already", other), "take one out")
			case other != name && on && safeOn[other]:
				k.check(at, fmt.Sprintf("%q and %q may not be on together, and both are when they are safe", name, other), "write `safe: off` for one of them")
			}
		}
	})
}

func (k *pinChecker) button(p path, b *gpio.Button) {
	k.name(p, b.Name, k.names)
	k.pin(p, b.Pin)
	k.contact(p, b.Pull, b.Debounce)
	k.destination(p, b.Topic, b.Thing, b.Key)
	k.within(p.to("long"), b.Long, 0, time.Minute)
	k.within(p.to("double"), b.Double, 0, 5*time.Second)
}

func (k *pinChecker) input(p path, in *gpio.Input) {
	k.name(p, in.Name, k.names)
	k.pin(p, in.Pin)
	k.contact(p, in.Pull, in.Debounce)
	k.oneOf(p.to("edges"), in.Edges, "both", "rising", "falling")
	k.destination(p, in.Topic, in.Thing, in.Key)
}

func (k *pinChecker) counter(p path, c *gpio.Counter) {
	k.name(p, c.Name, k.names)
	k.pin(p, c.Pin)
	k.contact(p, c.Pull, c.Debounce)
	k.oneOf(p.to("edges"), c.Edges, "both", "rising", "falling")
	k.within(p.to("every"), c.Every, 100*time.Millisecond, 24*time.Hour)
	k.destination(p, c.Topic, c.Thing, c.Key)
	if c.Scale == 0 {
		k.check(p.to("scale"), "makes every number 0", "write what one pulse stands for")
	}
}

// contact checks what all inputs have.
func (k *pinChecker) contact(p path, pull string, debounce time.Duration) {
	k.oneOf(p.to("pull"), pull, "up", "down", "none")
	k.within(p.to("debounce"), debounce, 0, time.Second)
}

// destination checks where what is read goes: to a topic, a key of a shadow, or
// both.
func (k *pinChecker) destination(p path, topic, thing, key string) {
	if topic != "" || thing == "" && key == "" {
		k.topic(p.to("topic"), topic)
	}
	k.bound(p, thing, key, reports)
}

// name checks the name of a pin, sensor or function and finds the second of it.
func (k *checker) name(entry path, name string, names map[string]string) {
	p := entry.to("name")
	if !k.needIn(p, name, "write `name: NAME`") || !k.thing(p, name) {
		return
	}
	if first := names[name]; first != "" {
		k.check(p, fmt.Sprintf("the name %q stands in %s already", name, first), "a name stands there once")
		return
	}
	names[name] = entry.String()
}

// pin checks the pin of an entry and finds its second user, under whichever of
// its names.
func (k *pinChecker) pin(entry path, pin string) {
	p := entry.to("pin")
	if !k.needIn(p, pin, "write `pin: GPIO17`") {
		return
	}
	line, err := gpio.Line(pin)
	if err != nil {
		k.check(p, err.Error(), "write the name of a line, as in GPIO17, of the header, as in P1_11, or a chip and an offset, as in gpiochip0/17")
		return
	}
	if first := k.pins[line]; first != "" {
		k.check(p, fmt.Sprintf("the pin %q is used by %s already", pin, first), "one pin has one user")
		return
	}
	k.pins[line] = entry.String()
	if k.c.GPIO.Driver == "sim" && gpio.Foreign(line) {
		k.warn(p, fmt.Sprintf("the simulated board takes %q for a line of another board", clip(pin)), "of its own it has GPIO0 to GPIO53")
	}
}

// between records a fault when a number is out of its range.
func (k *checker) between(p path, x, low, high float64, unit string) {
	if !(x >= low && x <= high) {
		k.check(p, fmt.Sprintf("%g %s is out of range", x, unit), fmt.Sprintf("write %g to %.0f", low, high))
	}
}
