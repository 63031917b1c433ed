package gpio

import (
	"fmt"
	"slices"
	"strconv"
	"time"
)

// addOutputs makes the outputs of the configuration; it is a part of New.
func (b *Bank) addOutputs() {
	c := &b.o.Config
	for i := range c.LEDs {
		b.addOutput("led", fmt.Sprintf("gpio.leds[%d]", i), &c.LEDs[i])
	}
	for i := range c.Outputs {
		b.addOutput("output", fmt.Sprintf("gpio.outputs[%d]", i), &c.Outputs[i])
	}
	for i := range c.PWM {
		b.addPWM(fmt.Sprintf("gpio.pwm[%d]", i), &c.PWM[i])
	}
	for i := range c.Servos {
		b.addServo(fmt.Sprintf("gpio.servo[%d]", i), &c.Servos[i])
	}
	for _, a := range b.actuators {
		for _, name := range a.partners {
			if other, ok := b.byName[name].(*actuator); ok && other != a {
				b.interlock.join(a, other)
			}
		}
	}
}

func (b *Bank) addOutput(kind, path string, c *Output) {
	line := lineOf(c.Pin)
	b.add(&actuator{
		name: c.Name, kind: kind, pin: c.Pin, path: path, line: line, thing: c.Thing, key: c.Key,
		partners: c.Interlock, scale: onOff{c.On},
		contract: contract{safe: level{on: c.Safe == "on"}, hold: c.Hold, maxOn: c.MaxOn, minOff: c.MinOff},
		check:    func(board board) (any, error) { return board.resolve(line) },
		claim: func(board board, l level) (drive, string, error) {
			d, err := openSwitched(board, line, c.ActiveLow, l)
			return d, "", err
		},
	})
}

func (b *Bank) addPWM(path string, c *PWM) {
	line := lineOf(c.Pin)
	b.add(&actuator{
		name: c.Name, kind: "pwm", pin: c.Pin, path: path, line: line, thing: c.Thing, key: c.Key,
		partners: c.Interlock, scale: percent{},
		contract: contract{safe: level{c.Safe > 0, c.Safe}, hold: c.Hold, maxOn: c.MaxOn, minOff: c.MinOff},
		check:    c.pulses(line).check, claim: claimPWM(c, line, b.dueNow),
	})
}

func (b *Bank) addServo(path string, c *Servo) {
	line := lineOf(c.Pin)
	safe := level{}
	if angle, err := strconv.ParseFloat(c.Safe, 64); err == nil {
		safe = level{true, angle}
	}
	b.add(&actuator{
		name: c.Name, kind: "servo", pin: c.Pin, path: path, line: line, thing: c.Thing, key: c.Key,
		scale: degrees{c.Range}, contract: contract{safe: safe, hold: c.Hold},
		check: c.pulses(line).check, claim: claimServo(c, line, b.dueNow),
	})
}

// dueNow has the contracts and failures looked at.
func (b *Bank) dueNow() { wake(b.due) }

func (b *Bank) add(a *actuator) {
	a.bank = b
	b.actuators, b.byName[a.name] = append(b.actuators, a), a
	if a.thing != "" {
		b.bind(a)
	}
}

// offFirst returns the outputs in the order in which they are made safe: what goes
// off does so before something else goes on.
func (b *Bank) offFirst() []*actuator {
	list := slices.Clone(b.actuators)
	slices.SortStableFunc(list, func(x, y *actuator) int {
		switch {
		case x.contract.safe.on == y.contract.safe.on:
			return 0
		case y.contract.safe.on:
			return -1
		}
		return 1
	})
	return list
}

// openOutputs claims the outputs at their safe level, and tells in the order of
// the file what it could not have.
func (b *Bank) openOutputs(board board) (faults PinErrors) {
	failed := map[*actuator]*PinError{}
	for _, a := range b.offFirst() {
		if err := a.open(board); err != nil {
			failed[a] = pinError(board, a.path, a.pin, err)
		}
	}
	for _, a := range b.actuators {
		if e := failed[a]; e != nil {
			faults = append(faults, e)
		} else if a.pulses != "" {
			b.log.Info("Pulses are made", "pin", a.name, "line", a.line, "by", a.pulses)
		}
	}
	return faults
}

// lineOf is Line for a pin that was checked; the board will say of any other that
// it does not exist.
func lineOf(pin string) string {
	if line, err := Line(pin); err == nil {
		return line
	}
	return pin
}

// pulses is what a PWM asks of its line.
func (c *PWM) pulses(line string) pulses {
	return pulses{
		line: line, mode: c.Mode, period: time.Second / time.Duration(max(c.Frequency, 1)),
		steady: c.Safe == 0 || c.Safe == 100, safe: decimal(c.Safe) + " %",
	}
}

func claimPWM(c *PWM, line string, failed func()) func(board, level) (drive, string, error) {
	p := c.pulses(line)
	p.failed = failed
	return func(b board, l level) (drive, string, error) {
		d := dimmed{period: p.period, low: c.ActiveLow}
		var who string
		var err error
		d.pulser, who, err = p.open(b, d.width(l))
		return d, who, err
	}
}

// pulses is what a servo asks of its line. Without pulses it keeps its angle, if
// nobody forces it, so those of software are good enough for a safe one.
func (c *Servo) pulses(line string) pulses {
	return pulses{line: line, mode: c.Mode, period: servoPeriod, steady: true}
}

func claimServo(c *Servo, line string, failed func()) func(board, level) (drive, string, error) {
	p := c.pulses(line)
	p.failed = failed
	return func(b board, l level) (drive, string, error) {
		s := &steered{narrow: c.MinPulse, wide: c.MaxPulse, most: c.Range, at: l, told: time.Now()}
		var who string
		var err error
		s.pulser, who, err = p.open(b, s.width(l))
		s.kept = who != "software"
		return s, who, err
	}
}
