package configs

import (
	"fmt"
	"slices"

	"greengate/gpio"
)

// sensor checks a device on a bus. What a device can do, its own room knows.
func (k *pinChecker) sensor(p path, s *gpio.Sensor) {
	k.name(p, s.Name, k.names)
	k.destination(p, s.Topic, s.Thing, s.Key)
	if !k.needIn(p.to("kind"), s.Kind, "write "+orList(gpio.Kinds)) || !k.oneOf(p.to("kind"), s.Kind, gpio.Kinds...) {
		return
	}
	for _, line := range s.Lines() {
		if user := k.pins[line]; user != "" && k.c.GPIO.Driver != "sim" {
			k.warn(p, fmt.Sprintf("on a Raspberry Pi its bus has the pin %s, which is used by %s", line, user), "give that another pin")
		}
	}
	for _, f := range s.Check() {
		if !slices.Contains([]any{"topic", "thing", "key"}, f.Path[0]) {
			k.check(append(slices.Clone(p), f.Path...), f.Problem, f.Hint)
		}
	}
}
