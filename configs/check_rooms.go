package configs

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"greengate/core/message"
	"greengate/gpio"
	"greengate/sync/cloud"
)

// gpio checks the pins. Names are unique over all lists, and so are the pins.
func (k *checker) gpio() {
	g := k.c.GPIO
	k.oneOf(path{"gpio", "driver"}, g.Driver, "auto", "sim")
	names, pins := map[string]string{}, map[string]string{}
	for i, l := range g.LEDs {
		p := path{"gpio", "leds", i}
		k.name(p, l.Name, names)
		k.pin(p, l.Pin, pins)
		k.led(p, &l)
	}
	for i, b := range g.Buttons {
		p := path{"gpio", "buttons", i}
		k.name(p, b.Name, names)
		k.pin(p, b.Pin, pins)
		k.oneOf(p.to("pull"), b.Pull, "up", "down", "none")
		k.within(p.to("debounce"), b.Debounce, 0, time.Second)
		k.topic(p.to("topic"), b.Topic)
	}
	for i, s := range g.Sensors {
		p := path{"gpio", "sensors", i}
		k.name(p, s.Name, names)
		if k.needIn(p.to("kind"), s.Kind, "write "+orList(gpio.Kinds)) {
			k.oneOf(p.to("kind"), s.Kind, gpio.Kinds...)
		}
		k.sensorAddress(p.to("address"), &s)
		k.within(p.to("every"), s.Every, 100*time.Millisecond, 24*time.Hour)
		k.topic(p.to("topic"), s.Topic)
	}
}

