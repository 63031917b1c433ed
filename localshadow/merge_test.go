package localshadow_test

import (
	"testing"
)

// The merge, rule by rule: aws-iot.md 1.4.
func TestMerge(t *testing.T) {
	for _, c := range []struct{ rule, state, request, want string }{
		{"only the fields sent change (AWS: device-shadow-data-flow)",
			`{"desired":{"a":1,"b":2}}`, `{"desired":{"b":3}}`, `{"desired":{"a":1,"b":3}}`},
		{"objects merge (AWS: device-shadow-document)",
			`{"desired":{"c":{"r":1,"g":2}}}`, `{"desired":{"c":{"g":3,"b":4}}}`, `{"desired":{"c":{"r":1,"g":3,"b":4}}}`},
		{"a section that is not named stays",
			`{"desired":{"a":1},"reported":{"a":2}}`, `{"reported":{"a":3}}`, `{"desired":{"a":1},"reported":{"a":3}}`},
		{"arrays are replaced whole (AWS: device-shadow-document, arrays)",
			`{"desired":{"colors":["RED","GREEN","BLUE"]}}`, `{"desired":{"colors":["RED"]}}`, `{"desired":{"colors":["RED"]}}`},
		{"an object in an array is not merged",
			`{"desired":{"l":[{"a":1,"b":2}]}}`, `{"desired":{"l":[{"a":3}]}}`, `{"desired":{"l":[{"a":3}]}}`},
		{"a scalar becomes an object (moto, aws_verified)",
			`{"desired":{"c":3}}`, `{"desired":{"c":{"d":3}}}`, `{"desired":{"c":{"d":3}}}`},
		{"an object becomes a scalar", `{"desired":{"c":{"d":3}}}`, `{"desired":{"c":"x"}}`, `{"desired":{"c":"x"}}`},
		{"an array becomes an object", `{"desired":{"c":[1]}}`, `{"desired":{"c":{"d":1}}}`, `{"desired":{"c":{"d":1}}}`},
		{"an object becomes an array", `{"desired":{"c":{"d":1}}}`, `{"desired":{"c":[]}}`, `{"desired":{"c":[]}}`},

		{"null removes a key (AWS: device-shadow-data-flow, deleting a property)",
			`{"desired":{"a":1,"b":2}}`, `{"desired":{"a":null}}`, `{"desired":{"b":2}}`},
		{"null removes a subtree", `{"desired":{"a":{"b":{"c":1}},"d":1}}`, `{"desired":{"a":null}}`, `{"desired":{"d":1}}`},
		{"null for a missing key stores nothing (moto, aws_verified)",
			`{"desired":{"a":1}}`, `{"desired":{"z":null}}`, `{"desired":{"a":1}}`},
		{"a null in a new object stores nothing", `{"desired":{"a":1}}`, `{"desired":{"n":{"x":null,"y":1}}}`, `{"desired":{"a":1,"n":{"y":1}}}`},
		{"an object of nulls stores nothing where nothing was (Greengrass; rules.go 7)",
			`{"desired":{"a":1}}`, `{"desired":{"n":{"x":{"y":null},"z":null}}}`, `{"desired":{"a":1}}`},
		{"an object of nulls is {} where a value was (rules.go 7)",
			`{"desired":{"a":1}}`, `{"desired":{"a":{"x":null}}}`, `{"desired":{"a":{}}}`},
		{"the last key of a section takes the section along (moto, aws_verified)",
			`{"desired":{"a":1},"reported":{"a":1}}`, `{"desired":{"a":null}}`, `{"reported":{"a":1}}`},
		{"the last key of an object leaves {} (Greengrass #213)",
			`{"desired":{"a":{"b":1}}}`, `{"desired":{"a":{"b":null}}}`, `{"desired":{"a":{}}}`},
		{"a null inside an object inside an array is a value (rules.go 6)",
			`{"desired":{"a":1}}`, `{"desired":{"l":[{"x":null}]}}`, `{"desired":{"a":1,"l":[{"x":null}]}}`},

		{"an empty object is stored (moto, aws_verified)", `{"desired":{"a":1}}`, `{"desired":{"d":{}}}`, `{"desired":{"a":1,"d":{}}}`},
		{"an empty object replaces a scalar (moto, aws_verified)", `{"desired":{"b":{"c":3}}}`, `{"desired":{"b":{"c":{}}}}`, `{"desired":{"b":{"c":{}}}}`},
		{"an empty object changes no object", `{"desired":{"b":{"c":3}}}`, `{"desired":{"b":{}}}`, `{"desired":{"b":{"c":3}}}`},
		{"an empty section changes nothing (moto, aws_verified)", `{"desired":{"a":1}}`, `{"desired":{}}`, `{"desired":{"a":1}}`},
		{"an empty state changes nothing", `{"desired":{"a":1}}`, `{}`, `{"desired":{"a":1}}`},
		{"desired null removes the section (AWS: device-shadow-document, empty sections)",
			`{"desired":{"a":1},"reported":{"a":1}}`, `{"desired":null,"reported":{"color":"red"}}`, `{"reported":{"a":1,"color":"red"}}`},
		{"reported null removes the section", `{"reported":{"a":1}}`, `{"reported":null}`, `{}`},
		{"state null clears both (moto #9237, captured)", `{"desired":{"a":1},"reported":{"a":1}}`, `null`, `{}`},

		{"numbers keep their text", `{"desired":{"a":1}}`,
			`{"desired":{"a":1.0,"b":123456789012345678901234567890,"c":-1e-400,"d":0.10}}`,
			`{"desired":{"a":1.0,"b":123456789012345678901234567890,"c":-1e-400,"d":0.10}}`},
		{"one key, written in two ways", `{"desired":{"caf\u00e9\n":1}}`, `{"desired":{"caf` + "é" + `\u000a":2}}`, `{"desired":{"café\n":2}}`},
		{"half of a surrogate pair is kept", `{"desired":{"\uD83D":"\uDE00"}}`, `{"desired":{"e":"\ud83d\ude00"}}`,
			`{"desired":{"\ud83d":"\ude00","e":"😀"}}`},
		{"keys that are words of the service (Greengrass #198)",
			`{"desired":{"state":{"desired":1},"version":2}}`, `{"desired":{"state":{"desired":null},"timestamp":3}}`,
			`{"desired":{"state":{},"version":2,"timestamp":3}}`},
	} {
		t.Run(c.rule, func(t *testing.T) {
			s := given(t, c.state)
			s.update(`{"state":` + c.request + `}`)
			same(t, "the document", s.state(), c.want)
			if s.doc.Version != 2 {
				t.Errorf("the version is %d, want 2: every accepted update counts (Greengrass #110)", s.doc.Version)
			}
		})
	}
}

