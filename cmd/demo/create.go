package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// groupFile is the demo's group.yaml before its devices and rows are added.
const groupFile = `# The group of the demo. Change it while the demo runs, and say
#   greengate reload --config %[3]s
# to let the gateway read it again; with a mistake in it, nothing changes.
version: 1
group: demo
core: demo_Core
data: data

# Only this machine can reach the demo, and it does not announce itself.
broker:
  listen: ["%[1]s"]
discovery:
  listen: ["%[2]s"]
  announce: false
# The live page: what is connected, every message on its way, shadows, pins, the spool.
admin:
  listen: %[5]s
pki:
  dir: pki

# The cloud of the demo is a box on this machine (bin/iotsim), as strict as AWS. For
# the real one see docs/cloud.md.
cloud:
  endpoint: localhost
  port: %[4]s
  certificate: cloud/demo_Core.cert.pem
  key: cloud/demo_Core.private.key
  ca: cloud/cloud-ca.pem
  keep_alive: 30s # a pulled plug is noticed within 45s
  spool: {max_size: 16MiB}

devices: []
`

// groupRest goes to the end of the file, once its devices are there.
const groupRest = `
# The pins and sensors of the gateway itself. They are simulated, so that the demo
# runs anywhere; without the line driver they are those of a Raspberry Pi.
gpio:
  driver: sim
  # Three LEDs follow the traffic light's shadow. Red and green are never on together,
  # whoever asks for it.
  leds:
    - {name: red, pin: GPIO17, thing: GG_TrafficLight, key: property, on: R, interlock: [red, green]}
    - {name: yellow, pin: GPIO27, thing: GG_TrafficLight, key: property, on: Y}
    - {name: green, pin: GPIO22, thing: GG_TrafficLight, key: property, on: G, interlock: [red, green]}
  # A button, which greengate gpio press presses here, and a fingertip on a Pi.
  buttons:
    - {name: bell, pin: GPIO23, long: 1s, topic: home/bell}
  # A BME280 is read over I2C; a topic is for what is measured often.
  sensors:
    - {name: hall, kind: bme280, every: 5s, topic: sensors/hall}

# Nothing passes without a row: the intruder has none. The light needs none for
# its own shadow.
subscriptions:
  - {from: sensor, topic: "sensors/#", to: "label:screen"}
  - {from: sensor, topic: "sensors/#", to: cloud}
  - {from: "gpio:hall", topic: sensors/hall, to: ["label:screen", cloud]}
  - {from: "gpio:bell", topic: home/bell, to: "label:screen"}
  - {from: cloud, topic: "cmd/${to}/#", to: "label:screen"}
  - {from: GG_Switch, shadow: GG_TrafficLight, may: [update]}
`

// groupFunction comes before the rows, where the function was built.
const groupFunction = `
# Code for AWS Lambda, unmodified (functions/examples/go), that the gateway runs. It is
# called when the light has changed, counts how often it has turned green, and keeps the
# count in a shadow of its own.
functions:
  - {name: car-aggregator, command: [./bootstrap], pinned: true, memory: 64MiB}
`

// functionRows go to the end of the rows.
const functionRows = `  - {from: shadow, topic: $aws/things/GG_TrafficLight/shadow/update/documents, to: "function:car-aggregator", durable: true}
  - {from: "function:car-aggregator", shadow: GG_CarAggregator, may: [get, update]}
  - {from: "function:car-aggregator", topic: cars/green, to: ["label:screen", cloud]}
`

// create makes the whole site beside its place and moves it there last, so that
// a demo which was interrupted does not leave half a site.
func (s *site) create(ctx context.Context, a addresses) error {
	half := filepath.Clean(s.dir) + ".new"
	if err := os.RemoveAll(half); err != nil {
		return err
	}
	file := filepath.Join(half, "group.yaml")
	s.tell("making a demo site in %s", s.dir)
	if err := s.run(ctx, s.greengate, "init", half, "--group", "demo", "--core", "demo_Core"); err != nil {
		return err
	}
	a.broker, a.discovery = s.pick(a.broker, "the broker"), s.pick(a.discovery, "discovery")
	a.cloud, a.page = s.pick(a.cloud, "the cloud"), s.pick(a.page, "the live page")
	_, port, err := net.SplitHostPort(a.cloud)
	if err != nil {
		return fmt.Errorf("the address of the cloud: %w", err)
	}
	if err := os.WriteFile(file, fmt.Appendf(nil, groupFile, a.broker, a.discovery, s.file, port, a.page), 0o644); err != nil {
		return err
	}
	if err := s.run(ctx, s.iotsim, "certificate", "demo_Core", "--dir", filepath.Join(half, "cloud")); err != nil {
		return err
	}
	for _, device := range cast {
		add := []string{"device", "add", device.thing, "--config", file, "--out", filepath.Join(half, "devices", device.thing)}
		if device.label != "" {
			add = append(add, "--label", device.label)
		}
		if err := s.run(ctx, s.greengate, add...); err != nil {
			return err
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	rest := groupRest
	switch installed, err := s.installFunction(half); {
	case err != nil:
		return err
	case installed:
		rest = groupFunction + rest + functionRows
	}
	if err := os.WriteFile(file, append(text, rest...), 0o644); err != nil {
		return err
	}
	return os.Rename(half, s.dir)
}

// installFunction copies the car aggregator to where the group file has it, if it was
// built.
func (s *site) installFunction(dir string) (installed bool, err error) {
	program, err := os.ReadFile(s.function)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	dir = filepath.Join(dir, "functions", "car-aggregator")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return false, err
	}
	return true, os.WriteFile(filepath.Join(dir, "bootstrap"), program, 0o755)
}

// run runs one command to its end.
func (s *site) run(ctx context.Context, program string, args ...string) error {
	out, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w\n%s", program, strings.Join(args, " "), err, out)
	}
	return nil
}

// pick returns address, or the same with the next port that is free and was not
// picked before.
func (s *site) pick(address, what string) string {
	host, port, err := net.SplitHostPort(address)
	first, _ := strconv.Atoi(port)
	if err != nil {
		return address
	}
	for p := first; p < first+100; p++ {
		next := net.JoinHostPort(host, strconv.Itoa(p))
		if s.picked[next] || !free(next) {
			continue
		}
		if p > first {
			s.tell("%s is in use, so %s gets %s", address, what, next)
		}
		s.picked[next] = true
		return next
	}
	return address // the gateway will say what is wrong with it
}

// free tells whether nobody listens at address.
func free(address string) bool {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return false
	}
	_ = l.Close()
	return true
}
