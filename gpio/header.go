package gpio

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"unicode/utf8"
)

// Board returns the name of the board: as its device tree has it ("Raspberry Pi 4
// Model B Rev 1.4"), or "simulated".
func (b *Bank) Board() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.board.(*sim); ok {
		return "simulated"
	}
	return boardName("/proc/device-tree/model")
}

// boardName reads a file of the device tree. A board without one is no Pi.
func boardName(file string) string {
	text, err := os.ReadFile(file)
	name := strings.Trim(string(text), "\x00 \n")
	if err != nil || name == "" {
		return "a board without a device tree"
	}
	return name
}

// powerPins are the pins of the header that are no lines, by number from 1.
var powerPins = map[int]string{1: "3V3", 2: "5V", 4: "5V", 17: "3V3"}

// Header draws the 40 pins of a Raspberry Pi's header, seen with the board's edge
// at the right, and writes to each what is wired to it and at which level it is.
func Header(states []State) string {
	at := map[string][]string{}
	for _, s := range states {
		level, fails := s.Level, s.Fault != "" && s.Level == "unknown" // else only its report is refused
		if fails {
			level = "fails"
		}
		text := s.Name + " " + level
		if s.Kind == "sensor" && !fails {
			text = s.Name // its readings are longer than a pin is wide
		}
		if s.Unit == "%" && !fails {
			text += s.Unit
		}
		at[s.Header] = append(at[s.Header], text)
	}
	cell := func(pin int) (name, wired string) {
		name = powerPins[pin]
		switch n := header[pin-1]; {
		case n >= 0:
			name = fmt.Sprintf("GPIO%d", n)
		case n == -2:
			name = "GND"
		}
		return name, strings.Join(at[fmt.Sprintf("P1_%d", pin)], ", ")
	}
	width := 0
	for pin := 1; pin <= len(header); pin += 2 {
		_, wired := cell(pin)
		width = max(width, utf8.RuneCountInString(wired))
	}
	var b strings.Builder
	for pin := 1; pin <= len(header); pin += 2 {
		left, leftWired := cell(pin)
		right, rightWired := cell(pin + 1)
		row := fmt.Sprintf("%*s  %6s %2d | %-2d %-6s  %s", width, leftWired, left, pin, pin+1, right, rightWired)
		b.WriteString(strings.TrimRight(row, " ") + "\n")
	}
	return b.String()
}

// place returns the place of a line on the header of a Pi; empty: none.
func place(line string) string {
	i := slices.IndexFunc(header[:], func(n int) bool { return n >= 0 && line == fmt.Sprintf("GPIO%d", n) })
	if i < 0 {
		return ""
	}
	return fmt.Sprintf("P1_%d", i+1)
}

// Lines returns the lines of a Raspberry Pi that the sensor's bus takes: those of
// I2C and SPI, whose places are fixed. A 1-wire bus is where its overlay says.
func (s *Sensor) Lines() []string {
	k := sensorKinds[s.Kind]
	if k == nil {
		return nil
	}
	id, err := parseBus(s.Bus, k)
	if err != nil {
		return nil
	}
	switch id {
	case busID{kind: busI2C, number: 0}:
		return []string{"GPIO0", "GPIO1"}
	case busID{kind: busI2C, number: 1}:
		return []string{"GPIO2", "GPIO3"}
	case busID{busSPI, 0, 0}:
		return []string{"GPIO10", "GPIO9", "GPIO11", "GPIO8"}
	case busID{busSPI, 0, 1}:
		return []string{"GPIO10", "GPIO9", "GPIO11", "GPIO7"}
	}
	return nil
}

// header returns the place of the sensor's bus on the header: of its data line.
func (s *Sensor) header() string {
	if lines := s.Lines(); len(lines) > 0 {
		return place(lines[0])
	}
	return ""
}
