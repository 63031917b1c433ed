package cloudtest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"greengate/sync/cloud/cloudtest"
)

// sameJSON compares documents; what is under "timestamp" is any whole number.
func sameJSON(t *testing.T, what string, got []byte, want string) {
	t.Helper()
	var g, w any
	if err := json.Unmarshal(got, &g); err != nil {
		t.Errorf("%s: %s: %v", what, got, err)
		return
	}
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		t.Fatalf("%s: %s: %v", what, want, err)
	}
	if !reflect.DeepEqual(untimed(g), untimed(w)) {
		t.Errorf("%s:\n got %s\nwant %s", what, got, want)
	}
}

func untimed(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, inner := range v {
			if n, ok := inner.(float64); ok && key == "timestamp" && n == float64(int64(n)) {
				inner = "T"
			}
			v[key] = untimed(inner)
		}
	case []any:
		for i := range v {
			v[i] = untimed(v[i])
		}
	}
	return v
}

// stamped is the metadata that a state has (aws-iot.md 1.7), untimed.
func stamped(v any) any {
	switch v := v.(type) {
	case map[string]any:
		m := map[string]any{}
		for key, inner := range v {
			m[key] = stamped(inner)
		}
		return m
	case []any:
		m := []any{}
		for _, inner := range v {
			m = append(m, stamped(inner))
		}
		return m
	}
	return map[string]any{"timestamp": "T"}
}

// Updates in order, and the state that get answers after them (aws-iot.md 1.4
// and 1.5).
func TestMergeRules(t *testing.T) {
	for name, x := range map[string]struct {
		updates []string
		state   string
	}{
		"objects merge":               {[]string{`{"reported":{"a":{"x":1},"b":2}}`, `{"reported":{"a":{"y":3}}}`}, `{"reported":{"a":{"x":1,"y":3},"b":2}}`},
		"arrays replace":              {[]string{`{"reported":{"a":[1,2,3]}}`, `{"reported":{"a":[4]}}`}, `{"reported":{"a":[4]}}`},
		"types change":                {[]string{`{"reported":{"a":1,"b":{"c":1},"d":[1]}}`, `{"reported":{"a":{"x":1},"b":[1],"d":"s"}}`}, `{"reported":{"a":{"x":1},"b":[1],"d":"s"}}`},
		"null removes":                {[]string{`{"reported":{"a":1,"b":{"c":1,"d":2}}}`, `{"reported":{"a":null,"b":{"c":null}}}`}, `{"reported":{"b":{"d":2}}}`},
		"null for nothing":            {[]string{`{"reported":{"a":null,"b":1}}`}, `{"reported":{"b":1}}`},
		"the last key of a section":   {[]string{`{"desired":{"a":1},"reported":{"a":1}}`, `{"desired":{"a":null}}`}, `{"reported":{"a":1}}`},
		"the last key of an object":   {[]string{`{"reported":{"a":{"b":1}}}`, `{"reported":{"a":{"b":null}}}`}, `{"reported":{"a":{}}}`},
		"an empty object":             {[]string{`{"reported":{"c":3,"d":{}}}`, `{"reported":{"c":{}}}`}, `{"reported":{"c":{},"d":{}}}`},
		"an empty section":            {[]string{`{"reported":{"a":1}}`, `{"reported":{}}`, `{}`}, `{"reported":{"a":1}}`},
		"a section that is null":      {[]string{`{"desired":{"a":1},"reported":{"a":1}}`, `{"desired":null}`}, `{"reported":{"a":1}}`},
		"a state that is null":        {[]string{`{"desired":{"a":1},"reported":{"a":1}}`, `null`}, `{}`},
		"the delta":                   {[]string{`{"desired":{"a":1,"b":{"c":1,"d":2},"e":[1]},"reported":{"b":{"c":1},"e":[2],"f":1}}`}, `{"desired":{"a":1,"b":{"c":1,"d":2},"e":[1]},"reported":{"b":{"c":1},"e":[2],"f":1},"delta":{"a":1,"b":{"d":2},"e":[1]}}`},
		"an empty object in a delta":  {[]string{`{"desired":{"a":{}},"reported":{"b":1}}`}, `{"desired":{"a":{}},"reported":{"b":1},"delta":{"a":{}}}`},
		"numbers differ by value":     {[]string{`{"desired":{"a":1.0,"b":9007199254740993},"reported":{"a":1,"b":9007199254740992}}`}, `{"desired":{"a":1.0,"b":9007199254740993},"reported":{"a":1,"b":9007199254740992},"delta":{"b":9007199254740993}}`},
		"keys that look like the top": {[]string{`{"reported":{"state":{"desired":1}}}`, `{"reported":{"state":null}}`}, `{}`},
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t, cloudtest.Options{NoData: true})
			for i, u := range x.updates {
				answer, err := c.UpdateShadow("lamp", "", []byte(`{"state":`+u+`}`))
				if err != nil {
					t.Fatal(err)
				}
				if !strings.Contains(string(answer), fmt.Sprintf(`"version":%d`, i+1)) {
					t.Errorf("answer %s, want version %d", answer, i+1)
				}
			}
			got, err := c.GetShadow("lamp", "")
			if err != nil {
				t.Fatal(err)
			}
			var d struct{ State, Metadata json.RawMessage }
			if err := json.Unmarshal(got, &d); err != nil {
				t.Fatal(err)
			}
			var state, metadata map[string]any
			if err := errors.Join(json.Unmarshal(d.State, &state), json.Unmarshal(d.Metadata, &metadata)); err != nil {
				t.Fatal(err)
			}
			delete(state, "delta")
			if want := stamped(state); !reflect.DeepEqual(untimed(metadata), want) {
				t.Errorf("metadata %s is no mirror of the state", d.Metadata)
			}
			sameJSON(t, "state", d.State, x.state)
		})
	}
}

