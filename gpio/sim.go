package gpio

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
)

// What the simulation has in common with a Raspberry Pi.
const simLines = 54 // GPIO0 to GPIO53, as the chips of the Pi 0 to 5 have them

// sim is a board of simulated lines. It is as strict as the kernel: a line has
// one user, an edge that nobody fetches in time is lost, GPIO54 does not exist.
// Lines with other names belong to other boards, and all of them exist but those that
// can only be a GPIO of a Pi in another spelling: 17, gpio17, GPIO017, p1_11.
type sim struct {
	mu    sync.Mutex
	lines map[string]*simLine
}

// simLine is one simulated line. Its other end is the outside world.
type simLine struct {
	name  string
	mu    sync.Mutex
	user  string        // who has claimed it; empty: nobody
	out   bool          // claimed as output
	level bool          // of an output, or of the pull of an input
	world *bool         // what the outside world drives it to; nil: nothing
	fault error         // what every use of it meets, for tests
	edges *edgeQueue    // of an input
	lost  chan struct{} // closed when the line is lost to its user
	pulse simPulse      // of an output on which the kernel makes pulses
}

func newSim() *sim { return &sim{lines: map[string]*simLine{}} }

func (s *sim) String() string { return "sim" }

func (s *sim) hint() string {
	return fmt.Sprintf("the simulated board has GPIO0 to GPIO%d", simLines-1)
}

// line finds or makes a line.
func (s *sim) line(name string) (*simLine, error) {
	if name = simName(name); name == "" {
		return nil, errNoLine
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.lines[name]
	if l == nil {
		l = &simLine{name: name}
		s.lines[name] = l
	}
	return l, nil
}

// simName returns the one name of a line of the simulated board, "" when it has no
// such line.
func simName(name string) string {
	if chip, n, err := chipAndNumber(name, "gpiochip"); err == nil {
		if chip != "gpiochip0" {
			return ""
		}
		name = fmt.Sprintf("GPIO%d", n)
	}
	upper := strings.ToUpper(name)
	isNumber := strings.Trim(strings.TrimPrefix(upper, "GPIO"), "+-0123456789") == ""
	isPlace := strings.HasPrefix(upper, "P1_") || strings.HasPrefix(name, "gpiochip") || strings.HasPrefix(name, "pwmchip")
	if isPlace || isNumber && !simGPIO(name) {
		return ""
	}
	return name
}

func simGPIO(name string) bool {
	number, found := strings.CutPrefix(name, "GPIO")
	n, err := strconv.Atoi(number)
	return found && err == nil && n >= 0 && n < simLines && strconv.Itoa(n) == number
}

// Foreign tells whether the simulated board takes a name, as Line returns it, for a line
// of another board: then nothing but that board can tell whether it has it.
func Foreign(line string) bool {
	name := simName(line)
	return name != "" && !simGPIO(name)
}

func (s *sim) resolve(name string) (any, error) {
	l, err := s.line(name)
	if err != nil {
		return nil, err
	}
	return l, nil
}

// claim makes somebody the user of a line, who then sets it up under its lock.
func (s *sim) claim(name, user string, setup func(*simLine)) (*simLine, error) {
	l, err := s.line(name)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fault != nil {
		return nil, l.fault
	}
	if l.user != "" {
		return nil, fmt.Errorf("%w by %q", errInUse, l.user)
	}
	l.user, l.lost = user, make(chan struct{})
	setup(l)
	return l, nil
}

func (s *sim) output(name string, on bool) (output, error) {
	l, err := s.claim(name, "greengate", func(l *simLine) { l.out, l.level = true, on })
	if err != nil {
		return nil, err
	}
	return l, nil
}

// drive lets the outside world hold the line at a level, nil: let go of it.
func (s *sim) drive(name string, level *bool) error {
	l, err := s.line(name)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.high()
	l.world = level
	if l.edges != nil && l.high() != before {
		l.edges.put(time.Now(), l.high())
	}
	return nil
}

// fail makes every use of the line fail with that error; nil mends it.
func (s *sim) fail(name string, fault error) error {
	l, err := s.line(name)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if fault != nil && l.user != "" && !l.isLost() {
		close(l.lost)
	}
	l.fault = fault
	return nil
}

// isLost tells whether its user has lost it; its lock is held.
func (l *simLine) isLost() bool {
	select {
	case <-l.lost:
		return true
	default:
		return false
	}
}

// high tells the level that a look at the line shows; its lock is held.
func (l *simLine) high() bool {
	if !l.out && l.world != nil {
		return *l.world
	}
	return l.level
}

// Set drives an output.
func (l *simLine) Set(on bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fault != nil {
		return l.fault
	}
	l.level = on
	return nil
}

// Close gives the line back, which makes it an input as the kernel does.
func (l *simLine) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.user, l.out, l.level, l.edges, l.lost = "", false, false, nil, nil
}
