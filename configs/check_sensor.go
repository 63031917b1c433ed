package configs

import (
	"fmt"
	"slices"
	"strings"

	"greengate/gpio"
)

// sensor checks a device on a bus. What a device can do, its own room knows.
func (k *pinChecker) sensor(p path, s *gpio.Sensor) {
	k.name(p, s.Name, k.names)
	k.destination(p, s.Topic, s.Thing, s.Key)
	if kind := strings.ToLower(s.Kind); kind == "dht11" || kind == "dht22" {
		k.check(p.to("kind"), fmt.Sprintf("the pulses of a %q are too fast for a program", s.Kind), "take an am2320, which is a DHT22 for I2C, or an aht20 or bme280")
		return
	}
	if !k.needIn(p.to("kind"), s.Kind, "write "+orList(gpio.Kinds)) || !k.oneOf(p.to("kind"), s.Kind, gpio.Kinds...) {
		return
	}
	for _, line := range s.Lines() {
		if user := k.pins[line]; user != "" && k.c.GPIO.Driver != "sim" {
			k.warn(p, fmt.Sprintf("on a Raspberry Pi its bus has the pin %s, which is used by %s", line, user), "give that another pin")
		}
	}
	faults := s.Check()
	if len(faults) == 0 {
		k.place(p, s)
	}
	for _, f := range faults {
		if !slices.Contains([]any{"topic", "thing", "key"}, f.Path[0]) {
			k.check(append(slices.Clone(p), f.Path...), f.Problem, f.Hint)
		}
	}
}

// place finds two kinds at one address, and two 1-wire sensors that both leave it to
// the gateway to find the one of their kind.
func (k *pinChecker) place(p path, s *gpio.Sensor) {
	place, found := s.Place()
	if found {
		if first, ok := k.places[place+" "+s.Kind]; ok {
			k.warn(p, fmt.Sprintf("without an address it is the only %s on %s, as is %s: with two on the wire neither is read", s.Kind, place, first.entry), "write the address of each, as `ls /sys/bus/w1/devices` shows it")
			return
		}
		k.places[place+" "+s.Kind] = placed{p.String(), s.Kind}
		return
	}
	if first, ok := k.places[place]; ok && first.kind != s.Kind {
		k.check(p.to("kind"), fmt.Sprintf("at %s is the %s of %s already", place, first.kind, first.entry), "one address is one chip: write another `address:`")
		return
	}
	k.places[place] = placed{p.String(), s.Kind}
}

// placed is the sensor of the file at some place.
type placed struct{ entry, kind string }
