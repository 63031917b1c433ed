package localshadow_test

import (
	"fmt"
	"strings"
	"testing"
)

// nest returns a value with n objects or arrays in one another.
func nest(n int, open, shut string) string {
	return strings.Repeat(open, n) + `1` + strings.Repeat(shut, n)
}

// The refusals: aws-iot.md 1.8 (AWS: device-shadow-error-messages), in the form
// and order of rules.go 13 and 14.
func TestRejections(t *testing.T) {
	plain := func(code int, message string) string {
		return fmt.Sprintf(`{"code":%d,"message":"%s","timestamp":1730481958}`, code, message)
	}
	with := func(code int, message string) string {
		return fmt.Sprintf(`{"code":%d,"message":"%s","timestamp":1730481958,"clientToken":"t"}`, code, message)
	}
	json400 := plain(400, "Invalid JSON")
	deep := plain(400, "JSON contains too many levels of nesting; maximum is 8")
	token64 := strings.Repeat("é", 32)
	for _, c := range []struct{ what, payload, want string }{
		{"nothing", ``, json400},
		{"space", " \n", json400},
		{"no JSON", `hello`, json400},
		{"cut off", `{"state":{"desired":{"a":1}}`, json400},
		{"more behind it", `{"state":{}} {}`, json400},
		{"a comma too many", `{"state":{"desired":{"a":1,}}}`, json400},
		{"a comma too many in an array", `{"state":{"desired":{"a":[1,]}}}`, json400},
		{"a comma too few", `{"state":{"desired":{"a":1 "b":2}}}`, json400},
		{"single quotes", `{'state':{}}`, json400},
		{"a byte order mark", "\ufeff{\"state\":{}}", json400},
		{"a control character in a string", "{\"state\":{\"desired\":{\"a\":\"\x01\"}}}", json400},
		{"an unknown escape", `{"state":{"desired":{"a":"\x"}}}`, json400},
		{"half an escape", `{"state":{"desired":{"a":"\u12"}}}`, json400},
		{"a string without end", `{"state":{"desired":{"a":"\"}}}`, json400},
		{"a leading zero", `{"state":{"desired":{"a":01}}}`, json400},
		{"a plus", `{"state":{"desired":{"a":+1}}}`, json400},
		{"a fraction without digits", `{"state":{"desired":{"a":1.}}}`, json400},
		{"an exponent without digits", `{"state":{"desired":{"a":1e}}}`, json400},
		{"a lone minus", `{"state":{"desired":{"a":-}}}`, json400},
		{"NaN", `{"state":{"desired":{"a":NaN}}}`, json400},
		{"True", `{"state":{"desired":{"a":True}}}`, json400},
		{"nul", `{"state":{"desired":{"a":nul}}}`, json400},
		{"duplicate keys (rules.go 3)", `{"state":{"desired":{"a":1,"a":2}}}`, json400},
		{"duplicate keys, written in two ways", `{"state":{"desired":{"a":1,"\u0061":2}}}`, json400},
		{"duplicate keys of the request", `{"state":{},"state":null}`, json400},
		{"duplicate keys, far apart", `{"state":{"desired":{"k1":1,` + strings.TrimPrefix(members(100, "1", 1), "{") + `}}`, json400},
		{"not UTF-8", "{\"state\":{\"desired\":{\"a\":\"\xff\"}}}", plain(415, "Unsupported documented encoding; supported encoding is UTF-8")},
		{"Latin-1 in a key", "{\"state\":{\"desired\":{\"caf\xe9\":1}}}", plain(415, "Unsupported documented encoding; supported encoding is UTF-8")},
		{"a surrogate in UTF-8", "{\"state\":{\"desired\":{\"a\":\"\xed\xa0\x80\"}}}", plain(415, "Unsupported documented encoding; supported encoding is UTF-8")},
		{"1,000 deep", `{"state":{"desired":{"a":` + nest(1000, `{"a":`, `}`) + `}}}`, deep},
		{"1,000 arrays deep", `{"state":{"desired":{"a":` + nest(1000, `[`, `]`) + `}}}`, deep},
		{"60,000 deep without end", strings.Repeat(`[`, 60000), deep},
		{"9 deep", `{"state":{"desired":{"a":` + nest(9, `{"a":`, `}`) + `}}}`, deep},
		{"9 deep beside the state", `{"state":{},"x":` + nest(11, `[`, `]`) + `}`, deep},
		{"1 MB", `{"state":{"desired":{"a":"` + strings.Repeat("x", 1<<20) + `"}}}`, plain(413, "The payload exceeds the maximum size allowed")},

		{"a string", `"state"`, plain(400, "Missing required node: state")},
		{"an array", `[]`, plain(400, "Missing required node: state")},
		{"no state", `{"clientToken":"t"}`, with(400, "Missing required node: state")},
		{"the token is too long (AWS: device-shadow-document)", `{"state":{},"clientToken":"` + token64 + `x"}`, plain(400, "Invalid clientToken")},
		{"the token is no string", `{"state":{},"clientToken":5}`, plain(400, "Invalid clientToken")},
		{"state is an array", `{"state":[],"clientToken":"t"}`, with(400, "State node must be an object")},
		{"state is a string", `{"state":"on","clientToken":"t"}`, with(400, "State node must be an object")},
		{"desired is no object", `{"state":{"desired":5},"clientToken":"t"}`, with(400, "Desired node must be an object")},
		{"reported is no object", `{"state":{"reported":[]},"clientToken":"t"}`, with(400, "Reported node must be an object")},
		{"unknown node under state", `{"state":{"desire":{}},"clientToken":"t"}`, with(400, "State contains an invalid node")},
		{"delta under state (rules.go 8)", `{"state":{"delta":{}},"clientToken":"t"}`, with(400, "State contains an invalid node")},
		{"an array with null (AWS: device-shadow-document, arrays)",
			`{"state":{"desired":{"colors":[null,"RED","GREEN"]}},"clientToken":"t"}`, with(400, "State contains an invalid node")},
		{"a nested array with null", `{"state":{"reported":{"a":{"b":[{"c":[1,[null]]}]}}},"clientToken":"t"}`, with(400, "State contains an invalid node")},
		{"the version is a string", `{"state":{},"version":"2","clientToken":"t"}`, with(400, "Invalid version")},
		{"the version is a fraction", `{"state":{},"version":1.0,"clientToken":"t"}`, with(400, "Invalid version")},
		{"the version is negative", `{"state":{},"version":-1,"clientToken":"t"}`, with(400, "Invalid version")},
		{"the version is beyond 64 bits", `{"state":{},"version":9223372036854775808,"clientToken":"t"}`, with(400, "Invalid version")},
		{"the document grows beyond 8 KiB", `{"state":{"desired":{"a":"` + strings.Repeat("x", 8<<10) + `"}},"clientToken":"t"}`, with(413, "The payload exceeds the maximum size allowed")},
		{"a version of the past", `{"state":{},"version":1,"clientToken":"t"}`, `{"code":409,"message":"Version conflict","clientToken":"t"}`},
		{"a version of the future", `{"state":{},"version":3,"clientToken":"t"}`, `{"code":409,"message":"Version conflict","clientToken":"t"}`},
		{"version 0 of one that exists", `{"state":{},"version":0}`, `{"code":409,"message":"Version conflict"}`},

		{"the encoding before the JSON", "{\xff", plain(415, "Unsupported documented encoding; supported encoding is UTF-8")},
		{"the token before the version", `{"version":"x","clientToken":5}`, plain(400, "Invalid clientToken")},
		{"the version's form before the state", `{"version":"x","clientToken":"t"}`, with(400, "Invalid version")},
		{"the state before the version", `{"state":5,"version":9,"clientToken":"t"}`, with(400, "State node must be an object")},
		{"the version before the size", `{"state":{"desired":{"a":"` + strings.Repeat("x", 8<<10) + `"}},"version":9}`, `{"code":409,"message":"Version conflict"}`},
	} {
		t.Run(c.what, func(t *testing.T) {
			s := given(t, `{"desired":{"a":1},"reported":{"a":[1]}}`)
			s.update(`{"state":{}}`)
			same(t, c.payload, s.rejected(c.payload), c.want)
		})
	}
}

