package main_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// The traffic light of the AWS tutorial, as its own rows allow it and as one row
// of ours does: a switch wants a colour, a light takes and reports it, and lamps
// at the gateway's own pins follow.

const light = "GG_TrafficLight"

// lamps is the gpio section of a gateway with the three lamps of the light.
var lamps = map[string]any{"driver": "sim", "leds": []map[string]any{
	{"name": "red", "pin": "GPIO17", "thing": light, "key": "property", "on": "R"},
	{"name": "yellow", "pin": "GPIO27", "thing": light, "key": "property", "on": "Y"},
	{"name": "green", "pin": "GPIO22", "thing": light, "key": "property", "on": "G"},
}}

// tutorialRows are the seven of the Greengrass V1 tutorial (greengrass-v1.md 2).
func tutorialRows() []row {
	topic := func(rest string) string { return shadowTopic(light, "", rest) }
	return []row{
		{From: "GG_Switch", Topic: topic("update"), To: "shadow"},
		{From: "shadow", Topic: topic("update/accepted"), To: "GG_Switch"},
		{From: "shadow", Topic: topic("update/rejected"), To: "GG_Switch"},
		{From: light, Topic: topic("update"), To: "shadow"},
		{From: "shadow", Topic: topic("update/delta"), To: light},
		{From: "shadow", Topic: topic("update/accepted"), To: light},
		{From: "shadow", Topic: topic("update/rejected"), To: light},
	}
}

// lit are the LEDs that are on.
func (g *gateway) lit() []string {
	g.t.Helper()
	on := []string{}
	for _, pin := range *g.status().GPIO {
		switch {
		case pin.Mode != "sim" || pin.Fault != "" || pin.Level != "on" && pin.Level != "off":
			g.t.Errorf("status shows the pin %+v", pin)
		case pin.Level == "on":
			on = append(on, pin.Name)
		}
	}
	return on
}

// shows waits until exactly these LEDs are on.
func (g *gateway) shows(names ...string) {
	g.t.Helper()
	var seen []string
	eventually(g.t, fmt.Sprintf("the LEDs %q are on", names), func() bool {
		seen = g.lit()
		return slices.Equal(seen, names)
	}, &seen)
}

// explained is what `explain --json` tells.
type explained struct {
	Allowed   bool
	Receivers []string
	Reason    string
	Suggest   string
	Rows      []struct {
		Line int
		Text string
	}
}

func (s *site) explain(args ...string) (e explained) {
	s.t.Helper()
	if out := s.greengate(append([]string{"explain", "--json"}, args...)...); json.Unmarshal([]byte(out), &e) != nil {
		s.t.Fatalf("explain --json is no such document: %s", out)
	}
	return e
}

func TestTrafficLight(t *testing.T) {
	for _, c := range []struct {
		name string
		own  bool
		rows []row
	}{
		{"the seven rows of the tutorial", false, tutorialRows()},
		{"one shadow row", true, []row{{From: "GG_Switch", Shadow: light, May: []string{"update"}}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, "GG_Switch", light)
			s.set(c.own, "own_shadows")
			s.set(lamps, "gpio")
			s.rows(c.rows...)
			g := s.start()
			host, port := s.hostPort()
			remote := s.node("light.js", host, port, light, "")
			remote.says("ready")
			g.shows()
			for _, colour := range [][2]string{{"G", "green"}, {"Y", "yellow"}, {"R", "red"}} {
				control := s.node("light.js", host, port, "GG_Switch", colour[0])
				control.says("ready", `accepted {"desired":{"property":"`+colour[0]+`"}}`, "bye")
				control.end()
				remote.says(`accepted {"reported":{"property":"` + colour[0] + `"}}`)
				g.shows(colour[1])
			}
			remote.says("bye")
			remote.end()
			// Light and lamps have reported: nothing is left to do.
			if st := g.status().Shadows; len(st.List) != 1 || st.List[0].Thing != light || st.List[0].Delta {
				t.Errorf("status shows the shadows %+v", st)
			}
			if st := g.status(); len(st.Faults) > 0 {
				t.Errorf("status shows faults: %+v", st.Faults)
			}

			// A restart: nobody is there to ask, and the lamp is lit again.
			g.stop()
			g = s.start()
			g.shows("red")
		})
	}
}

