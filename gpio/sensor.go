package gpio

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"
	"time"
)

// sensor is a device on a bus that is read at an interval.
//
// Each has a goroutine of its own, and shares with others nothing but transfers
// on its bus: drivers sleep while a chip measures, some for seconds, and one
// goroutine for a bus would let all wait for the slowest and for each that fails.
type sensor struct {
	Sensor
	kind   *sensorKind
	id     busID
	wrong  error // that no try can mend
	gauges []gauge
	bank   *Bank
	debt   *debt // nil: it is bound to no shadow

	// Of the goroutine that reads it.
	session *session
	read    reader         // nil: the device is not set up
	late    <-chan reading // of a reading that was given up; nil: there is none
	topic   *teller
	shadow  *teller

	mu        sync.Mutex
	simulated bool
	values    []Value // of the last good reading
	at        time.Time
	failures  int       // in a row
	since     time.Time // of the first of them
	problem   string
	failed    uint64 // readings, in all
}

// newSensor makes a sensor of a checked configuration.
func newSensor(b *Bank, c Sensor) *sensor {
	s := &sensor{Sensor: c, kind: sensorKinds[c.Kind], bank: b, debt: b.newDebt(c.Thing, c.Key)}
	if s.kind == nil {
		s.kind, s.wrong = &sensorKind{}, fmt.Errorf("there is no kind %.40q", c.Kind)
		return s
	}
	s.id, s.wrong = parseBus(c.Bus, s.kind)
	s.gauges = newGauges(&c, s.kind.quantities(&c))
	s.topic, s.shadow = newTeller(&c, s.gauges, false), newTeller(&c, s.gauges, true)
	return s
}

// open gives the sensor its bus. It touches none: a device that is not there is a
// fault for status, and no reason to stay away.
func (s *sensor) open(all *buses, simulated bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.simulated = simulated
	s.session = &session{bus: all.get(s.id), address: s.i2cAddress(s.kind)}
}

// watch reads the device until ctx is cancelled. The times of readings do not
// drift; one that is missed is not made up for.
func (s *sensor) watch(ctx context.Context) {
	if s.wrong != nil {
		for range faultAfter { // which it is at once
			s.fail(s.wrong)
		}
		return
	}
	next := time.Now()
	for pause(ctx, time.Until(next)) {
		raw, err := s.attempt(ctx)
		if ctx.Err() != nil {
			return
		}
		now := time.Now()
		var v []Value
		if err == nil {
			v, err = values(s.gauges, raw)
		}
		if err != nil {
			s.read = nil // it may have to be set up anew
			next = now.Add(backOff(s.fail(s.explain(err))))
			continue
		}
		s.take(now, v)
		for next = next.Add(s.Every); !next.After(now); next = next.Add(s.Every) {
		}
	}
}

// reading is what a device gave.
type reading struct {
	raw  []float64
	read reader
	err  error
}

// errLate is a driver that sleeps although its reading was given up.
var errLate = errors.New("the reading before has not come back")

// attempt reads the device once, and returns when the kind's time is over, even
// if its driver does not.
func (s *sensor) attempt(ctx context.Context) ([]float64, error) {
	if s.late != nil {
		select {
		case <-s.late:
			s.late = nil
		default:
			return nil, errLate
		}
	}
	ctx, cancel := context.WithTimeout(ctx, s.kind.timeout)
	defer cancel()
	s.session.begin(ctx)
	done := make(chan reading, 1)
	read := s.read
	go func() { done <- s.once(ctx, read) }()
	select {
	case r := <-done:
		s.read = r.read
		return r.raw, r.err
	case <-ctx.Done():
		s.late = done
		return nil, ctx.Err()
	}
}

