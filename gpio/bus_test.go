package gpio

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestParseBus(t *testing.T) {
	for _, c := range []struct {
		kind, name, want string // empty: it is refused
	}{
		{"bme280", "", "i2c-1"},
		{"bme280", "1", "i2c-1"},
		{"bme280", "22", "i2c-22"},
		{"bme280", "i2c-0", "i2c-0"},
		{"bme280", "/dev/i2c-3", "i2c-3"},
		{"bme280", "spi0.1", "spi0.1"},
		{"bme280", "/dev/spidev1.2", "spi1.2"},
		{"bme280", "spi0", ""},
		{"bme280", "spi", ""},
		{"bme280", "-1", ""},
		{"bme280", "w1_bus_master1", ""},
		{"tmp102", "spi0.0", ""},
		{"tmp102", "i2c-", ""},
		{"ds18b20", "", "w1_bus_master1"},
		{"ds18b20", "2", "w1_bus_master2"},
		{"ds18b20", "w1_bus_master2", "w1_bus_master2"},
		{"ds18b20", "i2c-1", ""},
	} {
		id, err := parseBus(c.name, sensorKinds[c.kind])
		if c.want == "" && err == nil || c.want != "" && (err != nil || id.String() != c.want) {
			t.Errorf("the bus %q of a %s is %v, %v; want %q", c.name, c.kind, id, err, c.want)
		}
	}
}

// wireTap is a bus that counts how often it was opened and closed.
type wireTap struct{ opened, closed int }

func (w *wireTap) open(busID) (io.Closer, error) {
	w.opened++
	return w, nil
}

func (w *wireTap) Close() error {
	w.closed++
	return nil
}

// A bus is opened by the first transfer, and anew after one that failed.
func TestBusIsOpenedAnew(t *testing.T) {
	var w wireTap
	b := newBus(busID{}, w.open)
	bad := errors.New("remote I/O error")
	for i, want := range []error{nil, nil, bad, nil} {
		if err := b.do(t.Context(), func(io.Closer) error { return want }); err != want {
			t.Errorf("transfer %d: %v", i, err)
		}
	}
	if w.opened != 2 || w.closed != 1 {
		t.Errorf("opened %d times, closed %d times", w.opened, w.closed)
	}
	b.release()
	if w.closed != 2 {
		t.Error("it was left open")
	}
}

// A panic of the driver of a bus is an error of the transfer.
func TestBusDriverPanics(t *testing.T) {
	var w wireTap
	b := newBus(busID{}, w.open)
	err := b.do(t.Context(), func(io.Closer) error { return errors.New(string(make([]byte, 4)[5:])) })
	if err == nil || !strings.Contains(err.Error(), "slice bounds out of range") || w.closed != 1 {
		t.Errorf("%v, closed %d times", err, w.closed)
	}
	if err := b.do(t.Context(), func(io.Closer) error { return nil }); err != nil {
		t.Errorf("the next transfer: %v", err)
	}
}

// One transfer at a time is on a bus; who waits for it does not for ever.
func TestBusTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w wireTap
		b := newBus(busID{}, w.open)
		release := make(chan struct{})
		begin := time.Now()
		if err := b.do(t.Context(), func(io.Closer) error { <-release; return nil }); err != errStuck || time.Since(begin) != transferTime {
			t.Errorf("a transfer that hangs ends after %v: %v", time.Since(begin), err)
		}
		// The next does not even begin.
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := b.do(ctx, func(io.Closer) error { t.Error("two at a time"); return nil }); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the next: %v", err)
		}
		b.release()
		if w.closed != 0 {
			t.Error("it was closed under a transfer")
		}
		close(release)
		synctest.Wait()
		if err := b.do(t.Context(), func(io.Closer) error { return nil }); err != nil {
			t.Errorf("after it came back: %v", err)
		}
	})
}

// A driver that goes on after its time opens no bus that was closed.
func TestBusAfterTheEnd(t *testing.T) {
	var w wireTap
	b := newBus(busID{}, w.open)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 {
		if err := b.do(ctx, func(io.Closer) error { return nil }); err != context.Canceled {
			t.Fatal(err)
		}
	}
	b.turn <- struct{}{} // no transfer is on
	if w.opened != 0 {
		t.Errorf("opened %d times", w.opened)
	}
}

