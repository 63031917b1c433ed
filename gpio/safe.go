package gpio

import (
	"log/slog"
)

// Safe puts every output of a checked configuration at its safe level and lets go
// of it, for the end of a process that could not do so itself. Its error is
// PinErrors: an output that is in use, say by a process that lives, is left alone;
// the others are safe. What becomes of a level after that is the kernel's: the one
// of Raspberry Pi OS keeps it, others make the line an input. Call it before the
// process opens files, as Open.
func Safe(c Config, log *slog.Logger) error {
	b := New(Options{Config: outputsOf(c), Log: log})
	defer b.Close()
	return b.Open()
}

// outputsOf returns the part of c that has outputs.
func outputsOf(c Config) Config {
	return Config{Driver: c.Driver, LEDs: c.LEDs, Outputs: c.Outputs, PWM: c.PWM, Servos: c.Servos}
}

// Check tells what the board of this machine cannot do of a checked configuration,
// as PinErrors. It claims no line, so that it may be called beside a process that
// has them; a line that is in use is no error here. Call it before the process
// opens files, as Open.
func Check(c Config, log *slog.Logger) error {
	b := New(Options{Config: c, Log: log})
	if b.empty() {
		return nil
	}
	board, err := b.open(c.Driver, b.log)
	if err != nil {
		return PinErrors{{Path: "gpio.driver", Problem: err.Error()}}
	}
	var faults PinErrors
	for _, a := range b.actuators {
		if err := a.check(board); err != nil {
			faults = append(faults, pinError(board, a.path, a.pin, err))
		}
	}
	for _, in := range b.inputs {
		c := in.base()
		if err := board.has(c.line); err != nil {
			faults = append(faults, pinError(board, c.path, c.pin, err))
		}
	}
	if len(faults) == 0 {
		return nil
	}
	return faults
}
