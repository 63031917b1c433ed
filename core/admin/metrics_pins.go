package admin

import "greengate/core/admin/client"

// Pins and sensors.
var (
	pinLevel      = gauge("pin_level", "Level of a pin: 1 on or pressed, 0 off or released, or a number in its own unit.", "pin", "kind")
	pinFaulty     = gauge("pin_faulty", "1 while something is wrong with the pin or sensor.", "pin", "kind")
	pinViolations = counter("pin_violations_total", "Commands that the contract of a pin refused.", "pin", "reason")
	pinMaxOn      = counter("pin_turned_off_total", "How often a pin was turned off because it was on for long.", "pin")
	pinHeld       = counter("pin_changes_held_back_total", "Changes of an input that a storm of edges kept it from telling.", "pin")
	pinLost       = counter("pin_edges_lost_total", "Edges of an input that came faster than they could be read.", "pin")
	sensorValue   = gauge("sensor_value", "The last good reading of a sensor, in the unit of the label.", "sensor", "quantity", "unit")
	sensorRead    = gauge("sensor_read_timestamp_seconds", "When the last good reading was taken.", "sensor")
	sensorErrors  = counter("sensor_errors_total", "Readings of a sensor that failed.", "sensor")
)

func pinFigures(pins []client.Pin, emit Emit) {
	for i := range pins {
		p := &pins[i]
		emit(pinFaulty, truth(p.Fault != ""), p.Name, p.Kind)
		if p.Kind == "sensor" {
			sensorFigures(p, emit)
			continue
		}
		if n, ok := number(p.Level); ok {
			emit(pinLevel, n, p.Name, p.Kind)
		}
		for reason, n := range p.Violations {
			emit(pinViolations, float64(n), p.Name, reason)
		}
		emit(pinMaxOn, float64(p.MaxOn), p.Name)
		emit(pinHeld, float64(p.Held), p.Name)
		emit(pinLost, float64(p.Lost), p.Name)
	}
}

func sensorFigures(p *client.Pin, emit Emit) {
	emit(sensorErrors, float64(p.Errors), p.Name)
	for _, v := range p.Values {
		emit(sensorValue, v.Value, p.Name, v.Quantity, v.Unit)
	}
	if p.At != nil {
		emit(sensorRead, float64(p.At.UnixMilli())/1000, p.Name)
	}
}