// once sets the device up unless that is done, and reads it. A driver may panic
// when a chip answers nonsense: the BMP180's divides by what it computes.
func (s *sensor) once(ctx context.Context, read reader) (r reading) {
	device := s.session.bus.device(s.deviceKey())
	select {
	case device <- struct{}{}:
		defer func() { <-device }()
	case <-ctx.Done():
		return reading{err: ctx.Err()}
	}
	defer func() {
		if p := recover(); p != nil {
			s.bank.log.Debug("The driver of a sensor panicked", "pin", s.Name, "err", p, "stack", string(debug.Stack()))
			r = reading{err: fmt.Errorf("the driver panicked: %v", p)}
		}
	}()
	if read == nil {
		var err error
		if read, err = s.kind.open(&s.Sensor, s.session); err != nil {
			return reading{err: err}
		}
	}
	raw, err := read()
	return reading{raw, read, err}
}

// deviceKey is what two sensors have in common that use one device: its address
// on the bus, or the kind of which there is one only.
func (s *sensor) deviceKey() string {
	switch {
	case s.id.kind == busI2C:
		return fmt.Sprintf("0x%02x", s.session.address)
	case s.Address == "":
		return s.Kind
	}
	return strings.ToLower(s.Address)
}

// take takes a good reading, and tells it where it is to be told.
func (s *sensor) take(now time.Time, v []Value) {
	s.mu.Lock()
	s.values, s.at = v, now
	if s.failures >= faultAfter {
		s.bank.log.Info("The sensor works again", "pin", s.Name, "failures", s.failures)
	}
	s.failures = 0
	s.mu.Unlock()
	if s.Thing != "" && s.shadow.tell(now, v) {
		s.debt.owe(reported(v))
	}
	if s.Topic != "" && s.topic.tell(now, v) {
		s.bank.o.Publish(s.Topic, payload(s.Name, v, now, s.simulated), s.Name)
	}
}

// fail counts a reading that failed, and returns how many have in a row.
func (s *sensor) fail(err error) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failures == 0 {
		s.since = time.Now()
	}
	s.failures++
	s.failed++
	s.problem = err.Error()
	if s.failures == faultAfter {
		s.bank.log.Error("A sensor failed", "pin", s.Name, "kind", s.Kind, "bus", s.id.String(), "err", err)
	} else {
		s.bank.log.Debug("A reading failed", "pin", s.Name, "failures", s.failures, "err", err)
	}
	return s.failures
}

// place is where the device is: i2c-1 0x76.
func (s *sensor) place() string {
	switch {
	case s.wrong != nil || s.id.kind == busSPI:
		return s.id.String()
	case s.id.kind == busI2C:
		return fmt.Sprintf("%s 0x%02x", s.id, s.i2cAddress(s.kind))
	}
	return strings.TrimSpace(s.id.String() + " " + s.Address)
}

func (s *sensor) state(string) State {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := State{
		Name: s.Name, Kind: "sensor", Pin: s.Kind + " " + s.place(), Header: s.header(), Mode: word(s.simulated, "sim", s.id.String()),
		Level: "unknown", Thing: s.Thing, Key: s.Key, Topic: s.Topic, Errors: s.failed,
	}
	if s.values != nil {
		at := s.at
		st.Values, st.At = s.values, &at
		words := make([]string, len(s.values))
		for i, v := range s.values {
			words[i] = v.String()
		}
		st.Level = strings.Join(words, ", ")
	}
	return st
}

func (s *sensor) fault() (Fault, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failures < faultAfter {
		return Fault{}, false
	}
	return Fault{Name: s.Name, Pin: s.Kind + " " + s.place(), Problem: s.problem, Since: s.since}, true
}

// addSensors makes the sensors of the file.
func (b *Bank) addSensors() {
	for _, c := range b.o.Config.Sensors {
		s := newSensor(b, c)
		b.sensors, b.byName[c.Name] = append(b.sensors, s), s
	}
}

// openSensors gives the sensors the buses of the board: a board of simulated
// lines has simulated buses. b.mu is held.
func (b *Bank) openSensors(board board) {
	_, simulated := board.(*sim)
	open := openKernelBus
	if simulated {
		open = newSimWires(b.sensors).open
	}
	b.buses = newBuses(open)
	for _, s := range b.sensors {
		s.open(b.buses, simulated)
	}
}

// releaseSensors closes the buses.
func (b *Bank) releaseSensors() {
	if b.buses != nil {
		b.buses.release()
	}
}