// TestTrafficLightRows: which rows the tutorial's programs use, and what they do
// not let pass.
func TestTrafficLightRows(t *testing.T) {
	t.Parallel()
	s := newSite(t, "GG_Switch", light)
	s.set(false, "own_shadows")
	s.rows(tutorialRows()...)
	g := s.start()
	control, remote := s.connect("GG_Switch"), s.connect(light)
	topic := func(rest string) string { return shadowTopic(light, "", rest) }
	control.subscribe(topic("#"))
	remote.subscribe(topic("#"))
	for _, forbidden := range []struct {
		from  *device
		topic string
	}{
		{control, topic("get")}, {control, topic("delete")}, {control, topic("update/delta")},
		{control, shadowTopic(light, "other", "update")}, {remote, topic("get")}, {remote, topic("delete")},
	} {
		if code := forbidden.from.publish(forbidden.topic, "{}"); code != notAuthorized {
			t.Errorf("%s publishes to %s: %#x, want %#x", forbidden.from.thing, forbidden.topic, code, notAuthorized)
		}
	}
	control.publish(topic("update"), `{"state":{"desired":{"property":"G"}}}`)
	remote.publish(topic("update"), `{"state":{"reported":{"property":"G"}}}`)
	remote.publish(topic("update"), `{"state":5}`)
	heard := func(d *device, topics ...string) {
		t.Helper()
		for _, want := range topics {
			if p := d.next(); p.Topic != topic(want) {
				t.Fatalf("%s heard %s: %s, want %s", d.thing, p.Topic, p.Payload, want)
			}
		}
	}
	heard(control, "update/accepted", "update/accepted", "update/rejected") // and neither delta nor documents
	heard(remote, "update/delta", "update/accepted", "update/accepted", "update/rejected")

	// Six that no row allows, and the documents of two updates, which are for nobody.
	g.counts(ledger{Accepted: 18, Delivered: 10, Refused: 8})
	used := map[string]int64{}
	for _, r := range g.status().Routes {
		used[r.Text] += r.Delivered
		if !r.balanced() {
			t.Errorf("the row %s does not balance: %+v", r.Text, r.ledger)
		}
	}
	if got := slices.Sorted(maps.Values(used)); !slices.Equal(got, []int64{1, 1, 1, 1, 2, 2, 2}) {
		t.Errorf("the rows delivered %v", used)
	}
}

// TestExplainKnowsShadows asks the running gateway, and the file without one.
func TestExplainKnowsShadows(t *testing.T) {
	t.Parallel()
	s := newSite(t, "GG_Switch", light, "stranger")
	s.rows(
		row{From: "GG_Switch", Shadow: light, May: []string{"update"}},
		row{From: "shadow", Topic: shadowTopic("+", "", "update/documents"), To: "stranger"},
	)
	g := s.start()
	for range 2 {
		for _, c := range []struct {
			args      []string
			allowed   bool
			receivers string
			row       string // a piece of the row, or of the row to add
		}{
			{[]string{"--from", "GG_Switch", "--topic", shadowTopic(light, "", "update")}, true, "shadow", "shadow: " + light},
			{[]string{"--from", "GG_Switch", "--topic", shadowTopic(light, "config", "update")}, true, "shadow", "shadow: " + light},
			{[]string{"--from", light, "--topic", shadowTopic(light, "", "get")}, true, "shadow", "own_shadows: true"},
			{[]string{"--from", "shadow", "--topic", shadowTopic(light, "", "update/accepted")}, true, "GG_Switch " + light, ""},
			{[]string{"--from", "shadow", "--topic", shadowTopic(light, "", "update/documents")}, true, light + " stranger", ""},
			{[]string{"--from", "shadow", "--topic", shadowTopic(light, "", "update/delta"), "--to", "GG_Switch"}, false, "",
				"{from: GG_Switch, shadow: " + light + ", may: [watch]}"},
			{[]string{"--from", "GG_Switch", "--topic", shadowTopic(light, "", "delete")}, false, "", "{from: GG_Switch, shadow: " + light + ", may: [delete]}"},
			{[]string{"--from", "stranger", "--topic", shadowTopic(light, "", "get")}, false, "", "{from: stranger, shadow: " + light + ", may: [get]}"},
		} {
			e := s.explain(c.args...)
			text := e.Suggest
			for _, r := range e.Rows {
				text += r.Text + "\n"
			}
			if e.Allowed != c.allowed || strings.Join(e.Receivers, " ") != c.receivers || !strings.Contains(text, c.row) || e.Allowed == (e.Reason != "") {
				t.Errorf("explain %q: %+v", c.args, e)
			}
		}
		g.stop()
	}
}

