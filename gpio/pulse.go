package gpio

import (
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"
	"time"
)

// pulser makes pulses on a line, one in each of its periods.
type pulser interface {
	// Pulse makes the line high for width of every period: 0 is always low, the
	// period or more is always high.
	Pulse(width time.Duration) error
	// Err tells what has gone wrong since; the pulser is then of no use.
	Err() error
	// Close lets go of the line. Steady levels stay as those of an output do.
	Close()
}

// channel is a PWM channel of the kernel.
type channel interface {
	String() string // pwmchip0/1
	// takes returns what nobody else may use beside it: equal for all names of the
	// channel.
	takes() any
	open(period, width time.Duration) (pulser, error)
}

// errNoPWM is that of a line without a PWM channel of the kernel.
var errNoPWM = errors.New("the kernel has no PWM on this line")

// A settingError is what a board cannot do of an entry of the file.
type settingError struct {
	key           string // of the entry
	problem, hint string
}

func (e *settingError) Error() string { return e.problem }

// pulses is the part of an entry that asks for pulses.
type pulses struct {
	line, mode string // mode is auto, kernel or software
	period     time.Duration
	// steady is a level that stays at the end of the process, which is nothing
	// that software can do with pulses.
	steady bool
	safe   string // what the file calls it
	failed func() // is called, by any goroutine, when Err has something to tell
}

// choose finds who makes the pulses: a channel of the kernel, or software (nil).
func (p *pulses) choose(b board) (channel, error) {
	direct := strings.HasPrefix(p.line, "pwmchip")
	if p.mode == "software" {
		if direct {
			return nil, &settingError{"mode", fmt.Sprintf("%s is a PWM channel of the kernel", p.line), "take `mode` out, or name a line"}
		}
		return nil, p.software()
	}
	c, err := b.pwm(p.line)
	switch {
	case err == nil:
		return c, nil
	case direct && errors.Is(err, errNoPWM):
		return nil, &settingError{"pin", fmt.Sprintf("the board has no PWM channel %s", p.line), pwmHint}
	case !errors.Is(err, errNoPWM):
		return nil, err
	case p.mode == "kernel":
		return nil, &settingError{"mode", fmt.Sprintf("the kernel has no PWM on %s", p.line), pwmHint}
	}
	return nil, p.software()
}

const pwmHint = "an overlay gives it, as `dtoverlay=pwm-2chan` to GPIO18 and GPIO19; or write `mode: auto`"

// software tells what pulses in software cannot be.
func (p *pulses) software() error {
	switch {
	case p.period < time.Second/MaxSoftware:
		return &settingError{"frequency", fmt.Sprintf("PWM in software on %s reaches %d Hz", p.line, MaxSoftware), "write less, or use a pin with the kernel's PWM"}
	case !p.steady:
		return &settingError{"safe", fmt.Sprintf("%s is kept by pulses, and those of software on %s end with the process", p.safe, p.line), "write 0 or 100, or use a pin with the kernel's PWM"}
	}
	return nil
}

// check returns the line or channel that it takes, or what the board cannot do of it.
func (p pulses) check(b board) (any, error) {
	switch c, err := p.choose(b); {
	case err != nil:
		return nil, err
	case c != nil:
		return c.takes(), nil
	}
	return b.resolve(p.line)
}

// open claims the line and begins with pulses of that width. It tells who makes
// them: kernel and the channel, or software.
func (p *pulses) open(b board, width time.Duration) (_ pulser, who string, err error) {
	c, err := p.choose(b)
	if err != nil {
		return nil, "", err
	}
	if c != nil {
		k, err := c.open(p.period, width)
		return k, "kernel " + c.String(), err
	}
	out, err := b.output(p.line, width >= p.period)
	if err != nil {
		return nil, "", err
	}
	s := &software{out: out, period: p.period, failed: p.failed, wake: make(chan struct{}, 1)}
	if err := s.Pulse(width); err != nil {
		out.Close()
		return nil, "", err
	}
	return s, "software", nil
}

// software makes pulses by writing the line. It has a goroutine only while there
// are pulses to make, which Close waits for.
type software struct {
	out    output // of the goroutine while there is one
	period time.Duration
	failed func()
	wake   chan struct{}

	mu    sync.Mutex
	width time.Duration
	err   error
	ended chan struct{} // of the goroutine; nil: there is none
}

func (s *software) Pulse(width time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	s.width = width
	if s.ended != nil {
		wake(s.wake)
		if !s.steady() {
			return nil
		}
		// Whoever asks for off is to find it off afterwards.
		ended := s.ended
		s.mu.Unlock()
		<-ended
		s.mu.Lock()
		return s.err
	}
	if s.steady() {
		s.err = s.out.Set(width > 0)
		return s.err
	}
	if s.err = s.out.Set(true); s.err != nil {
		return s.err
	}
	s.ended = make(chan struct{})
	go s.run(s.ended, time.Now())
	return nil
}

// steady tells whether there are no pulses to make; s is locked.
func (s *software) steady() bool { return s.width <= 0 || s.width >= s.period }

func (s *software) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// run makes pulses until there are none to make. The first has begun.
func (s *software) run(ended chan struct{}, begin time.Time) {
	defer close(ended)
	defer func() {
		if p := recover(); p != nil {
			s.fail(fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
		}
	}()
	timer := time.NewTimer(s.period)
	defer timer.Stop()
	for {
		s.mu.Lock()
		width := s.width
		s.mu.Unlock()
		if over := s.await(timer, begin.Add(width)); !over {
			if err := s.out.Set(false); err != nil {
				s.fail(err)
				return
			}
			// The grid of the periods stays, unless the machine was busy for more
			// than one: those are not made up for.
			begin = begin.Add(s.period)
			if now := time.Now(); now.Sub(begin) > s.period {
				begin = now
			}
			s.await(timer, begin)
		}
		over, err := s.cycle()
		if err != nil {
			s.fail(err)
		}
		if over || err != nil {
			return
		}
	}
}

// cycle begins a period, or drives the steady level when the pulses are over.
func (s *software) cycle() (over bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.out.Set(s.width > 0); err != nil {
		return false, err
	}
	if over = s.steady(); over {
		s.ended = nil
	}
	return over, nil
}

// await waits until that time, but no longer than there are pulses to make.
func (s *software) await(timer *time.Timer, t time.Time) (over bool) {
	timer.Reset(time.Until(t))
	for {
		s.mu.Lock()
		over = s.steady()
		s.mu.Unlock()
		if over {
			return true
		}
		select {
		case <-timer.C:
			return false
		case <-s.wake:
		}
	}
}

func (s *software) fail(err error) {
	s.mu.Lock()
	s.ended = nil
	if s.err == nil {
		s.err = err
	}
	s.mu.Unlock()
	s.failed()
}

func (s *software) Close() {
	s.mu.Lock()
	ended := s.ended
	if ended != nil {
		s.width = 0
		wake(s.wake)
	}
	s.mu.Unlock()
	if ended != nil {
		<-ended
	}
	s.out.Close()
}
