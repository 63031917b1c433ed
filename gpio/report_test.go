package gpio

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// shadows takes reports, and refuses those to the keys that it has an error for.
type shadows struct {
	reports
	mu    sync.Mutex
	why   map[string]error // by key
	tries int              // that were refused
}

func (s *shadows) report(ctx context.Context, thing, key string, value json.RawMessage) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.why[key]; err != nil {
		s.tries++
		return err
	}
	return s.add(ctx, thing, key, value)
}

func (s *shadows) refuse(key string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.why = map[string]error{key: err}
}

// tried returns how many reports were refused since the last time.
func (s *shadows) tried() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.tries
	s.tries = 0
	return n
}

func (s *shadows) want(t *testing.T, want string) {
	t.Helper()
	synctest.Wait()
	if got := s.take(); got != want {
		t.Errorf("reported %s, want %s", got, want)
	}
}

// boundLight is the traffic light, whose bell has a key, too.
func boundLight() Config {
	c := trafficLight()
	c.Buttons[0].Thing, c.Buttons[0].Key = "light", "bell"
	return c
}

var errFull = errors.New("the disk is full")

// A shadow that refused the state of a button has it when it takes updates again:
// the last one, and no other key waits for that.
func TestReportRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s shadows
		var log bytes.Buffer
		b, w := openBank(t, Options{Config: boundLight(), Report: s.report, Log: slog.New(slog.NewTextHandler(&log, nil))})
		defer run(t, b)()
		w.drive(t, "GPIO22", false)
		time.Sleep(time.Second)
		s.want(t, "[light.bell=false light.bell=true]")

		s.refuse("bell", errFull)
		begin := time.Now()
		w.drive(t, "GPIO22", true)
		time.Sleep(time.Second)
		s.want(t, "[]")
		problem := "its state is not reported to bell of light: the disk is full"
		if f := b.Faults(); len(f) != 1 || f[0].Name != "bell" || f[0].Problem != problem || f[0].Since.Sub(begin) > time.Second {
			t.Errorf("faults %+v", f)
		}
		if p := b.List()[3]; p.Level != "released" || p.Fault != problem {
			t.Errorf("%+v", p)
		}
		b.Desired("light", []byte(`{"property":"G"}`), nil)
		s.want(t, `[light.property="G"]`)

		time.Sleep(time.Hour)
		if n := s.tried(); n < 60 || n > 66 {
			t.Errorf("it was tried %d times in an hour, want about once a minute", n)
		}
		s.refuse("", nil)
		time.Sleep(time.Minute)
		s.want(t, "[light.bell=false]")
		if f := b.Faults(); f != nil {
			t.Errorf("faults %+v", f)
		}
		time.Sleep(time.Hour)
		s.want(t, "[]")
		for _, line := range []string{"The state of a pin is not reported", "The state of the pin is reported again"} {
			if n := strings.Count(log.String(), line); n != 1 {
				t.Errorf("the log has %d lines %q:\n%s", n, line, log.String())
			}
		}
	})
}

// A newer state does not wait for the next try of the one that was refused: it may
// have room where that one had none.
func TestReportNewer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s shadows
		b, w := openBank(t, Options{Config: boundLight(), Report: s.report})
		s.refuse("bell", errFull)
		defer run(t, b)()
		time.Sleep(time.Hour)
		s.refuse("", nil)
		w.drive(t, "GPIO22", false)
		time.Sleep(2 * time.Second)
		s.want(t, "[light.bell=true]")

		b.Desired("light", []byte(`{"property":"G"}`), nil)
		s.want(t, `[light.property="G"]`)
		s.refuse("property", errFull)
		b.Desired("light", []byte(`{"property":"Y"}`), []byte(`{"property":"G"}`))
		time.Sleep(time.Hour)
		s.refuse("", nil)
		b.Desired("light", []byte(`{"property":"R"}`), []byte(`{"property":"G"}`))
		time.Sleep(2 * time.Second)
		s.want(t, `[light.property="R"]`)
	})
}

// What outputs show is reported once the shadow takes it, unless somebody else has.
func TestReportRefusedOutputs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s shadows
		b, w := openBank(t, Options{Config: trafficLight(), Report: s.report})
		defer run(t, b)()
		s.refuse("property", errFull)
		b.Desired("light", []byte(`{"property":"G"}`), []byte(`{"property":"R"}`))
		time.Sleep(time.Minute)
		wantLamps(t, w, "G")
		if f := b.Faults(); len(f) != 1 || f[0].Name != "red" || f[0].Problem != "its state is not reported to property of light: the disk is full" {
			t.Errorf("faults %+v", f)
		}
		b.Desired("light", []byte(`{"property":"Y"}`), []byte(`{"property":"R"}`))
		time.Sleep(time.Hour)
		s.refuse("", nil)
		time.Sleep(time.Minute)
		s.want(t, `[light.property="Y"]`)

		for _, c := range []struct{ desired, then, reported string }{
			{`{"property":"R"}`, `{"property":"R"}`, `{"property":"R"}`}, // the light itself has reported it
			{`{"property":"G"}`, `{}`, `{"property":"R"}`},               // nobody desires anything any more
		} {
			s.refuse("property", errFull)
			b.Desired("light", []byte(c.desired), []byte(`{"property":"Y"}`))
			time.Sleep(time.Minute)
			if f := b.Faults(); len(f) != 1 {
				t.Errorf("%s: faults %+v", c.desired, f)
			}
			s.refuse("", nil)
			b.Desired("light", []byte(c.then), []byte(c.reported))
			time.Sleep(time.Minute)
			s.want(t, "[]")
			if f := b.Faults(); f != nil {
				t.Errorf("%s: faults %+v", c.desired, f)
			}
		}
	})
}

