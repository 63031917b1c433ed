package gpio

import (
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

// diary collects what inputs publish and report, without the time.
type diary struct {
	mu   sync.Mutex
	list []string
}

func (d *diary) add(line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.list = append(d.list, line)
}

func (d *diary) publish(topic string, payload []byte, from string) {
	d.add(topic + " " + string(payload))
}

func (d *diary) report(_ context.Context, thing, key string, value json.RawMessage) error {
	d.add(fmt.Sprintf("%s.%s=%s", thing, key, value))
	return nil
}

func (d *diary) take() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	list := d.list
	d.list = nil
	return list
}

// inputBank runs a Bank with those inputs on a simulated board.
func inputBank(t *testing.T, c Config, log *slog.Logger) (*Bank, simWorld, *diary) {
	t.Helper()
	d := &diary{}
	b, w := openBank(t, Options{Config: c, Publish: d.publish, Report: d.report, Log: log})
	stop := run(t, b)
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	synctest.Wait()
	return b, w, d
}

// wantDiary compares what was said since the last time; order counts within
// messages and within reports.
func wantDiary(t *testing.T, d *diary, want ...string) {
	t.Helper()
	synctest.Wait()
	got := d.take()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("said:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func TestInputTellsFromTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, w, d := inputBank(t, Config{Inputs: []Input{
			{Name: "door", Pin: "GPIO23", Pull: "up", Edges: "both", ActiveLow: true, Debounce: 20 * time.Millisecond, Topic: "home/door"},
		}}, nil)
		wantDiary(t, d, `home/door {"name":"door","on":false,"event":"start","at":"2000-01-01T00:00:00.000000Z","clock":"reading","simulated":true}`)
		at(time.Second)
		w.drive(t, "GPIO23", false)
		at(time.Second + 19*time.Millisecond)
		wantDiary(t, d)
		at(time.Second + 21*time.Millisecond)
		wantDiary(t, d, `home/door {"name":"door","on":true,"event":"falling","at":"2000-01-01T00:00:01.000000Z","clock":"kernel","simulated":true}`)
		if s := b.List()[0]; s.Kind != "input" || s.Level != "on" || s.Topic != "home/door" {
			t.Errorf("%+v", s)
		}
		at(2 * time.Second)
		w.drive(t, "GPIO23", true)
		at(3 * time.Second)
		wantDiary(t, d, `home/door {"name":"door","on":false,"event":"rising","at":"2000-01-01T00:00:02.000000Z","clock":"kernel","simulated":true}`)
	})
}

// The topic gets the edges that the file asks for, the shadow every state.
func TestInputEdgesAndShadow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, w, d := inputBank(t, Config{Inputs: []Input{
			{Name: "tank", Pin: "GPIO23", Pull: "down", Edges: "rising", Topic: "tank", Thing: "pump", Key: "full"},
		}}, nil)
		wantDiary(t, d, `tank {"name":"tank","on":false,"event":"start","at":"2000-01-01T00:00:00.000000Z","clock":"reading","simulated":true}`, "pump.full=false")
		at(time.Second)
		w.drive(t, "GPIO23", true)
		wantDiary(t, d, `tank {"name":"tank","on":true,"event":"rising","at":"2000-01-01T00:00:01.000000Z","clock":"kernel","simulated":true}`, "pump.full=true")
		w.drive(t, "GPIO23", false)
		wantDiary(t, d, "pump.full=false")
	})
}

// Without a hold every edge is told, with its own time, however late it is read.
func TestInputWithoutDebounce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, w, d := inputBank(t, Config{Inputs: []Input{{Name: "in", Pin: "GPIO23", Pull: "down", Edges: "both", Topic: "in"}}}, nil)
		synctest.Wait()
		d.take()
		for i := range 1000 { // a second of 1,000 edges
			w.drive(t, "GPIO23", i%2 == 0)
			time.Sleep(time.Millisecond)
		}
		synctest.Wait()
		list := d.take()
		if len(list) != 1000 || !strings.Contains(list[999], `"on":false,"event":"falling","at":"2000-01-01T00:00:00.999000Z","clock":"kernel"`) {
			t.Errorf("of 1,000 edges %d were told, the last: %s", len(list), list[len(list)-1])
		}
	})
}

