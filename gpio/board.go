package gpio

import (
	"errors"
	"fmt"
	"log/slog"
)

// board gives the lines, each to one user at a time.
type board interface {
	// String names the driver, as `gpio list` shows it.
	String() string
	// hint says where to find the names of its lines.
	hint() string
	// output claims the line and drives it at that level.
	output(line string, on bool) (output, error)
	// input claims the line, pulled up, down or none, and asks for those edges.
	input(line, pull string, want edgeSet) (input, error)
	// pwm returns the kernel's PWM channel on that line, or errNoPWM.
	pwm(line string) (channel, error)
	// resolve returns the line itself, which is equal for all of its names; or
	// errNoLine.
	resolve(line string) (any, error)
}

// output is a claimed line that is driven. It cannot be read: on a real line
// that would make it an input. Whoever drives it remembers the level.
type output interface {
	Set(on bool) error
	Close()
}

// What is wrong with a line when it is claimed.
var (
	errNoLine  = errors.New("the board has no such line")
	errInUse   = errors.New("the line is in use")
	errNoEdges = errors.New("its chip tells no edges")
	errNoGPIO  = errors.New("this machine has no GPIO")
)

// openBoard returns the board of the driver `auto` or `sim`. Only a machine
// without any GPIO chip gets simulated pins that the file did not ask for: one
// whose chips cannot be opened is a machine with a fault.
func openBoard(driver string, log *slog.Logger) (board, error) {
	switch driver {
	case "sim":
		log.Info("Pins are simulated", "driver", driver)
		return newSim(), nil
	case "auto", "":
		found, err := openChips(log)
		if errors.Is(err, errNoGPIO) {
			log.Warn("Pins are simulated: this machine has no GPIO", "driver", driver)
			return newSim(), nil
		}
		if err != nil {
			return nil, err
		}
		return found, nil
	}
	return nil, fmt.Errorf("%q is no driver (write auto or sim)", driver)
}
