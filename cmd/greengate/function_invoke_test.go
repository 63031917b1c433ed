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
		{`{"verdict": "dropped", "topic": "t", "payload": "x"} {"verdict": "refused", "topic": "t"} {"verdict": "delivered", "topic": "t", "payload": "y"}`, "t: y", ""},
		{`{"topic": "t", "bytes": 3}`, "", "message 1 has no payload"},
		{`{"topic": "t", "payload": 1} {`, "", "message 2: "},
		{`{"payload": 1}`, "$invoke: 1", ""},
		{` `, "", "there is no message"},
		{`{"topic": "t", "payload": 1} {"topic": "a/#", "payload": 1}`, "", "message 2: topic: a topic to publish to holds a wildcard"},
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

func TestShortSpan(t *testing.T) {
	for ms, want := range map[float64]string{0: "-", 0.0123: "0.0123 ms", 12.84: "12.8 ms", 999.4: "999 ms", 999.7: "1000 ms", 3000.4: "3000 ms", 86400000: "86400000 ms"} {
		if got := shortSpan(ms); got != want {
			t.Errorf("%v: %s, want %s", ms, got, want)
		}
	}
}

func TestLogText(t *testing.T) {
	if got := logText("[INFO]\tx\x1b[2J\ty"); got != "[INFO]\tx?[2J\ty" {
		t.Errorf("%q", got)
	}
}
