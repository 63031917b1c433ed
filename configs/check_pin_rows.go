package configs

import (
	"fmt"
	"slices"
	"strings"

	"greengate/gpio"
)

// pinRows warns of rows that lead from a pin which never says anything, or to one which
// takes nothing: they are no fault, since a pin may change its kind, but do nothing.
func (k *pinChecker) pinRows() {
	says, takes := pinKinds(k.c.GPIO)
	look := func(p path, ends []string, silent map[string]string, what, hint string) {
		for i, end := range ends {
			name, isPin := strings.CutPrefix(end, "gpio:")
			kind := silent[name]
			if !isPin || kind == "" {
				continue
			}
			at := append(slices.Clone(p), i)
			if !k.has(at...) { // one end stands there without a list
				at = p
			}
			k.warn(at, fmt.Sprintf("%q is %s, which %s", name, kind, what), hint)
		}
	}
	for i, row := range k.c.Subscriptions {
		p := path{"subscriptions", i}
		look(p.to("from"), row.From, takes, "publishes nothing", "name a button, an input, a counter or a sensor with a `topic:`")
		look(p.to("to"), row.To, says, "takes no message", "name a LED, an output, a PWM or a servo")
	}
}

// pinKinds returns what kind each pin is that publishes or reports, and each that takes
// messages.
func pinKinds(c *gpio.Config) (says, takes map[string]string) {
	says, takes = map[string]string{}, map[string]string{}
	for _, p := range c.LEDs {
		takes[p.Name] = "a LED"
	}
	for _, p := range c.Outputs {
		takes[p.Name] = "an output"
	}
	for _, p := range c.PWM {
		takes[p.Name] = "a PWM"
	}
	for _, p := range c.Servos {
		takes[p.Name] = "a servo"
	}
	for _, p := range c.Buttons {
		says[p.Name] = "a button"
	}
	for _, p := range c.Inputs {
		says[p.Name] = "an input"
	}
	for _, p := range c.Counters {
		says[p.Name] = "a counter"
	}
	for _, p := range c.Sensors {
		says[p.Name] = "a sensor"
	}
	return says, takes
}
