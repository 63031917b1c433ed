package main_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// reported are the reported values of the one shadow that there is.
func (g *gateway) reported(thing string) map[string]any {
	g.t.Helper()
	if g.status().Shadows.Count == 0 {
		return nil
	}
	var d struct {
		State struct{ Reported map[string]any }
	}
	if out := g.greengate("shadow", "get", thing); json.Unmarshal([]byte(out), &d) != nil {
		g.t.Fatalf("shadow get is no such document: %s", out)
	}
	return d.State.Reported
}

// wantReported waits until the shadow reports that and nothing is wrong with a pin.
func (g *gateway) wantReported(thing string, want map[string]any) {
	g.t.Helper()
	var seen map[string]any
	var faults []fault
	eventually(g.t, fmt.Sprintf("%s reports %v", thing, want), func() bool {
		seen, faults = g.reported(thing), g.faultsOf("gpio")
		return reflect.DeepEqual(seen, want) && len(faults) == 0
	}, &seen, &faults)
}

// TestPinReportedLater: a shadow without room refuses what the pins show. That is a
// fault, and the shadow has it as soon as there is room.
func TestPinReportedLater(t *testing.T) {
	t.Parallel()
	s := newSite(t, light)
	s.set(map[string]any{
		"driver": "sim", "leds": lamps["leds"],
		"buttons": []map[string]any{{"name": "bell", "pin": "GPIO5", "thing": light, "key": "bell"}},
	}, "gpio")
	g := s.start()
	g.wantReported(light, map[string]any{"bell": false})

	desired := `{"property":"G"}`
	fill := strings.Repeat("x", 8192-len(`{"fill":""}`)-len(desired))
	g.greengate("shadow", "update", light, `{"state":{"reported":{"bell":null,"fill":"`+fill+`"}}}`)
	g.greengate("shadow", "update", light, `{"state":{"desired":`+desired+`}}`)
	g.greengate("gpio", "press", "bell", "--hold", "1ms")
	var faults []fault
	eventually(t, "what is not reported are faults", func() bool {
		faults = g.faultsOf("gpio")
		return len(faults) == 2
	}, &faults)
	why := " of " + light + ": The payload exceeds the maximum size allowed (make room: `greengate shadow list` shows what the shadows hold)"
	if faults[0].Message != "red GPIO17: its state is not reported to property"+why || faults[1].Message != "bell GPIO5: its state is not reported to bell"+why {
		t.Errorf("faults %+v", faults)
	}
	for _, pin := range *g.status().GPIO {
		if want := map[string]string{"green": "on", "bell": "released"}[pin.Name]; want != "" && pin.Level != want {
			t.Errorf("status shows the pin %+v", pin)
		}
	}
	g.greengate("shadow", "update", light, `{"state":{"reported":{"fill":null}}}`)
	g.wantReported(light, map[string]any{"property": "G", "bell": false})
	if list := g.status().Shadows.List; list[0].Delta {
		t.Errorf("status shows the shadows %+v", list)
	}
}

// TestPinWithoutShadow: a pin that is bound to a thing without a shadow is a fault
// until the file is mended, and fills no log.
func TestPinWithoutShadow(t *testing.T) {
	t.Parallel()
	s := newSite(t, light)
	s.set([]map[string]any{{"thing": light, "shadow": "none"}}, "devices")
	s.set(map[string]any{
		"driver": "sim", "buttons": []map[string]any{{"name": "bell", "pin": "GPIO5", "thing": light, "key": "bell"}},
	}, "gpio")
	g := s.start()
	g.greengate("gpio", "press", "bell", "--hold", "1ms", "--times", "3")
	var faults []fault
	eventually(t, "it is a fault", func() bool {
		faults = g.faultsOf("gpio")
		return len(faults) == 1 && strings.Contains(faults[0].Message, "Thing not found ("+light+" has `shadow: none`")
	}, &faults)
	s.set([]map[string]any{{"thing": light, "shadow": "local"}}, "devices")
	g.reload()
	eventually(t, "it is reported", func() bool { return strings.Contains(g.log.String(), "is reported again") })
	g.wantReported(light, map[string]any{"bell": false})
	if n := strings.Count(g.log.String(), "is not reported"); n != 1 {
		t.Errorf("the log tells it %d times", n)
	}
}