// TestMessagesDrivePins: an LED as the target of a row.
func TestMessagesDrivePins(t *testing.T) {
	t.Parallel()
	s := newSite(t, "GG_Switch", light, "stranger")
	s.set(lamps, "gpio")
	s.rows(row{From: "GG_Switch", Topic: "lamp/#", To: "gpio:red"})
	g := s.start()
	control, stranger := s.connect("GG_Switch"), s.connect("stranger")
	if code := stranger.publish("lamp", "on"); code != notAuthorized {
		t.Errorf("a stranger switches the lamp: %#x, want %#x", code, notAuthorized)
	}
	for _, c := range []struct {
		payload string
		lit     []string
	}{
		{"on", []string{"red"}}, {"off", nil}, {"toggle", []string{"red"}}, {`{"state":"off"}`, nil}, {"1", []string{"red"}},
		{"nonsense", []string{"red"}}, {"", []string{"red"}},
	} {
		control.publish("lamp", c.payload)
		if got := g.lit(); !slices.Equal(got, c.lit) && len(got)+len(c.lit) > 0 {
			t.Errorf("after %q the LEDs %q are on, want %q", c.payload, got, c.lit)
		}
	}
	g.counts(ledger{Accepted: 8, Delivered: 5, Refused: 3})
}

// TestTrafficLightByHand: the commands do what a switch, a light and a finger
// would.
func TestTrafficLightByHand(t *testing.T) {
	t.Parallel()
	s := newSite(t, light, "display")
	s.set(map[string]any{
		"driver": "sim", "leds": lamps["leds"],
		"buttons": []map[string]any{{"name": "bell", "pin": "GPIO5", "topic": "home/bell"}},
	}, "gpio")
	s.rows(row{From: "gpio:bell", Topic: "home/#", To: "display"})
	g := s.start()
	remote, display := s.connect(light), s.connect("display")
	remote.subscribe(shadowTopic(light, "", "update/delta"))
	display.subscribe("home/#")

	g.greengate("shadow", "update", light, `{"state":{"desired":{"property":"Y"}}}`)
	if p := remote.next(); !strings.Contains(string(p.Payload), `"state":{"property":"Y"}`) {
		t.Errorf("the light heard %s: %s", p.Topic, p.Payload)
	}
	eventually(t, "the yellow lamp is lit and reported", func() bool {
		var got document
		if out := g.greengate("shadow", "get", light, "--json"); json.Unmarshal([]byte(out), &got) != nil {
			t.Fatalf("shadow get --json printed %s", out)
		}
		return got.State.Reported["property"] == "Y"
	})

	g.greengate("gpio", "press", "bell")
	for _, level := range []string{`"pressed":true`, `"pressed":false`} {
		if p := display.next(); p.Topic != "home/bell" || !strings.Contains(string(p.Payload), level) {
			t.Errorf("the display heard %s: %s, want %s", p.Topic, p.Payload, level)
		}
	}
	if out := g.greengate("gpio", "list"); !strings.Contains(out, "yellow") || !strings.Contains(out, "bell") {
		t.Errorf("gpio list printed\n%s", out)
	}
	g.greengate("shadow", "delete", light)
	g.fails(1, "shadow", "get", light)
}
