package gpio

import "time"

// drive is the claimed line of an output of some kind.
type drive interface {
	Set(level) error
	// Err tells what has gone wrong since the last Set.
	Err() error
	Close()
}

// switched is a line that is on or off.
type switched struct {
	out output
	low bool // it is on while the line is low
}

func openSwitched(b board, line string, low bool, l level) (drive, error) {
	out, err := b.output(line, l.on != low)
	if err != nil {
		return nil, err
	}
	return switched{out, low}, nil
}

func (s switched) Set(l level) error { return s.out.Set(l.on != s.low) }
func (switched) Err() error          { return nil }
func (s switched) Close()            { s.out.Close() }

// dimmed is a line whose pulses are a percentage of the period.
type dimmed struct {
	pulser
	period time.Duration
	low    bool
}

func (d dimmed) width(l level) time.Duration {
	on := time.Duration(l.amount / 100 * float64(d.period))
	if d.low {
		return d.period - on
	}
	return on
}

func (d dimmed) Set(l level) error { return d.Pulse(d.width(l)) }

// servoPeriod is that of the pulses for a model servo.
const servoPeriod = 20 * time.Millisecond

// settle is how long a servo takes for its whole way, roughly: for so long it is
// told an angle before its line is let go of.
const settle = 500 * time.Millisecond

// steered is a line whose pulses are the angle of a servo.
type steered struct {
	pulser
	narrow, wide time.Duration // at 0 degrees, and at the whole range
	most         float64       // the range in degrees
	kept         bool          // the pulses go on when the process has ended
	at           level
	told         time.Time // when at was changed last
}

func (s *steered) width(l level) time.Duration {
	if !l.on {
		return 0
	}
	return s.narrow + time.Duration(l.amount/s.most*float64(s.wide-s.narrow))
}

func (s *steered) Set(l level) error {
	if l != s.at {
		s.at, s.told = l, time.Now()
	}
	return s.Pulse(s.width(l))
}

// Close lets the servo get where it was told to go.
func (s *steered) Close() {
	if left := settle - time.Since(s.told); s.at.on && !s.kept && s.Err() == nil && left > 0 {
		t := time.NewTimer(left)
		<-t.C
	}
	s.pulser.Close()
}
