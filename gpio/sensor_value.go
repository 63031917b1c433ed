package gpio

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Value is one quantity of a reading.
type Value struct {
	Quantity string  `json:"quantity"`
	Value    float64 `json:"value"`
	Unit     string  `json:"unit"`
}

// String writes it as a person reads it: 21.53 °C.
func (v Value) String() string {
	return strings.TrimSpace(strconv.FormatFloat(v.Value, 'f', -1, 64) + " " + v.Unit)
}

// ownCalibration is what stands at the sensor itself.
func (s *Sensor) ownCalibration() Calibration {
	return Calibration{Scale: s.Scale, Offset: s.Offset, Unit: s.Unit, Deadband: s.Deadband}
}

// gauge makes values of the raw readings of one quantity.
type gauge struct {
	quantity
	cal    Calibration
	digits int // after the decimal point
}

// newGauges makes those of a sensor, in the order of its readings.
func newGauges(s *Sensor, quantities []quantity) []gauge {
	gauges := make([]gauge, len(quantities))
	for i, q := range quantities {
		cal, ok := s.Calibrate[q.name]
		if !ok {
			cal = Calibration{Scale: 1}
			if len(quantities) == 1 {
				cal = s.ownCalibration()
			}
		}
		if cal.Unit == "" {
			cal.Unit = q.unit
		}
		g := gauge{quantity: q, cal: cal, digits: q.digits}
		// A scale of 0.001 moves the digits that mean something.
		g.digits = min(max(g.digits-int(math.Floor(math.Log10(math.Abs(cal.Scale))+0.5)), 0), 9)
		gauges[i] = g
	}
	return gauges
}

// value makes the value of a raw reading. One that the device cannot have
// measured is an error, and so are all others of that reading.
func (g *gauge) value(raw float64) (Value, error) {
	// Negated, so that NaN is out of range.
	if !(raw >= g.low && raw <= g.high) {
		return Value{}, fmt.Errorf("it reads a %s of %.6g %s, and can measure %.6g to %.6g", g.name, raw, g.quantity.unit, g.low, g.high)
	}
	v := raw*g.cal.Scale + g.cal.Offset
	p := math.Pow10(g.digits)
	v = math.Round(v*p) / p
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return Value{}, fmt.Errorf("its calibration makes a %s of %v", g.name, v)
	}
	return Value{g.name, v + 0, g.cal.Unit}, nil // + 0: no -0
}

// values makes the values of a reading.
func values(gauges []gauge, raw []float64) ([]Value, error) {
	if len(raw) != len(gauges) {
		return nil, fmt.Errorf("it reads %d values instead of %d", len(raw), len(gauges))
	}
	all := make([]Value, len(gauges))
	for i := range gauges {
		v, err := gauges[i].value(raw[i])
		if err != nil {
			return nil, err
		}
		all[i] = v
	}
	return all, nil
}

// teller decides which readings are told at one destination.
type teller struct {
	deadbands              []float64
	every                  time.Duration
	minInterval, heartbeat time.Duration
	changes                bool // only what changed is told, as in a shadow

	last []Value // that was told; nil: none
	at   time.Time
}

func newTeller(s *Sensor, gauges []gauge, changes bool) *teller {
	t := &teller{every: s.Every, minInterval: s.MinInterval, heartbeat: s.Heartbeat, changes: changes}
	for _, g := range gauges {
		t.deadbands = append(t.deadbands, g.cal.Deadband)
		t.changes = t.changes || g.cal.Deadband > 0
	}
	return t
}

// tell tells whether a reading is to be told, and takes it for told then.
//
// Readings come now and then a little early or late; one that comes a tenth of
// the interval before its time is in time.
func (t *teller) tell(now time.Time, v []Value) bool {
	since := now.Sub(t.at) + t.every/10
	switch {
	case t.last == nil:
	case since < t.minInterval:
		return false
	case t.heartbeat > 0 && since >= t.heartbeat:
	case t.changes && !t.moved(v):
		return false
	}
	t.last, t.at = v, now
	return true
}

// moved tells whether a value has left its deadband. One without has when it is
// another, unless others of the sensor have one: then nobody asked for it.
func (t *teller) moved(v []Value) bool {
	some := false
	for _, d := range t.deadbands {
		some = some || d > 0
	}
	for i, d := range t.deadbands {
		far := math.Abs(v[i].Value - t.last[i].Value)
		if d > 0 && far >= d*(1-1e-9) || !some && far > 0 {
			return true
		}
	}
	return false
}

// payload is what a sensor publishes: its name, a key for each quantity, the
// units, the time (RFC 3339, UTC, with milliseconds; by the clock of the
// gateway), and whether the values are made up.
func payload(name string, v []Value, at time.Time, simulated bool) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"name":%s`, quote(name))
	for _, one := range v {
		fmt.Fprintf(&b, `,%s:%s`, quote(one.Quantity), decimal(one.Value))
	}
	b.WriteString(`,"units":{`)
	for i, one := range v {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `%s:%s`, quote(one.Quantity), quote(one.Unit))
	}
	fmt.Fprintf(&b, `},"at":%s`, quote(at.UTC().Format("2006-01-02T15:04:05.000Z07:00")))
	if simulated {
		b.WriteString(`,"simulated":true`)
	}
	b.WriteByte('}')
	return b.Bytes()
}

// reported is what a sensor reports to a shadow: the number, or an object with a
// key for each quantity. The shadow has the time.
func reported(v []Value) json.RawMessage {
	if len(v) == 1 {
		return json.RawMessage(decimal(v[0].Value))
	}
	var b bytes.Buffer
	for i, one := range v {
		b.WriteByte("{,"[min(i, 1)])
		fmt.Fprintf(&b, `%s:%s`, quote(one.Quantity), decimal(one.Value))
	}
	b.WriteByte('}')
	return b.Bytes()
}

func quote(s string) []byte {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // a text
	}
	return b
}
