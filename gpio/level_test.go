package gpio

import (
	"encoding/json"
	"testing"
)

func TestPercentAndDegrees(t *testing.T) {
	lit, dark, servo := level{true, 30}, level{}, degrees{180}
	for _, c := range []struct {
		scale   scale
		from    level
		payload string
		want    level
	}{
		{percent{}, dark, "40", level{true, 40}},
		{percent{}, dark, "40%", level{true, 40}},
		{percent{}, dark, `{"level": 12.5}`, level{true, 12.5}},
		{percent{}, dark, `"1"`, level{true, 1}},
		{percent{}, lit, "0", dark},
		{percent{}, lit, "-0", dark},
		{percent{}, lit, "off", dark},
		{percent{}, dark, "ON", level{true, 100}},
		{percent{}, lit, "toggle", dark},
		{percent{}, dark, `{"state":"toggle"}`, level{true, 100}},
		{servo, dark, "0", level{true, 0}},
		{servo, dark, `{"level":90.5}`, level{true, 90.5}},
		{servo, lit, "off", dark},
	} {
		if got, err := parse(c.scale, []byte(c.payload), c.from); err != nil || got != c.want {
			t.Errorf("%s: got %v, %v, want %v", c.payload, got, err, c.want)
		}
	}
	for _, p := range []string{"", "%", "101", "-1", "NaN", "1e999", "0x10", "forty", "null", "[4]", "4 0", `{"level":101}`} {
		if l, err := parse(percent{}, []byte(p), dark); err == nil {
			t.Errorf("%q is %v", p, l)
		}
	}
	for _, p := range []string{"", "181", "-1", "on", "toggle", "true", "null"} {
		if l, err := parse(servo, []byte(p), dark); err == nil {
			t.Errorf("%q is the angle %v", p, l)
		}
	}
}

func TestDesiredLevels(t *testing.T) {
	for _, c := range []struct {
		scale scale
		value string
		want  level
		ok    bool
	}{
		{percent{}, "40", level{true, 40}, true},
		{percent{}, "0.0", level{}, true},
		{percent{}, "true", level{true, 100}, true},
		{percent{}, `"off"`, level{}, true},
		{percent{}, "100.5", level{}, false},
		{percent{}, `"40"`, level{}, false},
		{percent{}, "null", level{}, false},
		{degrees{90}, "90", level{true, 90}, true},
		{degrees{90}, `"off"`, level{}, true},
		{degrees{90}, "91", level{}, false},
		{degrees{90}, "true", level{}, false},
	} {
		if l, ok := c.scale.desired(json.RawMessage(c.value)); ok != c.ok || ok && l != c.want {
			t.Errorf("%s: got %v, %v", c.value, l, ok)
		}
	}
}

func TestReportedLevels(t *testing.T) {
	for _, c := range []struct {
		scale scale
		level level
		want  string
	}{
		{onOff{"true"}, level{on: true}, "true"},
		{onOff{"true"}, level{}, "false"},
		{onOff{"R"}, level{on: true}, `"R"`},
		{onOff{"R"}, level{}, ""},
		{onOff{"1"}, level{on: true}, "1"},
		{percent{}, level{true, 12.5}, "12.5"},
		{percent{}, level{}, "0"},
		{degrees{180}, level{true, 0}, "0"},
		{degrees{180}, level{}, `"off"`},
	} {
		if got := c.scale.report(c.level); string(got) != c.want {
			t.Errorf("%v of %T: got %s, want %s", c.level, c.scale, got, c.want)
		}
	}
}
