// Package gpio owns the pins of the board: LEDs that a shadow key or a message
// drives, and buttons that publish. It is the only door to periph, and sees to
// it that periph's traps stop here. cmd/greengate wires it to the router and the
// shadows; configs imports its Config. It imports nothing of ours and knows
// neither of them: what comes out of it goes through the functions of Options.
//
// A Bank is made by New, takes its pins with Open, works in Run, and has every
// output at its safe level from Open on until a command comes, and again as soon
// as Run ends, however it ends. Below it stands a board: the lines that the
// kernel offers (chips), or simulated ones (sim) that are as strict.
//
// Concurrency: the methods of a Bank may be called by any goroutine. Each pin
// has a lock of its own, under which its line is written; a command is carried
// out by the goroutine that brings it. Run owns one goroutine for each button,
// one that mends failed outputs and one that reports.
package gpio
