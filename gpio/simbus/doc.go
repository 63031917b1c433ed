// Package simbus simulates I2C, SPI and 1-wire buses with chips on them, register
// by register, so that the drivers of real sensors run without hardware. It knows
// periph's bus interfaces and the data sheets, and nothing of ours; only gpio
// imports it.
//
// It is as strict as hardware: an address at which nothing is, a register that
// the chip does not have or a command that it does not know is not acknowledged,
// with the error that Linux has for it; a measurement takes its time, and a chip
// that lost its power has forgotten its settings. What the chips measure comes
// from a World, and changes with time.
//
// Faults can be made at will: a chip is unplugged (Detach), a bus fails every
// transfer (Fail) or does not come back from one (Hang), a 1-wire chip answers
// with a wrong checksum or with what it has after power-up.
//
// Concurrency: everything may be called by any goroutine.
package simbus
