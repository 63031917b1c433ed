package simbus

import (
	"hash/fnv"
	"math"
	"time"
)

// World tells what there is to measure now: `temperature` in °C, `humidity` in
// %, `pressure` in hPa, `illuminance` in lx, `co2` in ppm, `voltage` in V (with
// the number of the input behind it: `voltage0`) and `current` in A.
type World func(quantity string) float64

// What a Weather swings around, and how far.
var mild = map[string]struct{ middle, swing float64 }{
	"temperature": {21, 2},
	"humidity":    {45, 5},
	"pressure":    {1013, 3},
	"illuminance": {300, 120},
	"co2":         {650, 150},
	"voltage":     {5, 0.05},
	"voltage0":    {1.65, 0.5},
	"voltage1":    {1.2, 0.4},
	"voltage2":    {0.8, 0.3},
	"voltage3":    {0.4, 0.2},
	"current":     {0.4, 0.1},
}

// Weather is a World that changes slowly, so that somebody who looks sees it
// move. Two with different names are not in step.
func Weather(name string) World {
	h := fnv.New32a()
	h.Write([]byte(name))
	phase := float64(h.Sum32()%360) * math.Pi / 180
	return func(quantity string) float64 {
		m := mild[quantity]
		t := float64(time.Now().UnixMilli()) / 1000
		return m.middle + m.swing*math.Sin(2*math.Pi*t/300+phase)
	}
}
