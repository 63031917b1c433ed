package localshadow_test

import (
	"encoding/json"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"greengate/localshadow"
)

// The model reads half of a surrogate pair otherwise, and would compute a number
// with such an exponent.
var beyondModel = regexp.MustCompile(`(?i)\\ud[89a-f]|e[+-]?\d{4}`)

// Two requests to a new shadow, whatever they are, end as in the model, also when they
// come again and again (from the third on, updates go on in the tree of the one before),
// and when it was deleted in between, a moment or two days ago.
func FuzzUpdate(f *testing.F) {
	f.Add(`{"state":{"desired":{"a":{"b":1,"c":[1,{"d":2}]}},"reported":{"a":1}}}`, `{"state":{"desired":{"a":{"b":null,"c":{}}}},"version":1,"clientToken":"t"}`)
	f.Add(`{"state":null}`, `{"state":{"desired":null,"reported":{"x":{"y":null}}}}`)
	f.Add(`{"state":{"reported":{"n":1.0}}}`, `{"state":{"desired":{"n":10e-1,"m":-0}}}`)
	f.Add(`{"state":{"desired":{"a":1,"\u0061":2}}}`, `{"state":{"desired":[]}}`)
	f.Add(`{"state":{"desired":{"a":{"b":1},"c":[1, 2]},"reported":{"c":[1,2]}}}`, `{"state":{"desired":{ "a":{"b":null},"d":{"e":{"f":null,"g":1}}},"reported":{"a":{"b":1}}}}`)
	f.Add(`{"state":{"desired":{"<>&\u2028":"\u0000"}}}`, "\xff")
	f.Fuzz(func(t *testing.T, first, second string) {
		if beyondModel.MatchString(first + " " + second) {
			t.Skip()
		}
		p := newPair()
		for i, step := range [][2]string{
			{"update", first}, {"update", second}, {"update", first}, {"update", second}, {"update", second}, {"get"},
			{"delete"}, {"get"}, {"update", second}, {"delete"}, {"update", first}, {"get"},
		} {
			if i == 10 {
				p.now += 49 * 3600 // the versions of what is deleted for so long begin anew
			}
			fault := p.do(step[0], step[1])
			// Of several faults of one request the two may tell another one.
			if strings.HasPrefix(fault, "rejected with 400 ") && strings.Contains(fault, "by the model with &{code:400 ") {
				return
			}
			if fault != "" {
				t.Fatalf("%s: %s", step, fault)
			}
		}
	})
}

// Whatever is sent as a value: it is taken only if it is JSON, and comes back as
// the same.
func FuzzParse(f *testing.F) {
	for _, s := range []string{`1`, `-1.5e+7`, `"\ud83d\ude00\ud83d"`, `[[],{},""]`, `{"a":{"b":[null]}}`, `tru`, `"\`, `{"a"`, strings.Repeat("[", 12)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		lim := localshadow.DefaultLimits()
		_, _, _ = localshadow.Update(localshadow.Document{}, s, time.Unix(0, 0), lim)
		_, _ = localshadow.Get(localshadow.Document{}, s, "", time.Unix(0, 0), lim)
		d, a, err := localshadow.Update(localshadow.Document{}, `{"state":{"desired":{"v":`+s+`}}}`, time.Unix(0, 0), lim)
		if err != nil {
			return
		}
		if !json.Valid([]byte(s)) {
			if !json.Valid([]byte(`{"state":{"desired":{"v":` + s + `}}}`)) {
				t.Fatalf("%q is taken: %s", s, a.Accepted)
			}
			return // what adds keys, or closes the braces and opens others
		}
		for _, b := range [][]byte{a.Accepted, a.Documents()} {
			if !json.Valid(b) {
				t.Fatalf("%q makes %s", s, b)
			}
		}
		var sent, back any
		var accepted struct {
			State struct{ Desired map[string]any }
		}
		if json.Unmarshal([]byte(s), &sent) != nil || json.Unmarshal(a.Accepted, &accepted) != nil {
			return // a number that encoding/json has no room for
		}
		if back = accepted.State.Desired["v"]; !reflect.DeepEqual(sent, back) {
			t.Fatalf("%q comes back as %s", s, a.Accepted)
		}
		if _, err := d.HasDelta(); err != nil {
			t.Fatalf("%q is stored as %+v, which cannot be read", s, d)
		}
	})
}