func TestDocuments(t *testing.T) {
	c := start(t, cloudtest.Options{NoData: true})
	update := func(document, want string) {
		t.Helper()
		got, err := c.UpdateShadow("lamp", "n", []byte(document))
		if err != nil {
			t.Fatal(err)
		}
		sameJSON(t, "accepted", got, want)
	}
	const ts = `{"timestamp":1}`
	update(`{"state":{"desired":{"on":true,"gone":null,"list":[1,{"x":2}]}},"clientToken":"tok","other":1}`,
		`{"state":{"desired":{"on":true,"gone":null,"list":[1,{"x":2}]}},"metadata":{"desired":{"on":`+ts+`,"gone":`+ts+`,"list":[`+ts+`,{"x":`+ts+`}]}},"version":1,"timestamp":1,"clientToken":"tok"}`)
	update(`{"state":null,"version":1}`, `{"state":null,"metadata":{"timestamp":1},"version":2,"timestamp":1}`)
	got, err := c.GetShadow("lamp", "n")
	if err != nil {
		t.Fatal(err)
	}
	sameJSON(t, "get", got, `{"state":{},"metadata":{},"version":2,"timestamp":1}`)
	if names := c.ListShadows("lamp"); len(names) != 1 || names[0] != "n" {
		t.Errorf("names %q", names)
	}
	got, err = c.DeleteShadow("lamp", "n")
	if err != nil {
		t.Fatal(err)
	}
	sameJSON(t, "delete", got, `{"version":2,"timestamp":1}`)
}