// What looks like those, but is allowed.
func TestAccepted(t *testing.T) {
	token64 := strings.Repeat("é", 32)
	for _, payload := range []string{
		`{"state":{},"clientToken":"` + token64 + `"}`,
		`{"state":{},"clientToken":"` + strings.Repeat(`\u00e9`, 32) + `"}`,
		`{"state":{},"clientToken":"` + strings.Repeat(`\n`, 64) + `"}`,
		`{"state":{},"clientToken":""}`,
		`{"state":{},"clientToken":null,"version":null}`,
		`{"state":{},"version":1}`,
		`{"state":{},"timestamp":"x","foo":{"bar":[null]},"":0}`, // unknown top-level fields: aws-iot.md 1.4
		"\r\n\t {\"state\" : { } } \n",
		`{"\u0073tate":{}}`,
		`{"state":{"desired":{"a":` + nest(8, `{"a":`, `}`) + `}}}`,
		`{"state":{"desired":{"a":` + nest(8, `[`, `]`) + `}}}`,
		`{"state":{"desired":{"":{"a\u0000b":"\u0000"}}}}`,
	} {
		given(t, `{"desired":{"a":1}}`).update(payload)
	}
	a := given(t, `{}`).update(`{"state":{},"clientToken":"a\"\u00e9\n"}`)
	if !strings.HasSuffix(string(a.Accepted), `,"clientToken":"a\"é\n"}`) {
		t.Errorf("the token comes back otherwise: %s", a.Accepted)
	}
}

