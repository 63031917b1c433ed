package cloudtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"unicode/utf8"
)

// ShadowError is a rejection of the shadow service: its code (400, 404, 409,
// ...) and the service's message.
type ShadowError struct {
	Code    int
	Message string
}

func (e *ShadowError) Error() string { return fmt.Sprintf("%d: %s", e.Code, e.Message) }

func reject(code int, format string, args ...any) *ShadowError {
	return &ShadowError{code, fmt.Sprintf(format, args...)}
}

// update is a checked update request.
type update struct {
	state    any // as sent: an object or nil
	sections map[string]any
	version  *int64
}

var (
	thingName  = regexp.MustCompile(`^[a-zA-Z0-9:_-]{1,128}$`)
	shadowName = regexp.MustCompile(`^[$a-zA-Z0-9:_-]{1,64}$`)
)

func (k shadowKey) check() *ShadowError {
	if !thingName.MatchString(k.thing) {
		return reject(400, "Invalid thing name")
	}
	if k.name != "" && !shadowName.MatchString(k.name) {
		return reject(400, "Invalid shadow name")
	}
	return nil
}

// parseJSON reads one JSON value, numbers as their text.
func parseJSON(payload []byte) (any, *ShadowError) {
	if !utf8.Valid(payload) {
		// AWS does not publish what makes it answer 415; this is its text.
		return nil, reject(415, "Unsupported documented encoding; supported encoding is UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(payload))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil {
		return nil, reject(400, "Payload contains invalid json")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, reject(400, "Payload contains invalid json")
	}
	return value, nil
}

// tokenOf is the clientToken of a request, of any operation; nil without.
func tokenOf(payload []byte, limit int) (token *string, rejected *ShadowError) {
	var fields struct {
		Token json.RawMessage `json:"clientToken"`
	}
	if json.Unmarshal(payload, &fields) != nil || fields.Token == nil {
		return nil, nil
	}
	if json.Unmarshal(fields.Token, &token) != nil || token == nil || over(len(*token), limit) {
		return nil, reject(400, "Invalid clientToken")
	}
	return token, nil
}

// parseUpdate checks an update request (aws-iot.md 1.3 and 1.8).
func parseUpdate(payload []byte, l *Limits) (u update, rejected *ShadowError) {
	value, rejected := parseJSON(payload)
	if rejected != nil {
		return u, rejected
	}
	request, ok := value.(object)
	if !ok {
		return u, reject(400, "Payload contains invalid json")
	}
	state, there := request["state"]
	if !there {
		return u, reject(400, "Missing required node: state")
	}
	if u.version, rejected = parseVersion(request); rejected != nil {
		return u, rejected
	}
	u.state = state
	if state == nil {
		u.sections = object{"desired": nil, "reported": nil}
		return u, nil
	}
	if u.sections, ok = state.(object); !ok {
		return u, reject(400, "State node must be an object")
	}
	for name, section := range u.sections {
		if name != "desired" && name != "reported" {
			return u, reject(400, "State contains an invalid node: '%s'", name)
		}
		if _, ok := section.(object); section != nil && !ok {
			return u, reject(400, "%s node must be an object", map[string]string{"desired": "Desired", "reported": "Reported"}[name])
		}
		if nullInArray(section) {
			return u, reject(400, "State contains an invalid node")
		}
		if over(depth(section), l.ShadowDepth) {
			return u, reject(400, "JSON contains too many levels of nesting; maximum is %d", l.ShadowDepth)
		}
	}
	return u, nil
}

func parseVersion(request object) (*int64, *ShadowError) {
	value, there := request["version"]
	if !there || value == nil {
		return nil, nil
	}
	number, ok := value.(json.Number)
	if !ok {
		return nil, reject(400, "Invalid version")
	}
	v, err := strconv.ParseInt(string(number), 10, 64)
	if err != nil || v < 0 {
		return nil, reject(400, "Invalid version")
	}
	return &v, nil
}

// encodeJSON writes a document without HTML escapes.
func encodeJSON(document any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(document); err != nil {
		panic(fmt.Sprintf("cloudtest: write a document: %v", err)) // trees of parsed JSON can always be written
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
