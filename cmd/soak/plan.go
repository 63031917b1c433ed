package main

import (
	"fmt"
	"strings"
)

// thing is a device of the group.
type thing struct {
	name   string
	labels []string
}

// plan is who takes part in a soak, and which rows lead from whom to whom.
type plan struct {
	things     []thing
	table      []string // rows, as the group file has them
	crashAfter int      // calls after which an instance of the function exits
}

// The rows of the table. What a row led where is checked against what its
// publishers sent and its receivers heard.
const (
	rowLine      = `{from: "label:press", topic: "line/${from}", to: panel}`
	rowMeter     = `{from: "label:meter", topic: "meter/${from}", to: dial}`
	rowTelemetry = `{from: "label:sensor", topic: "telemetry/${from}", to: cloud}`
	rowSale      = `{from: "label:till", topic: "sale/${from}", to: "label:office"}`
	rowTask      = `{from: controller, topic: "task/${to}", to: "label:node"}`
	rowCommand   = `{from: cloud, topic: "cmd/${to}", to: "label:node"}`
	rowRover     = `{from: "label:rover", topic: "rover/${from}", to: base}`
	rowREST      = `{from: web, topic: rest/web, to: base}`
	rowWill      = `{from: "label:mortal", topic: "will/${from}", to: witness}`
	rowState     = `{from: clock, topic: state/+, to: wall}`
	rowVisitor   = `{from: clock, topic: state/+, to: visitor}`
	rowWork      = `{from: boss, topic: work/todo, to: "function:worker", durable: true}`
	rowDone      = `{from: "function:worker", topic: work/done, to: foreman}`
	rowPin       = `{from: hand, topic: pin/beacon, to: "gpio:beacon"}`
	rowClimate   = `{from: "gpio:room", topic: room/climate, to: wall}`
	rowSlow1     = `{from: pump, topic: slow/one, to: snail}`
	rowSlow0     = `{from: pump, topic: slow/zero, to: sloth}`
	rowOwn       = `own_shadows: true` // line 0 of every table
)

// retainedTopics is how many topics keep a retained message.
const retainedTopics = 16

// newPlan makes the plan of a soak.
func newPlan(crashAfter int) *plan {
	p := &plan{crashAfter: crashAfter, table: []string{
		rowLine, rowMeter, rowTelemetry, rowSale, rowTask, rowCommand, rowRover, rowREST, rowWill,
		rowState, rowVisitor, rowWork, rowDone, rowPin, rowClimate, rowSlow1, rowSlow0,
	}}
	for _, kind := range []struct {
		label string
		n     int
	}{{"press", 4}, {"meter", 2}, {"sensor", 4}, {"till", 2}, {"office", 1}, {"node", 4}, {"rover", 3}, {"mortal", 2}, {"lamp", 4}} {
		for i := range kind.n {
			p.things = append(p.things, thing{fmt.Sprintf("%s-%d", kind.label, i), []string{kind.label}})
		}
	}
	for _, name := range []string{
		"panel", "dial", "controller", "base", "web", "witness", "clock", "wall", "visitor", "boss", "foreman",
		"hand", "pump", "snail", "sloth", "stranger",
	} {
		p.things = append(p.things, thing{name: name})
	}
	return p
}

// kind is all things that wear a label.
func (p *plan) kind(label string) (names []string) {
	for _, t := range p.things {
		if len(t.labels) == 1 && t.labels[0] == label {
			names = append(names, t.name)
		}
	}
	return names
}

// The parts of the group file before and after its devices.
const (
	groupHead = `version: 1
group: soak
core: ` + coreThing + `
broker: {listen: [%q]}
discovery: {listen: [%q], announce: false}
admin: {listen: %q}
gpio:
  driver: sim
  leds: [{name: beacon, pin: GPIO17}]
  sensors: [{name: room, kind: bme280, every: 1s, topic: room/climate}]
devices: []
`
	// The rate is far above AWS's 100, so that a soak needs no hours to catch up.
	groupCloud = `cloud:
  endpoint: %s
  port: %d
  certificate: %s
  key: %s
  ca: %s
  keep_alive: 30s
  rate: {messages: 2000, bytes: 100MiB}
`
	// The function is this program; it exits before it has answered, now and then.
	groupFunctions = `functions:
  - name: worker
    command: [./bootstrap, work]
    pinned: true
    timeout: 30s
    retries: 1000
    queue: {max: 100000}
    reply_to: work/done
    environment: {CRASH_AFTER: "%d"}
`
)

func (p *plan) functions() string { return fmt.Sprintf(groupFunctions, p.crashAfter) }

func (p *plan) rows(more []string) string {
	return "subscriptions:\n  - " + strings.Join(append(p.table[:len(p.table):len(p.table)], more...), "\n  - ") + "\n"
}

// strangeRows are what a reload brings and the next takes away: rows that none
// of the flows uses.
func strangeRows() (rows []string) {
	for i := range 50 {
		rows = append(rows, fmt.Sprintf(`{from: "label:rover", topic: "guest/%d/#", to: [panel, wall, cloud]}`, i))
	}
	return rows
}