// A transfer that comes back late writes into nobody's memory.
func TestLateTransfer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w wireTap
		s := &session{bus: newBus(busID{}, w.open)}
		s.begin(t.Context())
		release := make(chan struct{})
		r := []byte{1, 2}
		err := s.do(nil, r, func(_ io.Closer, _, r []byte) error {
			<-release
			r[0], r[1] = 7, 7
			return nil
		})
		close(release)
		synctest.Wait()
		if err != errStuck || r[0] != 1 || r[1] != 2 || s.failed() != errStuck {
			t.Errorf("it read %v: %v", r, err)
		}
	})
}

// What a person is told to do, by what the kernel and periph say.
func TestAdvice(t *testing.T) {
	i2c, spi, w1 := busID{busI2C, 1, 0}, busID{busSPI, 0, 0}, busID{busOneWire, 1, 0}
	text := func(err error) error { return errors.New("sysfs-i2c: " + err.Error()) } // as periph has it
	for _, c := range []struct {
		id   busID
		err  error
		want string
	}{
		{i2c, text(syscall.EREMOTEIO), "i2cdetect -y 1"},
		{i2c, text(syscall.ENXIO), "nothing answers at 0x76"},
		{i2c, text(syscall.ETIMEDOUT), "holds the bus down"},
		{i2c, errStuck, "holds the bus down"},
		{i2c, errors.New("sysfs-i2c: bus #1 is not configured: open /dev/i2c-1: no such file or directory"), "dtparam=i2c_arm=on"},
		{busID{busI2C, 3, 0}, errors.New("sysfs-i2c: bus #3 is not configured"), "dtoverlay=i2c3"},
		{spi, &os.PathError{Op: "open", Path: "/dev/spidev0.0", Err: syscall.ENOENT}, "dtparam=spi=on"},
		{spi, &os.PathError{Op: "open", Path: "/dev/spidev0.0", Err: syscall.EACCES}, "groups (i2c, spi)"},
		{i2c, text(syscall.EPERM), "DeviceAllow"},
		{w1, errNoBus, "dtoverlay=w1-gpio"},
		{w1, text(syscall.EAFNOSUPPORT), "RestrictAddressFamilies"},
		{w1, errors.New("ds18b20: incorrect scratchpad CRC"), "pull-up"},
		{w1, errors.New("invalid w1_netlink_msg status 255"), "4.7 kilo-ohm"},
		{i2c, errForgot, ""},
	} {
		got := advice(c.id, &Sensor{}, 0x76, c.err)
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s, %v: %q, want %q", c.id, c.err, got, c.want)
		}
	}
}

// On a machine without these buses a sensor is a fault that says which line of
// config.txt gives them.
func TestNoBusHere(t *testing.T) {
	for _, c := range []struct {
		id   busID
		want string
	}{{busID{busI2C, 250, 0}, "dtoverlay=i2c250"}, {busID{busSPI, 250, 0}, "dtparam=spi=on"}, {busID{busOneWire, 250, 0}, "dtoverlay=w1-gpio"}} {
		raw, err := openKernelBus(c.id)
		if err == nil {
			raw.Close()
			t.Errorf("%s: opened", c.id)
			continue
		}
		if got := advice(c.id, &Sensor{}, 0, err); !strings.Contains(got, c.want) {
			t.Errorf("%s, %v: %q", c.id, err, got)
		}
	}
}

func TestBackOff(t *testing.T) {
	for failures := 1; failures < 100; failures++ {
		most := min(time.Second<<min(failures-1, 10), time.Minute)
		var longest time.Duration
		for range 300 {
			d := backOff(failures)
			if d <= 0 || d > most {
				t.Fatalf("after %d failures it waits %v", failures, d)
			}
			longest = max(longest, d)
		}
		if longest < most/2 {
			t.Errorf("after %d failures it waits at most %v of %v", failures, longest, most)
		}
	}
}
