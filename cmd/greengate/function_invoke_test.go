package main

import (
	"strings"
	"testing"
)

func TestRecordedCalls(t *testing.T) {
	for _, c := range []struct{ file, want, fault string }{
		{`{"topic": "t", "payload": "{\"a\": 1}"}`, `t: {"a": 1}`, ""},
		{`{"topic": "t", "payload": {"a": 1}}`, `t: {"a": 1}`, ""},
		{`{"topic": "t", "payload": [1]} {"topic": "u", "payload_base64": "AP8="}`, "t: [1] u: \x00\xff", ""},
		{"{\"time\": \"...\", \"verdict\": \"queued\", \"topic\": \"t\", \"bytes\": 0, \"payload\": \"\"}\n", "t: ", ""},
		{`{"topic": "t", "bytes": 3}`, "", "message 1 has no payload"},
		{`{"topic": "t", "payload": 1} {`, "", "message 2: "},
		{` `, "", "there is no message"},
	} {
		calls, err := recordedCalls([]byte(c.file))
		var got []string
		for _, call := range calls {
			got = append(got, call.Topic+": "+string(call.Payload))
		}
		if (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), c.fault) || strings.Join(got, " ") != c.want {
			t.Errorf("%s: %q, %v", c.file, got, err)
		}
	}
}
