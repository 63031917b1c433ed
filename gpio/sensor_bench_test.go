package gpio

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"
)

// BenchmarkSensorsAtRest measures what 20 simulated sensors cost that are read
// every second: four of five kinds, on two I2C buses and one 1-wire bus.
func BenchmarkSensorsAtRest(b *testing.B) {
	var sensors []Sensor
	for i := range 4 {
		for j, kind := range []string{"bme280", "ads1115", "ina219", "tmp102", "ds18b20"} {
			s := aSensor(kind)
			s.Name = fmt.Sprintf("%s-%d", kind, i)
			s.Bus = fmt.Sprint(1 + i/2)
			switch j {
			case 0:
				s.Address = fmt.Sprintf("0x%x", 0x76+i%2)
			case 1, 3: // 0x48 to 0x4b
				s.Address = fmt.Sprintf("0x%x", 0x48+i%2+j-1)
			case 2:
				s.Address = fmt.Sprintf("0x%x", 0x40+i%2)
			case 4:
				s.Bus, s.Address = "1", fmt.Sprintf("28-%012x", 0x55a+i)
			}
			if f := s.Check(); len(f) != 0 {
				b.Fatalf("%s: %+v", s.Name, f)
			}
			sensors = append(sensors, s)
		}
	}
	published := make(chan struct{}, 1<<16)
	bank := New(Options{
		Config:  Config{Driver: "sim", Sensors: sensors},
		Publish: func(string, []byte, string) { published <- struct{}{} },
	})
	if err := bank.Open(); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- bank.Run(ctx) }()
	for range 2 * len(sensors) { // they are set up
		<-published
	}
	const rest = 5 * time.Second
	var spent time.Duration
	for b.Loop() {
		before := cpuTime(b)
		<-time.After(rest)
		spent += cpuTime(b) - before
	}
	b.StopTimer()
	cancel()
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(100*spent.Seconds()/(rest.Seconds()*float64(b.N)), "%-of-a-core")
	b.ReportMetric(float64(len(published))/(rest.Seconds()*float64(b.N)), "readings/s")
	if f := bank.Faults(); len(f) != 0 {
		b.Errorf("faults: %+v", f)
	}
}

// cpuTime is what this process has used.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
