package gpio

import (
	"context"
	"fmt"
)

// inputPin is an input of any kind.
type inputPin interface {
	pin
	base() *contact
}

// addInputs makes the inputs of the configuration; it is a part of New.
func (b *Bank) addInputs() {
	c := &b.o.Config
	add := func(in inputPin) {
		b.inputs, b.byName[in.base().name] = append(b.inputs, in), in
	}
	for i, one := range c.Buttons {
		add(newButton(b, one, fmt.Sprintf("gpio.buttons[%d]", i)))
	}
	for i, one := range c.Inputs {
		add(newStateInput(b, one, fmt.Sprintf("gpio.inputs[%d]", i)))
	}
	for i, one := range c.Counters {
		add(newCounter(b, one, fmt.Sprintf("gpio.counters[%d]", i)))
	}
}

// openInputs claims the inputs, and tells what it could not have.
func (b *Bank) openInputs(board board) (faults PinErrors) {
	for _, in := range b.inputs {
		c := in.base()
		if err := c.open(board); err != nil {
			faults = append(faults, pinError(board, c.path, c.pin, err))
		}
	}
	return faults
}

// runInputs starts what reads and tells the inputs.
func (b *Bank) runInputs(work func(what string, f func(context.Context))) {
	for _, in := range b.inputs {
		c := in.base()
		work("read the "+c.kind+" "+c.name, c.watch)
		if n, ok := in.(*counter); ok {
			work("tell the counter "+c.name, n.tell)
		}
	}
}
