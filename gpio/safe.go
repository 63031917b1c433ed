package gpio

import (
	"fmt"
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

// Check tells what the board of this machine cannot do of a configuration, as
// PinErrors: one that was checked, or one with faults, of which it judges the pins that
// can be read. It claims no line, so that it may be called beside a process that has
// them; a line that this process has is no error here. Call it before the process
// opens files, as Open.
func Check(c Config, log *slog.Logger) error {
	c.Sensors = nil // what answers on a bus shows at work only
	b := New(Options{Config: c, Log: log})
	if b.empty() {
		return nil
	}
	board, err := b.open(c.Driver, b.log)
	if err != nil {
		return PinErrors{{Path: "gpio.driver", Problem: err.Error()}}
	}
	if faults := b.judge(board); len(faults) > 0 {
		return faults
	}
	return nil
}

// judge tells what the board cannot do of the pins, without claiming one: what it does
// not have, and what two of them want, under whichever names.
func (b *Bank) judge(board board) (faults PinErrors) {
	users := map[any]string{} // which entry has the line
	look := func(entry, pin string, line any, err error) {
		first, twice := users[line]
		switch {
		case pin == "":
		case err != nil:
			faults = append(faults, pinError(board, entry, pin, err))
		case twice:
			faults = append(faults, &PinError{entry + ".pin", pin, fmt.Sprintf("the pin %q is used by %s already", pin, first), "one pin has one user"})
		default:
			users[line] = entry
		}
	}
	for _, a := range b.actuators {
		line, err := a.check(board)
		look(a.path, a.pin, line, err)
	}
	for _, in := range b.inputs {
		c := in.base()
		line, err := board.resolve(c.line)
		look(c.path, c.pin, line, err)
	}
	return faults
}
