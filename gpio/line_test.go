package gpio

import "testing"

func TestLine(t *testing.T) {
	for pin, want := range map[string]string{
		"GPIO17": "GPIO17", "P1_11": "GPIO17", "P1_3": "GPIO2", "P1_40": "GPIO21", "P1_27": "GPIO0", "LED_ACT": "LED_ACT",
		"P1_1": "", "P1_6": "", "P1_0": "", "P1_41": "", "P1_": "", "": "", "GPIO 4": "", "GPIO\n": "",
		"gpiochip0/17": "gpiochip0/17", "gpiochip0:17": "gpiochip0/17", "gpiochip12:007": "gpiochip12/7", "pwmchip0:1": "pwmchip0/1",
		"gpiochip0": "", "gpiochip/17": "", "gpiochip0/": "", "gpiochip0/x": "", "gpiochip0/-1": "", "gpiochip0/1/2": "", "pwmchipA/1": "",
	} {
		got, err := Line(pin)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v", pin, got, err)
		}
	}
	seen := map[int]bool{}
	for _, n := range header {
		if n >= 0 && seen[n] {
			t.Errorf("GPIO%d stands on the header twice", n)
		}
		seen[n] = true
	}
	for n := range 28 { // GPIO0 to GPIO27 are on the header
		if !seen[n] {
			t.Errorf("GPIO%d is not on the header", n)
		}
	}
}