// A request to a shadow that is not there makes one, whatever it holds: aws-iot.md
// 1.4 and 1.6, Greengrass PR #193.
func TestFirstUpdate(t *testing.T) {
	for request, want := range map[string]string{
		`{"desired":{"a":1}}`:           `{"desired":{"a":1}}`,
		`{"desired":{"a":null,"b":{}}}`: `{"desired":{"b":{}}}`,
		`{"reported":{"online":null}}`:  `{}`,
		`{"desired":{}}`:                `{}`,
		`{}`:                            `{}`,
		`null`:                          `{}`,
	} {
		s := given(t, request)
		same(t, request, s.state(), want)
		if s.doc.Version != 1 || !s.doc.Exists() {
			t.Errorf("%s: the document is %+v", request, s.doc)
		}
	}
}

// Objects of many members take another way than small ones.
func TestMergeLarge(t *testing.T) {
	for _, n := range []int{1, 31, 32, 33, 34, 100, 400} {
		s := newShadow(t)
		for _, step := range []struct{ request, want string }{
			{members(n, "1", 1), members(n, "1", 1)},
			{members(n, "null", 2), members(n, "1", 1, 2)},
			{members(n, `2`, 3), ""}, // some come back at the end, checked by the size below
		} {
			s.update(`{"state":{"desired":` + step.request + `}}`)
			if step.want != "" {
				same(t, step.request, s.doc.Desired, step.want)
			}
		}
		if got, want := countMembers(t, s.doc.Desired), n-n/2+n/6; got != want {
			t.Errorf("of %d members %d are left, want %d: %s", n, got, want, s.doc.Desired)
		}
	}
}
