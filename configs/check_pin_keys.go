package configs

import (
	"fmt"
	"slices"
)

// use is what a pin does with the key of a shadow to which it is bound, as hints say it.
type use string

const (
	drives  use = "that drives it" // an output, which also reports that it has followed
	reports use = "that it reports"
)

// boundKey is a key of a thing's classic shadow.
type boundKey struct{ thing, key string }

// bound checks the key of a shadow. Outputs come before what only reports.
func (k *pinChecker) bound(p path, thing, key string, u use) {
	switch {
	case thing == "" && key != "":
		k.check(p.to("thing"), "is missing beside key", "name the thing whose shadow has the key")
	case thing != "" && key == "":
		k.check(p.to("key"), "is missing beside thing", "name the key of the shadow "+string(u))
	}
	if thing != "" {
		k.device(p.to("thing"), thing)
	}
	if thing != "" && key != "" {
		k.reporters(p, boundKey{thing, key}, u)
	}
}

// device checks that a thing is one of this site, and has a shadow.
func (k *pinChecker) device(p path, thing string) {
	if k.things[thing] || thing == k.c.Core {
		if slices.ContainsFunc(k.c.Devices, func(d Device) bool { return d.Thing == thing && d.Shadow == "none" }) {
			k.warn(p, fmt.Sprintf("%q has no shadow", thing), "the device has shadow: none")
		}
		return
	}
	known := []string{k.c.Core}
	for _, d := range k.c.Devices {
		known = append(known, d.Thing)
	}
	k.check(p, fmt.Sprintf("there is no device %q", clip(thing)), DidYouMean(thing, known, "add it to devices"))
}

// reporters warns of a second entry that reports to a key. Outputs share one as the lamps
// of a traffic light do: together they are its value.
func (k *pinChecker) reporters(p path, key boundKey, u use) {
	first, shared := k.keys[key]
	switch {
	case !shared:
		k.keys[key] = p.String()
	case u == reports:
		k.warn(p.to("key"), fmt.Sprintf("%s reports to %q of %q, too: each overwrites what the other says", first, clip(key.key), clip(key.thing)), "write another key")
	}
}
