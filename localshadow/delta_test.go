package localshadow_test

import (
	"strings"
	"testing"
)

// The delta, rule by rule: aws-iot.md 1.5. Those that the live service confirmed
// are in moto's test_delta_calculation and test_update_desired (aws_verified).
func TestDelta(t *testing.T) {
	for _, c := range []struct{ rule, desired, reported, want string }{
		{"a key that differs (aws_verified)", `{"online":true}`, `{"online":false}`, `{"online":true}`},
		{"a key that reported lacks (aws_verified)", `{"enabled":true}`, `{"online":true}`, `{"enabled":true}`},
		{"no reported at all (aws_verified)", `{"enabled":true}`, `{}`, `{"enabled":true}`},
		{"keys only in reported never appear (aws_verified)", `{"enabled":true}`, `{"online":false,"enabled":true}`, ``},
		{"no desired at all (aws_verified)", `{}`, `{"online":false}`, ``},
		{"an array is copied whole (aws_verified)", `{"list":["value_1"]}`, `{"list":["value_1","value_2"]}`, `{"list":["value_1"]}`},
		{"nested arrays (aws_verified)", `{"list":[["value_1"]]}`, `{"list":[["value_1"],["value_2"]]}`, `{"list":[["value_1"]]}`},
		{"an array in an object (aws_verified)", `{"a":{"b":["c","d"]}}`, `{"a":{"b":["d"]}}`, `{"a":{"b":["c","d"]}}`},
		{"only what differs of an object (aws_verified)", `{"a":{"b":{"c":"d2"}}}`, `{"a":{"b":{"c":"d","e":"f"}}}`, `{"a":{"b":{"c":"d2"}}}`},
		{"an object that is missing (aws_verified)", `{"a1":{"b1":{"c":"d"}},"a2":{"b2":"sth"}}`, `{"a1":{"b1":{"c":"d"}}}`, `{"a2":{"b2":"sth"}}`},
		{"a member that is missing (aws_verified)", `{"a":{"b1":{"c":"d"},"b2":"sth"}}`, `{"a":{"b1":{"c":"d"}}}`, `{"a":{"b2":"sth"}}`},
		{"empty objects count (aws_verified)", `{"a":1,"b":{"c":{}},"d":{}}`, `{}`, `{"a":1,"b":{"c":{}},"d":{}}`},
		{"an empty object wants nothing of an object", `{"a":{}}`, `{"a":{"b":1}}`, ``},
		{"types that do not match are copied whole", `{"a":{"x":1},"b":1,"c":[1]}`, `{"a":1,"b":{"x":1},"c":{"x":1}}`, `{"a":{"x":1},"b":1,"c":[1]}`},
		{"the order of keys does not count", `{"a":[{"x":1,"y":2}]}`, `{"a":[{"y":2,"x":1}]}`, ``},
		{"equal arrays", `{"a":[1,[2,{"b":null}]]}`, `{"a":[1,[2,{"b":null}]]}`, ``},
		{"the order of elements counts", `{"a":[1,2]}`, `{"a":[2,1]}`, `{"a":[1,2]}`},
		{"numbers are compared by value (Greengrass; rules.go 5)",
			`{"a":1,"b":100,"c":0.10,"d":-0,"e":[1.50],"f":1E2,"g":120e-1}`, `{"a":1.0,"b":1e2,"c":1e-1,"d":0.0,"e":[15e-1],"f":100,"g":12}`, ``},
		{"and exactly", `{"a":9007199254740993,"b":0.1,"c":1,"d":10}`, `{"a":9007199254740992,"b":0.10000000000000001,"c":-1,"d":1}`,
			`{"a":9007199254740993,"b":0.1,"c":1,"d":10}`},
		{"and without bounds", `{"a":1e400,"b":1e-99999999999999999999,"c":1e99999999999999999999}`, `{"a":10e399,"b":1e-99999999999999999998,"c":1e99999999999999999999}`,
			`{"b":1e-99999999999999999999}`},
		{"large objects", `{"a":` + members(40, "1", 1) + `}`, `{"a":` + members(40, "1.0", 1) + `}`, ``},
		{"a number is no string, false no null's kin", `{"a":"1","b":false}`, `{"a":1,"b":0}`, `{"a":"1","b":false}`},
		{"one string, written in two ways", `{"a":"\u0041\/"}`, `{"\u0061":"A/"}`, ``},
	} {
		t.Run(c.rule, func(t *testing.T) {
			s := given(t, `{"desired":`+c.desired+`}`)
			a := s.update(`{"state":{"reported":` + c.reported + `},"clientToken":"t"}`)
			got := string(a.Delta)
			if c.want != "" {
				prefix, rest, _ := strings.Cut(got, `,"metadata":`)
				same(t, "the delta's state", prefix, `{"state":`+c.want)
				if !strings.HasSuffix(rest, `,"version":2,"timestamp":1730481958,"clientToken":"t"}`) {
					t.Errorf("the delta ends with %s", rest)
				}
			} else if got != "" {
				t.Errorf("there is a delta: %s", got)
			}
			wantGet := ""
			if c.want != "" {
				wantGet = `,"delta":` + c.want + `},"metadata":`
			}
			if get := s.get(""); strings.Contains(get, `"delta"`) != (c.want != "") || !strings.Contains(get, wantGet) {
				t.Errorf("get: %s", get)
			}
			if has, err := s.doc.HasDelta(); err != nil || has != (c.want != "") {
				t.Errorf("HasDelta: %v, %v", has, err)
			}
		})
	}
}

// A delta message carries all differences, not only those of this request, each
// with the time of desired: aws-iot.md 1.5.
func TestDeltaIsWhole(t *testing.T) {
	s := given(t, `{"desired":{"a":1,"o":{"x":1,"y":[1]}},"reported":{"o":{"x":1}}}`)
	s.now++
	a := s.update(`{"state":{"desired":{"o":{"z":{}}}}}`)
	same(t, "delta", string(a.Delta), `{"state":{"a":1,"o":{"y":[1],"z":{}}},`+
		`"metadata":{"a":{"timestamp":1730481958},"o":{"y":[{"timestamp":1730481958}],"z":{}}},"version":2,"timestamp":1730481959}`)
	// It is sent again after an update that changes nothing of it.
	if a = s.update(`{"state":{"reported":{"other":1}}}`); a.Delta == nil {
		t.Error("no delta after a reported update that leaves the difference (captured)")
	}
	// It is not sent when the difference vanishes with desired (js SDK #52).
	if a = s.update(`{"state":{"desired":null}}`); a.Delta != nil {
		t.Errorf("a delta without desired: %s", a.Delta)
	}
}

// An object of many members in the place of a value is found again member by
// member.
func TestDeltaOfReplaced(t *testing.T) {
	s := given(t, `{"desired":{"a":`+members(40, "1", 1)+`},"reported":{"a":1}}`)
	if a := s.update(`{"state":{"reported":{"a":` + members(40, "1", 1) + `}}}`); a.Delta != nil {
		t.Errorf("there is a delta: %s", a.Delta)
	}
	s = given(t, `{"desired":{"a":{"k1":1}},"reported":{"a":1}}`)
	if a := s.update(`{"state":{"reported":{"a":` + members(40, "1", 1) + `}}}`); a.Delta != nil {
		t.Errorf("there is a delta: %s", a.Delta)
	}
}
