package pi3_test

import (
	"encoding/json"
	"strings"
	"testing"

	"greengate/testvm/machine"
)

// The pins of the traffic light, as bits of the board's levels.
const (
	red    = 1 << 17
	yellow = 1 << 27
	green  = 1 << 22
	chime  = 1 << 5
	all    = red | yellow | green | chime
)

// What the gateway says of its pins is what the board's pins carry, from the start to
// its end.
func TestTrafficLight(t *testing.T) {
	p := boot(t, `  leds:
    - {name: red, pin: P1_11, thing: light, key: property, on: R, safe: on}
    - {name: yellow, pin: GPIO27, thing: light, key: property, on: Y}
    - {name: green, pin: GPIO22, thing: light, key: property, on: G}
    - {name: chime, pin: GPIO5}
`)
	if model := p.must("cat /proc/device-tree/model"); !strings.HasPrefix(model, "Raspberry Pi 3 Model B") {
		t.Fatalf("the board is a %q", model)
	}
	p.functions("in")
	p.suite()
	p.functions("in")

	p.start()
	p.functions("out")
	p.carry("at start, the safe levels", red)

	for _, c := range []struct {
		colour string
		levels uint32
	}{{"G", green}, {"Y", yellow}, {"R", red}} {
		p.must(on(`shadow update light '{"state": {"desired": {"property": "` + c.colour + `"}}}'`))
		p.carry("light "+c.colour, c.levels)
	}
	if list := p.must(on("gpio list")); !strings.Contains(list, "Raspberry Pi 3 Model B") {
		t.Errorf("the list does not say on which board this is:\n%s", list)
	}
	var list struct {
		GPIO []struct{ Name, Level, Mode, Fault string }
	}
	if err := json.Unmarshal([]byte(p.must(on("gpio list --json"))), &list); err != nil || len(list.GPIO) != 4 {
		t.Fatalf("the list has %+v (%v)", list.GPIO, err)
	}
	for _, pin := range list.GPIO {
		if pin.Mode != "ioctl-gpio" || pin.Fault != "" || (pin.Level == "on") != (pin.Name == "red") {
			t.Errorf("the list has %+v", pin)
		}
	}

	// Blinking is seen from outside, and ends as it began.
	stop, seen := make(chan struct{}), make(chan []uint32)
	go func() {
		states, err := p.watch(chime, stop)
		if err != nil {
			t.Error(err)
		}
		seen <- states
	}()
	p.must(on("gpio identify chime"))
	close(stop)
	if states := <-seen; len(states) < 5 || states[0] != 0 || states[len(states)-1] != 0 {
		t.Errorf("identify: the pin was seen to change %d times: %v", len(states)-1, states)
	}

	p.must(on("gpio set green on") + "; " + on("gpio set red off"))
	p.carry("set by hand", green)
	p.must("kill $gateway; wait $gateway")
	p.carry("after the end, the safe levels", red)

	// A gateway that is killed leaves its pins as they are; what systemd runs then makes
	// them safe.
	p.start()
	p.must(on("gpio set green on") + "; " + on("gpio set red off"))
	p.try("kill -9 $gateway; wait $gateway")
	p.must(on("gpio safe"))
	p.carry("after gpio safe, the safe levels", red)
}

// suite runs what of package gpio's suite for all boards needs nobody who moves an input.
func (p *pi) suite() {
	p.t.Helper()
	said := p.must("GREENGATE_TEST_ON_PI=yes /boards.test -test.v -test.run TestBoards/pi")
	verdicts := machine.Verdicts(said)
	for _, name := range []string{"Output", "NoSuchLine", "InUse", "Outputs"} {
		if verdicts["TestBoards/pi/"+name] != "PASS" {
			p.t.Errorf("%s did not pass on the board:\n%s", name, said)
		}
	}
}

// start starts the gateway, and waits until it runs.
func (p *pi) start() {
	p.t.Helper()
	p.must("greengate run --config /site/group.yaml >/tmp/log 2>&1 & gateway=$!")
	p.eventually("the gateway runs", func() bool {
		if _, code := p.try("kill -0 $gateway"); code != 0 {
			p.t.Fatalf("the gateway did not start: %s", p.must("cat /tmp/log"))
		}
		_, code := p.try(on("status"))
		return code == 0
	})
}

// on is a command of greengate on the board.
func on(command string) string { return "greengate --config /site/group.yaml " + command }

// functions checks what the pins of the light are.
func (p *pi) functions(want string) {
	p.t.Helper()
	for _, n := range []uint64{17, 27, 22, 5} {
		if is, err := p.function(n); err != nil || is != want {
			p.t.Errorf("GPIO%d is %s (%v), want %s", n, is, err, want)
		}
	}
}

// carry waits until the pins of the light have these levels.
func (p *pi) carry(when string, want uint32) {
	p.t.Helper()
	p.eventually(when, func() bool {
		levels, err := p.levels()
		if err != nil {
			p.t.Fatal(err)
		}
		return levels&all == want
	})
}
