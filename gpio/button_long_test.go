package gpio

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// told is what the button of these tests publishes.
func told(what string, pressed bool, held, at string) string {
	if held != "" {
		held = `,"held":` + held
	}
	return fmt.Sprintf(`bell {"name":"bell","pressed":%v,"event":%q%s,"at":"2000-01-01T00:00:%sZ","clock":"kernel","simulated":true}`, pressed, what, held, at)
}

func TestButtonLong(t *testing.T) {
	const ms = time.Millisecond
	synctest.Test(t, func(t *testing.T) {
		_, w, d := inputBank(t, Config{Buttons: []Button{
			{Name: "bell", Pin: "GPIO23", Pull: "up", Debounce: 20 * ms, Long: time.Second, Topic: "bell"},
		}}, nil)
		move := func(when time.Duration, level bool) { at(when); w.drive(t, "GPIO23", level) }

		move(1000*ms, false)
		at(1999 * ms)
		wantDiary(t, d, told("press", true, "", "01.000000"))
		at(2000 * ms)
		wantDiary(t, d, told("long", true, "1", "02.000000")) // while it is held down, and once
		move(5500*ms, true)
		at(6000 * ms)
		wantDiary(t, d, told("release", false, "4.5", "05.500000"))

		move(10000*ms, false)
		move(10999*ms, true) // released just before, which counts only 20 ms later
		at(11500 * ms)
		wantDiary(t, d, told("press", true, "", "10.000000"), told("release", false, "0.999", "10.999000"))

		move(20000*ms, false)
		move(20990*ms, true)
		move(20995*ms, false) // a bounce just before its time comes does not count
		at(20999 * ms)
		wantDiary(t, d, told("press", true, "", "20.000000"))
		at(21001 * ms)
		wantDiary(t, d, told("long", true, "1", "21.000000"))
	})
}

// A long press that is read late, all at once, is told all the same.
func TestButtonLongReadLate(t *testing.T) {
	k := newButton(New(Options{}), Button{Name: "bell", Pull: "down", Long: time.Second, Topic: "bell"}, "")
	var d diary
	k.bank.o.Publish = d.publish
	begin := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	k.take(edge{at: begin, rising: true})
	k.take(edge{at: begin.Add(3 * time.Second)})
	list := d.take()
	if len(list) != 3 || list[1] != `bell {"name":"bell","pressed":true,"event":"long","held":1,"at":"2000-01-01T00:00:01.000000Z","clock":"kernel"}` {
		t.Errorf("said %q", list)
	}
}

func TestButtonDouble(t *testing.T) {
	const ms = time.Millisecond
	synctest.Test(t, func(t *testing.T) {
		_, w, d := inputBank(t, Config{Buttons: []Button{
			{Name: "bell", Pin: "GPIO23", Pull: "up", Debounce: 10 * ms, Double: 400 * ms, Topic: "bell"},
		}}, nil)
		click := func(when time.Duration) {
			at(when)
			w.drive(t, "GPIO23", false)
			at(when + 50*ms)
			w.drive(t, "GPIO23", true)
			at(when + 100*ms)
		}
		for i, when := range []time.Duration{1000, 1150, 1300, 1701, 2101} {
			click(when * ms)
			want := []string{told("press", true, "", fmt.Sprintf("%02d.%03d000", when/1000, when%1000))}
			if i == 1 || i == 4 { // the third begins anew, the fourth is too late for it
				want = append(want, told("double", true, "", fmt.Sprintf("%02d.%03d000", when/1000, when%1000)))
			}
			wantDiary(t, d, append(want, told("release", false, "0.05", fmt.Sprintf("%02d.%03d000", (when+50)/1000, (when+50)%1000)))...)
		}
	})
}

// A shadow has the state of a button from the start on. A button that is held down
// at start has not been pressed.
func TestButtonShadow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &diary{}
		w := simWorld{newSim()}
		w.drive(t, "GPIO23", false)
		b := newBank(Options{
			Config: Config{Buttons: []Button{
				{Name: "walk", Pin: "GPIO23", Pull: "up", Long: time.Second, Thing: "light", Key: "walk"},
			}},
			Publish: d.publish, Report: d.report,
		}, w.sim)
		if err := b.Open(); err != nil {
			t.Fatal(err)
		}
		defer run(t, b)()
		time.Sleep(5 * time.Second)
		wantDiary(t, d, "light.walk=true")
		if s := b.List()[0]; s.Level != "pressed" || s.Thing != "light" || s.Key != "walk" {
			t.Errorf("%+v", s)
		}
		w.drive(t, "GPIO23", true)
		wantDiary(t, d, "light.walk=false")
		w.drive(t, "GPIO23", false)
		wantDiary(t, d, "light.walk=true")
	})
}