// The size is that of the merged document, desired and reported together,
// without spaces and metadata: aws-iot.md 1.8, Greengrass #127.
func TestSize(t *testing.T) {
	s := newShadow(t)
	fill := func(section string, n int) string { // a section of n bytes
		return `{"state":{"` + section + `": {  "a" : "` + strings.Repeat("x", n-len(`{"a":""}`)) + `" }}}`
	}
	s.update(fill("desired", 8192))
	s.rejected(fill("desired", 8193))
	s.rejected(`{"state":{"reported":{"a":1}}}`)
	s.update(fill("desired", 4096))
	s.update(fill("reported", 4096))
	s.rejected(`{"state":{"reported":{"b":1}}}`)
	s.update(`{"state":{"reported":{"a":null,"b":1}}}`)
	s.limits.Document = 30 << 10
	s.update(fill("reported", 20000))
	s.limits.Document = 8 << 10
	// One that is too large by now can still shrink.
	s.update(`{"state":{"reported":{"a":null}}}`)
}

// A get or delete takes any payload, but for its token: rules.go 15.
func TestTokenOfGet(t *testing.T) {
	s := given(t, `{}`)
	const plain = `{"state":{},"metadata":{},"version":1,"timestamp":1730481958}`
	for _, payload := range []string{``, `{`, `[]`, `"x"`, `{"clientToken":null}`, "\xff", nest(1000, `[`, `]`), strings.Repeat(" ", 1<<20)} {
		same(t, payload, s.get(payload), plain)
	}
	same(t, "a token", s.get(`{"clientToken":"`+strings.Repeat("x", 64)+`"}`), strings.TrimSuffix(plain, "}")+`,"clientToken":"`+strings.Repeat("x", 64)+`"}`)
	const invalid = `{"code":400,"message":"Invalid clientToken","timestamp":1730481958}`
	same(t, "a long token", s.get(`{"clientToken":"`+strings.Repeat("x", 65)+`"}`), invalid)
	same(t, "a token that is no string", s.delete(`{"clientToken":[]}`), invalid)
	if !s.doc.Exists() {
		t.Error("a rejected delete deletes")
	}
}
