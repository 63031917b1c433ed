package gpio

import (
	"fmt"
	"strconv"
	"strings"
)

// header has the GPIO number of each of the 40 pins of a Raspberry Pi's header,
// from pin 1; -1 is power, -2 is ground.
var header = [40]int{
	-1, -1, 2, -1, 3, -2, 4, 14, -2, 15,
	17, 18, 27, -2, 22, 23, -1, 24, 10, -2,
	9, 25, 11, 8, -2, 7, 0, 1, 5, -2,
	6, 12, 13, -2, 19, 16, 26, 20, -2, 21,
}

// Line returns the one name of a line that a group file may name in several ways:
// GPIO17 is also P1_11, its place on the header; gpiochip0:17 is gpiochip0/17, a
// chip and an offset, and pwmchip0:1 is pwmchip0/1, a PWM channel of the kernel.
// Other names are those of the board's lines and are returned as they are. That
// gpiochip0/17 is GPIO17, too, only the board knows.
func Line(pin string) (string, error) {
	if i := strings.IndexFunc(pin, func(r rune) bool { return r <= ' ' || r > '~' }); pin == "" || i >= 0 || len(pin) > 64 {
		return "", fmt.Errorf("%.64q is no name of a pin", pin)
	}
	for _, kind := range []string{"gpiochip", "pwmchip"} {
		if !strings.HasPrefix(pin, kind) {
			continue
		}
		chip, n, err := chipAndNumber(pin, kind)
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("%s/%d", chip, n), nil
	}
	place, found := strings.CutPrefix(pin, "P1_")
	if !found {
		return pin, nil
	}
	n, err := strconv.ParseUint(place, 10, 8)
	switch {
	case err != nil || n < 1 || int(n) > len(header):
		return "", fmt.Errorf("%q is no pin of the header, which has 1 to %d", pin, len(header))
	case header[n-1] == -1:
		return "", fmt.Errorf("%q is a power pin", pin)
	case header[n-1] == -2:
		return "", fmt.Errorf("%q is a ground pin", pin)
	}
	return fmt.Sprintf("GPIO%d", header[n-1]), nil
}

// chipAndNumber splits gpiochip0/17 or gpiochip0:17; kind is gpiochip or pwmchip.
func chipAndNumber(pin, kind string) (chip string, n int, err error) {
	chip, offset, found := strings.Cut(strings.Replace(pin, ":", "/", 1), "/")
	_, errChip := strconv.ParseUint(strings.TrimPrefix(chip, kind), 10, 16)
	at, errOffset := strconv.ParseUint(offset, 10, 16)
	if !found || !strings.HasPrefix(chip, kind) || errChip != nil || errOffset != nil {
		return "", 0, fmt.Errorf("%.64q is no %s and number, as in %s0/1", pin, kind, kind)
	}
	return chip, int(at), nil
}
