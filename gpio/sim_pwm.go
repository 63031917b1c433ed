package gpio

import (
	"fmt"
	"time"
)

// simPWM is the kernel's PWM of the simulated board, as `dtoverlay=pwm-2chan` makes
// it on a Pi: the line of each channel.
var simPWM = []string{"GPIO18", "GPIO19"}

// simPulse is what a PWM channel makes of a line.
type simPulse struct{ period, width time.Duration }

// simChannel is a PWM channel of the simulated board.
type simChannel struct {
	board  *sim
	number int
}

func (s *sim) pwm(line string) (channel, error) {
	name := simName(line)
	for n, led := range simPWM {
		if name == led || line == fmt.Sprintf("pwmchip0/%d", n) {
			return simChannel{s, n}, nil
		}
	}
	return nil, errNoPWM
}

func (c simChannel) String() string { return fmt.Sprintf("pwmchip0/%d", c.number) }

// takes returns the line on which the pulses are.
func (c simChannel) takes() any {
	l, _ := c.board.line(simPWM[c.number]) // it is one of the board
	return l
}

func (c simChannel) open(period, width time.Duration) (pulser, error) {
	l, err := c.board.claim(simPWM[c.number], "greengate", func(l *simLine) {
		l.out, l.pulse.period = true, period
	})
	if err != nil {
		return nil, err
	}
	p := simPulser{l}
	if err := p.Pulse(width); err != nil {
		l.Close()
		return nil, err
	}
	return p, nil
}

// simPulser is a channel in use.
type simPulser struct{ line *simLine }

func (p simPulser) Pulse(width time.Duration) error {
	p.line.mu.Lock()
	defer p.line.mu.Unlock()
	if p.line.fault != nil {
		return p.line.fault
	}
	p.line.pulse.width = min(max(width, 0), p.line.pulse.period)
	p.line.level = width > 0
	return nil
}

func (p simPulser) Err() error { return nil }

// Close leaves the pulses as they are, as the kernel does.
func (p simPulser) Close() {
	pulse := p.line.pulse
	p.line.Close()
	p.line.mu.Lock()
	defer p.line.mu.Unlock()
	p.line.pulse, p.line.level = pulse, pulse.width > 0
}