// A lamp that went off by its contract while the shadow took nothing: what it shows
// by then is reported.
func TestReportRefusedContract(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s shadows
		b, _ := openBank(t, Options{Report: s.report, Config: Config{Driver: "sim", LEDs: []Output{
			{Name: "lamp", Pin: "GPIO17", Thing: "light", Key: "lamp", On: "true", Safe: "off", MaxOn: time.Hour},
		}}})
		defer run(t, b)()
		s.refuse("lamp", errFull)
		b.Desired("light", []byte(`{"lamp":true}`), nil)
		time.Sleep(time.Hour - time.Second)
		s.want(t, "[]")
		if n := s.tried(); n == 0 || len(b.Faults()) != 1 {
			t.Errorf("%d tries, faults %+v", n, b.Faults())
		}
		s.refuse("", nil)
		time.Sleep(3 * time.Second)
		s.want(t, "[light.lamp=false]")
	})
}

// What no time mends is not tried for ever, but with the next state, and when the
// group file has changed.
func TestReportFinal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s shadows
		b, w := openBank(t, Options{Config: boundLight(), Report: s.report})
		never := Final(errors.New("Thing not found"))
		s.refuse("bell", never)
		defer run(t, b)()
		time.Sleep(time.Hour)
		if n := s.tried(); n != 1 {
			t.Errorf("it was tried %d times", n)
		}
		w.drive(t, "GPIO22", false)
		time.Sleep(time.Hour)
		if n := s.tried(); n != 1 {
			t.Errorf("the next state was tried %d times", n)
		}
		if f := b.Faults(); len(f) != 1 || !strings.HasSuffix(f[0].Problem, ": Thing not found") {
			t.Errorf("faults %+v", f)
		}
		s.refuse("", nil)
		b.ReportAgain()
		s.want(t, "[light.bell=true]")
		if f := b.Faults(); f != nil {
			t.Errorf("faults %+v", f)
		}
	})
}

// A value that comes while an older one is being refused is not put back by it.
func TestReportRefusedLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told reports
		asked, answer := make(chan string), make(chan error)
		b, w := openBank(t, Options{Config: boundLight(), Report: func(ctx context.Context, thing, key string, value json.RawMessage) error {
			select {
			case asked <- string(value):
			case <-ctx.Done():
				return ctx.Err()
			}
			err := <-answer
			if err == nil {
				told.add(ctx, thing, key, value)
			}
			return err
		}})
		stop := run(t, b)
		for i := range 8 { // the back-off is at a minute by then
			if first := <-asked; first != "false" {
				t.Fatalf("try %d is of %s", i, first)
			}
			if i == 7 {
				w.drive(t, "GPIO22", false)
				time.Sleep(time.Second)
			}
			answer <- errFull
		}
		begin := time.Now()
		if second := <-asked; second != "true" || time.Since(begin) > 2*time.Second {
			t.Errorf("then %s was tried, after %v", second, time.Since(begin))
		}
		answer <- nil
		synctest.Wait()
		if got := told.take(); got != "[light.bell=true]" {
			t.Errorf("reported %s", got)
		}
		// A report that is on its way holds up no end.
		w.drive(t, "GPIO22", true)
		time.Sleep(time.Second)
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// What happens to outputs while their report is being refused counts.
func TestReportRefusedLateOutputs(t *testing.T) {
	for name, c := range map[string]struct{ desired, reported string }{
		"SomebodyElseReports": {`{"property":"G"}`, `{"property":"G"}`},
		"NobodyDesires":       {`{}`, `{"property":"R"}`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var s shadows
				answer := make(chan error)
				b, _ := openBank(t, Options{Config: trafficLight(), Report: func(ctx context.Context, thing, key string, value json.RawMessage) error {
					s.report(ctx, thing, key, value)
					return <-answer
				}})
				defer run(t, b)()
				b.Desired("light", []byte(`{"property":"G"}`), nil)
				s.want(t, `[light.property="G"]`)
				b.Desired("light", []byte(c.desired), []byte(c.reported))
				answer <- errFull
				time.Sleep(time.Hour)
				s.want(t, "[]")
				if f := b.Faults(); f != nil {
					t.Errorf("faults %+v", f)
				}
			})
		})
	}
}

// Where nobody takes reports any more none are tried.
func TestReportEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s shadows
		b, w := openBank(t, Options{Config: boundLight(), Report: s.report})
		s.refuse("bell", fmt.Errorf("the service has stopped: %w", context.Canceled))
		defer run(t, b)()
		w.drive(t, "GPIO22", false)
		time.Sleep(time.Hour)
		if n := s.tried(); n != 1 || b.Faults() != nil {
			t.Errorf("%d tries, faults %+v", n, b.Faults())
		}
	})
}