// A level that no edge has told is found by looking, and says so.
func TestInputLostEdge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, w, d := inputBank(t, Config{Inputs: []Input{{Name: "in", Pin: "GPIO23", Pull: "down", Edges: "both", Topic: "in"}}}, nil)
		at(10 * time.Second)
		synctest.Wait()
		d.take()
		l, err := w.line("GPIO23")
		if err != nil {
			t.Fatal(err)
		}
		high := true
		l.mu.Lock()
		l.world = &high
		l.mu.Unlock()
		at(11 * time.Second)
		wantDiary(t, d, `in {"name":"in","on":true,"event":"rising","at":"2000-01-01T00:00:10.251000Z","clock":"reading","simulated":true}`)
	})
}

// What an input did while its line was lost is told when it is back.
func TestInputComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, w, d := inputBank(t, Config{Inputs: []Input{{Name: "in", Pin: "GPIO23", Pull: "down", Edges: "both", Topic: "in"}}}, nil)
		synctest.Wait()
		d.take()
		w.fail("GPIO23", errors.New("no such device"))
		time.Sleep(time.Millisecond)
		if s := b.List()[0]; s.Fault != "no such device" || s.Level != "unknown" {
			t.Errorf("%+v", s)
		}
		w.drive(t, "GPIO23", true)
		w.fail("GPIO23", nil)
		time.Sleep(2 * time.Second)
		if s := b.List()[0]; s.Fault != "" || s.Level != "on" {
			t.Errorf("%+v", s)
		}
		wantDiary(t, d, `in {"name":"in","on":true,"event":"rising","at":"2000-01-01T00:00:01.000000Z","clock":"reading","simulated":true}`)
	})
}

func TestDebounceByTheTimesOfEdges(t *testing.T) {
	begin := time.Now()
	ms := func(n int) time.Time { return begin.Add(time.Duration(n) * time.Millisecond) }
	for _, c := range []struct {
		name  string
		edges []edge
		want  string
	}{
		{"steady", []edge{{ms(0), true, 0}, {ms(20), false, 0}}, "true@0"},
		{"too short", []edge{{ms(0), true, 0}, {ms(19), false, 0}}, ""},
		{"a pulse, read late", []edge{{ms(0), true, 0}, {ms(30), false, 0}, {ms(60), true, 0}}, "true@0 false@30"},
		{"bounces", []edge{{ms(0), true, 0}, {ms(5), false, 0}, {ms(6), true, 0}, {ms(27), false, 0}}, "true@6"},
		{"edges are missing in between", []edge{{ms(0), true, 0}, {ms(100), false, 8}, {ms(130), true, 0}}, ""},
		{"the same edge twice: one is missing", []edge{{ms(0), true, 0}, {ms(100), true, 0}, {ms(119), false, 0}}, ""},
	} {
		d := debounce{hold: 20 * time.Millisecond}
		d.begin(false)
		var got []string
		for _, e := range c.edges {
			if x, ok := d.edge(e); ok {
				got = append(got, fmt.Sprintf("%v@%d", x.level, x.at.Sub(begin).Milliseconds()))
			}
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s: %q, want %q", c.name, s, c.want)
		}
	}

	// A look that is quicker than the edge that it saw leaves the time to the edge.
	d := debounce{hold: 20 * time.Millisecond}
	d.begin(false)
	d.look(ms(3), true)
	if !d.looked {
		t.Error("a look saw nothing")
	}
	d.edge(edge{at: ms(1), rising: true})
	if c, ok := d.look(ms(21), true); !ok || c.looked || !c.at.Equal(ms(1)) {
		t.Errorf("%+v, %v", c, ok)
	}
}
