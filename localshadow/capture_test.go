package localshadow_test

import (
	"strings"
	"testing"
)

// A session with the live service, as AWS shows it in the README of
// samples/shadow/shadow-sandbox of aws-iot-device-sdk-cpp-v2, with its times. The
// SDK prints the fields in its own order; here they stand in the service's, which
// no client depends on.
func TestCapturedSession(t *testing.T) {
	s := newShadow(t)
	const missing = `{"code":404,"message":"No shadow exists with name: 'GG_TrafficLight'"}`
	same(t, "get of no shadow", s.get(""), missing)

	a := s.update(`{"clientToken":"58de9848","state":{"reported":{"Color":"green"}}}`)
	same(t, "accepted", string(a.Accepted),
		`{"state":{"reported":{"Color":"green"}},"metadata":{"reported":{"Color":{"timestamp":1730481958}}},"version":1,"timestamp":1730481958,"clientToken":"58de9848"}`)
	same(t, "documents", string(a.Documents()),
		`{"current":{"state":{"reported":{"Color":"green"}},"metadata":{"reported":{"Color":{"timestamp":1730481958}}},"version":1},"timestamp":1730481958,"clientToken":"58de9848"}`)
	same(t, "delta", string(a.Delta), "")

	s.now = 1730482304
	a = s.update(`{"state":{"desired":{"Color":"green"}}}`)
	same(t, "accepted", string(a.Accepted),
		`{"state":{"desired":{"Color":"green"}},"metadata":{"desired":{"Color":{"timestamp":1730482304}}},"version":2,"timestamp":1730482304}`)

	s.now = 1730482794
	a = s.update(`{"state":{"desired":{"Color":"red"}},"clientToken":"35624091"}`)
	same(t, "documents", string(a.Documents()),
		`{"previous":{"state":{"desired":{"Color":"green"},"reported":{"Color":"green"}},"metadata":{"desired":{"Color":{"timestamp":1730482304}},"reported":{"Color":{"timestamp":1730481958}}},"version":2},`+
			`"current":{"state":{"desired":{"Color":"red"},"reported":{"Color":"green"}},"metadata":{"desired":{"Color":{"timestamp":1730482794}},"reported":{"Color":{"timestamp":1730481958}}},"version":3},`+
			`"timestamp":1730482794,"clientToken":"35624091"}`)
	same(t, "delta", string(a.Delta),
		`{"state":{"Color":"red"},"metadata":{"Color":{"timestamp":1730482794}},"version":3,"timestamp":1730482794,"clientToken":"35624091"}`)

	s.now = 1730482948
	if a = s.update(`{"state":{"reported":{"Color":"red"}}}`); a.Delta != nil {
		t.Errorf("in sync again, but there is a delta: %s", a.Delta)
	}
	s.now = 1730483062
	s.update(`{"state":{"reported":{"Status":"Great"}}}`)
	s.now = 1730483069
	s.update(`{"state":{"desired":{"Status":"Great"}}}`)
	s.now = 1730483086
	same(t, "get", s.get(`{"clientToken":"2b689730"}`),
		`{"state":{"desired":{"Color":"red","Status":"Great"},"reported":{"Color":"red","Status":"Great"}},`+
			`"metadata":{"desired":{"Color":{"timestamp":1730482794},"Status":{"timestamp":1730483069}},"reported":{"Color":{"timestamp":1730482948},"Status":{"timestamp":1730483062}}},`+
			`"version":6,"timestamp":1730483086,"clientToken":"2b689730"}`)

	// A delta after a reported update that leaves a difference has the times of
	// desired.
	s.now = 1730483858
	a = s.update(`{"state":{"reported":{"Status":"Awful"}},"clientToken":"af54adca"}`)
	same(t, "delta", string(a.Delta),
		`{"state":{"Status":"Great"},"metadata":{"Status":{"timestamp":1730483069}},"version":7,"timestamp":1730483858,"clientToken":"af54adca"}`)

	s.update(`{"state":{"reported":{"Status":null}}}`)
	s.update(`{"state":{"desired":{"Status":null}}}`)
	s.now = 1730483940
	same(t, "get", s.get(""),
		`{"state":{"desired":{"Color":"red"},"reported":{"Color":"red"}},"metadata":{"desired":{"Color":{"timestamp":1730482794}},"reported":{"Color":{"timestamp":1730482948}}},"version":9,"timestamp":1730483940}`)
	s.now = 1730483990
	same(t, "delete", s.delete(`{"clientToken":"495844bb"}`), `{"version":9,"timestamp":1730483990,"clientToken":"495844bb"}`)
	same(t, "get of the deleted", s.get(`{"clientToken":"0228fa77"}`), strings.TrimSuffix(missing, "}")+`,"clientToken":"0228fa77"}`)
	same(t, "second delete", s.delete(""), missing)
}

// State null: moto #9237, recorded from the live service; aws-iot.md 1.4.
func TestStateNull(t *testing.T) {
	s := given(t, `{"desired":{"a":1}}`)
	a := s.update(`{"state":null}`)
	same(t, "accepted", string(a.Accepted), `{"state":null,"metadata":{"timestamp":1730481958},"version":2,"timestamp":1730481958}`)
	same(t, "get", s.get(""), `{"state":{},"metadata":{},"version":2,"timestamp":1730481958}`)
	// It is no deletion: the next update has a previous document.
	if a = s.update(`{"state":{}}`); !strings.HasPrefix(string(a.Documents()), `{"previous":{"state":{},"metadata":{},"version":2},"current"`) {
		t.Errorf("documents: %s", a.Documents())
	}
}

// What was sent comes back, nulls included: aws-iot.md 1.3.
func TestAcceptedIsWhatWasSent(t *testing.T) {
	s := given(t, `{"desired":{"a":1,"b":{"c":2}}}`)
	s.now = 1730481999
	a := s.update(`{"state": {"reported": null, "desired": {"a": null, "b": {"d": [1, {"x": true}]}, "e": {}}}, "version": 1, "more": [null]}`)
	same(t, "accepted", string(a.Accepted),
		`{"state":{"reported":null,"desired":{"a":null,"b":{"d":[1,{"x":true}]},"e":{}}},`+
			`"metadata":{"reported":{"timestamp":1730481999},"desired":{"a":{"timestamp":1730481999},"b":{"d":[{"timestamp":1730481999},{"x":{"timestamp":1730481999}}]},"e":{}}},`+
			`"version":2,"timestamp":1730481999}`)
}

// Metadata mirrors the state, one time for each element of an array, and keeps
// the times of what was not sent: aws-iot.md 1.7, moto #3849.
func TestMetadata(t *testing.T) {
	s := given(t, `{"desired":{"a":1,"l":[1,[2],{"x":3}],"o":{"p":1,"q":{}}},"reported":{"a":1}}`)
	s.now = 1730482000
	s.update(`{"state":{"desired":{"o":{"p":2}},"reported":{"a":1}}}`)
	s.now = -5 // a clock that was never set
	s.update(`{"state":{"desired":{"n":0}}}`)
	const old, mid = `{"timestamp":1730481958}`, `{"timestamp":1730482000}`
	want := `"metadata":{"desired":{"a":` + old + `,"l":[` + old + `,[` + old + `],{"x":` + old + `}],"o":{"p":` + mid + `,"q":{}},"n":{"timestamp":-5}},"reported":{"a":` + mid + `}},`
	if got := s.get(""); !strings.Contains(got, want) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
