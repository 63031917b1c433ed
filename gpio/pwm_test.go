package gpio

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fakeSysfs is a copy of the kernel's PWM class and device tree in a folder.
type fakeSysfs struct {
	t   *testing.T
	dir string
}

func (f fakeSysfs) write(name, text string) {
	f.t.Helper()
	file := filepath.Join(f.dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		f.t.Fatal(err)
	}
}

// read returns the first line of a file: what a write at offset 0 of a real one
// would have set.
func (f fakeSysfs) read(name string) string {
	f.t.Helper()
	text, err := os.ReadFile(filepath.Join(f.dir, name))
	if err != nil {
		f.t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return line
}

func (f fakeSysfs) kernel() kernelPWM {
	return kernelPWM{filepath.Join(f.dir, "pwm"), filepath.Join(f.dir, "tree")}
}

// newSysfs is a board with one PWM chip of two channels, which an overlay leads
// out at the pins of node (brcm,pins or pins).
func newSysfs(t *testing.T, property, pins string) fakeSysfs {
	f := fakeSysfs{t, t.TempDir()}
	f.write("pwm/pwmchip0/npwm", "2\n")
	f.write("pwm/pwmchip0/export", "")
	f.write("pwm/pwmchip0/device/of_node/pinctrl-0", "\x00\x00\x00\x77")
	f.write("tree/soc/gpio@7e200000/other/phandle", "\x00\x00\x00\x76")
	f.write("tree/soc/gpio@7e200000/other/"+property, "\x00\x00\x00\x05")
	f.write("tree/soc/gpio@7e200000/pwm_pins/phandle", "\x00\x00\x00\x77")
	f.write("tree/soc/gpio@7e200000/pwm_pins/"+property, pins)
	for _, channel := range []string{"pwm0", "pwm1"} {
		for _, file := range []string{"period", "duty_cycle", "enable"} {
			f.write("pwm/pwmchip0/"+channel+"/"+file, "0\n")
		}
		f.write("pwm/pwmchip0/"+channel+"/polarity", "normal\n")
	}
	return f
}

func TestFindKernelPWM(t *testing.T) {
	pi4 := newSysfs(t, "brcm,pins", "\x00\x00\x00\x12\x00\x00\x00\x13").kernel()
	pi5 := newSysfs(t, "pins", "gpio12\x00gpio13\x00gpio18\x00").kernel()
	none := fakeSysfs{t, t.TempDir()}.kernel()
	for _, c := range []struct {
		kernel     kernelPWM
		line, want string
	}{
		{pi4, "GPIO18", "pwmchip0/0"},
		{pi4, "GPIO19", "pwmchip0/1"},
		{pi4, "GPIO12", ""}, // the overlay leads the channel out elsewhere
		{pi4, "GPIO5", ""},
		{pi4, "pwmchip0/1", "pwmchip0/1"},
		{pi4, "pwmchip0/2", ""},
		{pi4, "pwmchip1/0", ""},
		{pi4, "LED_ACT", ""},
		{pi5, "GPIO13", "pwmchip0/1"},
		{pi5, "GPIO18", "pwmchip0/2"},
		{none, "GPIO18", ""},
	} {
		got, err := c.kernel.find(c.line)
		switch {
		case c.want == "" && !errors.Is(err, errNoPWM):
			t.Errorf("%s: %v, %v", c.line, got, err)
		case c.want != "" && (err != nil || got.String() != c.want):
			t.Errorf("%s: %v, %v, want %s", c.line, got, err, c.want)
		}
	}
}

// kernelBoard has the lines of a fake kernel and the PWM of a fake sysfs.
func kernelBoard(f fakeSysfs) *chips {
	b := newKernel().board().(*chips)
	b.pwms = f.kernel()
	return b
}

func TestKernelPWM(t *testing.T) {
	f := newSysfs(t, "brcm,pins", "\x00\x00\x00\x12\x00\x00\x00\x13")
	want := func(what, channel, period, duty string) {
		t.Helper()
		dir := "pwm/pwmchip0/" + channel + "/"
		if f.read(dir+"period") != period || f.read(dir+"duty_cycle") != duty || f.read(dir+"enable") != "1" || f.read(dir+"polarity") != "normal" {
			t.Errorf("%s: period %s, duty cycle %s, enabled %s, %s", what, f.read(dir+"period"), f.read(dir+"duty_cycle"), f.read(dir+"enable"), f.read(dir+"polarity"))
		}
	}
	// The other channel was left by somebody, turned round and with a long pulse.
	for file, text := range map[string]string{"period": "90000000\n", "duty_cycle": "80000000\n", "enable": "1\n", "polarity": "inversed\n"} {
		f.write("pwm/pwmchip0/pwm1/"+file, text)
	}
	c := Config{
		PWM:    []PWM{{Name: "lamp", Pin: "GPIO18", Mode: "auto", Frequency: 1000, Safe: 25, ActiveLow: true}},
		Servos: []Servo{{Name: "arm", Pin: "GPIO19", Mode: "kernel", MinPulse: time.Millisecond, MaxPulse: 2 * time.Millisecond, Range: 180, Safe: "90"}},
	}
	b := newBank(Options{Config: c}, kernelBoard(f))
	if err := b.Open(); err != nil {
		t.Fatal(err)
	}
	if f.read("pwm/pwmchip0/export") != "1" { // the last that was exported
		t.Errorf("exported %s", f.read("pwm/pwmchip0/export"))
	}
	want("the lamp at start", "pwm0", "1000000", "750000")
	want("the servo at start", "pwm1", "20000000", "1500000")
	if s := find(t, b, "lamp"); s.PWM != "kernel pwmchip0/0" || s.Mode != "ioctl-gpio" {
		t.Errorf("%+v", s)
	}
	say(t, b, "lamp", "100")
	want("the lamp at 100 %", "pwm0", "1000000", "0")
	say(t, b, "arm", "180")
	want("the servo at 180 degrees", "pwm1", "20000000", "2000000")

	// A second process is refused, and changes nothing.
	second := newBank(Options{Config: c}, kernelBoard(f))
	var list PinErrors
	if err := second.Open(); !errors.As(err, &list) || len(list) != 2 || list[0].Path != "gpio.pwm[0].pin" || !strings.Contains(list[0].Problem, "in use") {
		t.Errorf("a second process: %v", err)
	}
	want("the lamp then", "pwm0", "1000000", "0")

	begin := time.Now()
	b.Close()
	if time.Since(begin) > settle/2 {
		t.Error("the end waited for a servo whose pulses go on")
	}
	want("the lamp at the end", "pwm0", "1000000", "750000")
	want("the servo at the end", "pwm1", "20000000", "1500000")
}

// The files of a new channel come to the group some time after the export.
func TestKernelPWMWaitsForUdev(t *testing.T) {
	f := newSysfs(t, "brcm,pins", "\x00\x00\x00\x12")
	duty := filepath.Join(f.dir, "pwm/pwmchip0/pwm0/duty_cycle")
	if err := os.Rename(duty, duty+".hidden"); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(50*time.Millisecond, func() { os.Rename(duty+".hidden", duty) })
	defer timer.Stop()
	b := newBank(Options{Config: Config{PWM: []PWM{{Name: "lamp", Pin: "GPIO18", Frequency: 1000}}}}, kernelBoard(f))
	if err := b.Open(); err != nil {
		t.Fatal(err)
	}
	b.Close()
}
