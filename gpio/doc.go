// Package gpio owns the pins of the board and the sensors on its buses: outputs
// that a shadow key, a message or a person drives (LEDs, relays, PWM, servos), and
// inputs and sensors that publish or report. It is the only door to periph, and
// sees to it that periph's traps stop here. cmd/greengate wires it to the router and
// the shadows; configs imports its Config. It imports nothing of ours
// but simbus, and knows neither of them: what comes out of it goes through the functions of Options.
//
// A Bank is made by New, takes its pins with Open, works in Run, and has every
// output at its safe level from Open on until a command comes, and again as soon
// as Run ends, however it ends; Safe does it for a process that could not. Below it
// stands a board: the lines that the kernel offers (chips), or simulated ones (sim)
// that are as strict.
//
// What an output may do is its contract: hold, max_on, min_off and interlock. It is
// kept in actuator.write, the one place where a line goes on, below whoever asks.
//
// An input is a contact, which reads the edges that the kernel keeps of its line,
// each with its time, direction and number, and a listener, which makes a button, an
// input or a counter of them. More edges than anybody can mean are a storm: a fault,
// in which nothing is told.
//
// A sensor is a driver of periph on a bus (bus, session), or the same driver on a
// simulated bus (simbus). What it reads is calibrated, is nothing if the device
// cannot have measured it, and is told where the file says: each reading to a topic,
// each change to a shadow. A device that does not answer is a fault, tried again and
// again, and no reason not to start.
//
// What a pin shows is owed to the key of the shadow that it is bound to until
// Options.Report has taken it: a report that is refused is a fault, and tried again
// with what the pin shows by then (reporter).
//
// Concurrency: the methods of a Bank may be called by any goroutine. Each pin has
// a lock of its own, under which its line is written; a command is carried out by
// the goroutine that brings it. Run owns one goroutine for each input and sensor,
// one that keeps contracts in time and mends failed outputs, and one that reports.
// Pulses in software have a goroutine while there are pulses, which ends with
// their line.
package gpio