// led checks what only LEDs have.
func (k *checker) led(p path, l *gpio.LED) {
	k.oneOf(p.to("safe"), l.Safe, "on", "off")
	switch {
	case l.Thing == "" && l.Key != "":
		k.check(p.to("thing"), "is missing beside key", "name the thing whose shadow has the key")
	case l.Thing != "" && l.Key == "":
		k.check(p.to("key"), "is missing beside thing", "name the key of the shadow that drives the LED")
	}
	if l.Thing != "" && !k.things[l.Thing] && l.Thing != k.c.Core {
		known := []string{k.c.Core}
		for _, d := range k.c.Devices {
			known = append(known, d.Thing)
		}
		k.check(p.to("thing"), fmt.Sprintf("there is no device %q", clip(l.Thing)), DidYouMean(l.Thing, known, "add it to devices"))
	}
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
func (k *checker) pin(entry path, pin string, users map[string]string) {
	p := entry.to("pin")
	if !k.needIn(p, pin, "write `pin: GPIO17`") {
		return
	}
	line, err := gpio.Line(pin)
	if err != nil {
		k.check(p, err.Error(), "write the name of a line, as in GPIO17, or of the header, as in P1_11")
		return
	}
	if first := users[line]; first != "" {
		k.check(p, fmt.Sprintf("the pin %q is used by %s already", pin, first), "one pin has one user")
		return
	}
	users[line] = entry.String()
}

// sensorAddress checks an I2C address of 7 bits without the reserved ones, or
// the id of a 1-wire device.
func (k *checker) sensorAddress(p path, s *gpio.Sensor) {
	if s.Address == "" {
		return
	}
	if s.Kind == "ds18b20" {
		family, id, found := strings.Cut(s.Address, "-")
		_, err := strconv.ParseUint(family+id, 16, 64)
		if !found || err != nil || len(family) != 2 || len(id) != 12 {
			k.check(p, fmt.Sprintf("%q is no 1-wire id", clip(s.Address)), "write it as in /sys/bus/w1/devices: 28-0316a2793cff")
		}
		return
	}
	if n, err := strconv.ParseUint(s.Address, 0, 16); err != nil || n < 0x08 || n > 0x77 {
		k.check(p, fmt.Sprintf("%q is no I2C address", clip(s.Address)), "write 0x08 to 0x77, as `i2cdetect` shows it")
	}
}

func (k *checker) functions() {
	names := map[string]string{}
	for i := range k.c.Functions {
		f := &k.c.Functions[i]
		p := path{"functions", i}
		k.name(p, f.Name, names)
		if len(f.Command) == 0 || f.Command[0] == "" {
			k.check(p.to("command"), "names no program", "write `command: [PROGRAM, ARGUMENT, ...]`")
		}
		k.within(p.to("timeout"), f.Timeout, time.Millisecond, 24*time.Hour)
		k.atLeast(p.to("memory"), f.Memory, 1<<20)
		for _, key := range sortedKeys(f.Environment) {
			if key == "" || strings.ContainsAny(key, "=\x00") || strings.Contains(f.Environment[key], "\x00") {
				k.check(append(p.to("environment"), key), "is no environment variable", "a name holds no = and no NUL")
			}
		}
	}
}

func (k *checker) cloud() {
	c := k.c.Cloud
	endpoint := path{"cloud", "endpoint"}
	if k.needIn(endpoint, c.Endpoint, "write the data endpoint: `aws iot describe-endpoint --endpoint-type iot:Data-ATS` prints it") {
		if !isHost(c.Endpoint) {
			k.check(endpoint, fmt.Sprintf("%q is no host name", clip(c.Endpoint)), "write the name alone, without https:// and port")
		}
	}
	if c.Port < 1 || c.Port > 65535 {
		k.check(path{"cloud", "port"}, fmt.Sprintf("%d is no port", c.Port), "write 8883 or 443")
	}
	for _, f := range []struct{ key, value string }{{"certificate", c.Certificate}, {"key", c.Key}, {"ca", c.CA}} {
		p := path{"cloud", f.key}
		if k.need(p, "name the PEM file") {
			k.filled(p, f.value, "name the PEM file")
		}
	}
	k.oneOf(path{"cloud", "mqtt"}, c.MQTT, "5", "3.1.1")
	if err := cloud.CheckProxy(c.Proxy); err != nil {
		k.check(path{"cloud", "proxy"}, err.Error(), "")
	}
	if c.KeepAlive < 30*time.Second || c.KeepAlive > 1200*time.Second {
		k.check(path{"cloud", "keep_alive"}, fmt.Sprintf("%v is out of range", c.KeepAlive), "write 30s to 1200s, as AWS takes it")
	}
	k.atLeast(path{"cloud", "spool", "max_size"}, c.Spool.MaxSize, 1<<20)
	k.oneOf(path{"cloud", "spool", "when_full"}, c.Spool.WhenFull, "drop_oldest", "drop_newest")
	if c.Rate.Messages < 1 {
		k.check(path{"cloud", "rate", "messages"}, fmt.Sprintf("%d messages a second is too few", c.Rate.Messages), "write at least 1")
	}
	k.atLeast(path{"cloud", "rate", "bytes"}, c.Rate.Bytes, 1<<10)
}

// topic checks a topic to publish to.
func (k *checker) topic(p path, topic string) {
	if !k.needIn(p, topic, "write `topic: TOPIC`") {
		return
	}
	if err := message.CheckTopic(topic); err != nil {
		k.check(p, err.Error(), "")
	}
}

func (k *checker) within(p path, t, low, high time.Duration) {
	if t < low || t > high {
		k.check(p, fmt.Sprintf("%s is out of range", formatDuration(t)), fmt.Sprintf("write %s to %s", formatDuration(low), formatDuration(high)))
	}
}

func (k *checker) atLeast(p path, size, low int64) {
	if size < low {
		k.check(p, formatSize(size)+" is too small", "write at least "+formatSize(low))
	}
}

// to returns the path of a key of p's value.
func (p path) to(key string) path { return append(slices.Clone(p), key) }

// DidYouMean is the hint for a word that is none of the known.
func DidYouMean(word string, known []string, otherwise string) string {
	if near := nearest(word, known); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return otherwise
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