func TestRejections(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 9) + "1" + strings.Repeat("}", 9)
	for name, x := range map[string]struct {
		document string
		code     int
		message  string
	}{
		"no JSON":          {`{"state":`, 400, "Payload contains invalid json"},
		"two values":       {`{"state":{}} {}`, 400, "Payload contains invalid json"},
		"no object":        {`[1]`, 400, "Payload contains invalid json"},
		"no state":         {`{}`, 400, "Missing required node: state"},
		"state is a text":  {`{"state":"x"}`, 400, "State node must be an object"},
		"desired is a 1":   {`{"state":{"desired":1}}`, 400, "Desired node must be an object"},
		"reported is a []": {`{"state":{"reported":[]}}`, 400, "Reported node must be an object"},
		"another node":     {`{"state":{"x":{}}}`, 400, "State contains an invalid node: 'x'"},
		"null in an array": {`{"state":{"reported":{"a":[1,null]}}}`, 400, "State contains an invalid node"},
		"a bad version":    {`{"state":{},"version":"1"}`, 400, "Invalid version"},
		"a half version":   {`{"state":{},"version":1.5}`, 400, "Invalid version"},
		"a bad token":      {`{"state":{},"clientToken":1}`, 400, "Invalid clientToken"},
		"a long token":     {`{"state":{},"clientToken":"` + strings.Repeat("x", 65) + `"}`, 400, "Invalid clientToken"},
		"too deep":         {`{"state":{"reported":` + deep + `}}`, 400, "JSON contains too many levels of nesting; maximum is 8"},
		"not UTF-8":        {"{\"state\":{\"reported\":{\"a\":\"\xff\"}}}", 415, "Unsupported documented encoding; supported encoding is UTF-8"},
		"too large":        {`{"state":{"reported":{"a":"` + strings.Repeat("x", 8192) + `"}}}`, 413, "The payload exceeds the maximum size allowed"},
		"an older version": {`{"state":{},"version":1}`, 409, "Version conflict"},
		"a newer version":  {`{"state":{},"version":3}`, 409, "Version conflict"},
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t, cloudtest.Options{NoData: true})
			for range 2 {
				if _, err := c.UpdateShadow("lamp", "", []byte(`{"state":{"reported":{"a":1}}}`)); err != nil {
					t.Fatal(err)
				}
			}
			_, err := c.UpdateShadow("lamp", "", []byte(x.document))
			var e *cloudtest.ShadowError
			if !errors.As(err, &e) || e.Code != x.code || e.Message != x.message {
				t.Errorf("rejected with %v, want %d %s", err, x.code, x.message)
			}
			got, err := c.GetShadow("lamp", "")
			if err != nil || !strings.Contains(string(got), `"version":2`) {
				t.Errorf("a rejected update changed the shadow: %s (%v)", got, err)
			}
		})
	}
}

func TestSizeCountsTheMergedDocument(t *testing.T) {
	c := start(t, cloudtest.Options{NoData: true, Limits: cloudtest.Limits{ShadowDocument: 100}})
	half := strings.Repeat("x", 40)
	for i, key := range []string{"a", "b", "c"} {
		_, err := c.UpdateShadow("lamp", "", fmt.Appendf(nil, `{"state":{"reported":{%q:%q}}}`, key, half))
		if (err != nil) != (i == 2) {
			t.Errorf("update %d: %v", i, err)
		}
	}
}

func TestVersionsAndTombstones(t *testing.T) {
	set := []byte(`{"state":{"reported":{"a":1}}}`)
	for name, x := range map[string]struct {
		readings cloudtest.Readings
		away     time.Duration
		want     string
	}{
		"soon":                  {cloudtest.Readings{}, 47 * time.Hour, `"version":3`},
		"after 48 h":            {cloudtest.Readings{}, 49 * time.Hour, `"version":1`},
		"the deletion counts 1": {cloudtest.Readings{DeleteCounts: true}, time.Hour, `"version":4`},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, cloudtest.Options{Readings: x.readings}, func(t *testing.T, c *bubble) {
				for range 2 {
					if _, err := c.UpdateShadow("lamp", "", set); err != nil {
						t.Fatal(err)
					}
				}
				if _, err := c.DeleteShadow("lamp", ""); err != nil {
					t.Fatal(err)
				}
				var e *cloudtest.ShadowError
				for _, err := range []error{third(c.GetShadow("lamp", "")), third(c.DeleteShadow("lamp", ""))} {
					if !errors.As(err, &e) || e.Code != 404 || e.Message != "No shadow exists with name: 'lamp'" {
						t.Errorf("after the deletion: %v", err)
					}
				}
				if _, err := c.UpdateShadow("lamp", "", []byte(`{"state":{},"version":2}`)); !errors.As(err, &e) || e.Code != 409 {
					t.Errorf("a version of what is not there: %v", err)
				}
				time.Sleep(x.away)
				got, err := c.UpdateShadow("lamp", "", set)
				if err != nil || !strings.Contains(string(got), x.want) {
					t.Errorf("made again: %s (%v), want %s", got, err, x.want)
				}
			})
		})
	}
}

func third(_ []byte, err error) error { return err }

// field is a member of a JSON object.
func field(t *testing.T, document []byte, name string) []byte {
	t.Helper()
	var members map[string]json.RawMessage
	if err := json.Unmarshal(document, &members); err != nil {
		t.Fatalf("%s: %v", document, err)
	}
	return members[name]
}
